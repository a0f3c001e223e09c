package report

import "time"

// Cell is one combination of settings that variants were measured with, in turns.
type Cell struct {
	// What is measured, in a section that measures several things: one of the section's own words.
	What        string `json:"what,omitempty"`
	Source      string `json:"source"`
	Size        int    `json:"bodyBytes"`
	Connections int    `json:"connections"`
	// Variants begins with what the others are compared with.
	Variants []Variant `json:"variants"`
	// Syncs, a pair for each round, are what the disk takes for a record of that size.
	Syncs []Sync `json:"syncs,omitempty"`
}

// Add adds a turn of a variant.
func (c *Cell) Add(name string, r Run) {
	for i := range c.Variants {
		if c.Variants[i].Name == name {
			c.Variants[i].Runs = append(c.Variants[i].Runs, r)
			return
		}
	}
	c.Variants = append(c.Variants, Variant{Name: name, Runs: []Run{r}})
}

// Variant is one kind of server.
type Variant struct {
	Name string `json:"name"`
	Runs []Run  `json:"runs"`
}

// Run is one of its turns.
type Run struct {
	// Rate is how many callbacks were acknowledged, or, from end to end, delivered, a second.
	Rate float64 `json:"perSecond"`
	// Acknowledged is how many were acknowledged a second, from end to end.
	Acknowledged float64 `json:"acknowledgedPerSecond,omitempty"`
	// Offered is how many were due a second, in an open loop.
	Offered float64 `json:"offeredPerSecond,omitempty"`
	Waits
	// CPU is the server's for each callback, and Generator the load's.
	CPU       Micros `json:"cpuMicros"`
	Generator Micros `json:"generatorCPUMicros"`
	// Servers is the CPU of the servers behind it, all together, for each callback.
	Servers Micros `json:"serversCPUMicros,omitempty"`
	// Stored is how many bytes these servers' disks hold for each callback, all together.
	Stored float64 `json:"storedBytesEach,omitempty"`
	// Sync is how long the receiver's own syncs took meanwhile, on average.
	Sync Micros `json:"syncMicros,omitempty"`
	// Took is how long the turn lasted.
	Took time.Duration `json:"tookNanoseconds"`
	// Refused are callbacks that were answered 503.
	Refused int `json:"refused,omitempty"`
	// Peak is the server's resident memory at most.
	Peak int64 `json:"peakBytes"`
}

// Waits are how long callers waited.
type Waits struct {
	P50  Micros `json:"p50Micros"`
	P99  Micros `json:"p99Micros"`
	P999 Micros `json:"p999Micros"`
	Most Micros `json:"mostMicros"`
}

// Sync is how long it takes to make a record durable, at the median: appended to a file, or written into a file that has its space already.
type Sync struct {
	Append       Micros `json:"appendMicros"`
	Preallocated Micros `json:"preallocatedMicros"`
}

// Overload is one round of twice as many callbacks as the receiver can take.
type Overload struct {
	Source string `json:"source"`
	// Saturation is how many it accepts a second when callers wait for one another; Offered is twice that.
	Saturation float64 `json:"saturationPerSecond"`
	Offered    float64 `json:"offeredPerSecond"`
	// Accepted and Refused, with 503, are answers a second.
	Accepted float64 `json:"acceptedPerSecond"`
	Refused  float64 `json:"refusedPerSecond"`
	// Other are other answers, Broken are callbacks whose connection broke, and Unsent those that were due and had no connection.
	Other  int `json:"otherAnswers"`
	Broken int `json:"broken"`
	Unsent int `json:"unsent"`
	// Latency is how long the accepted waited from the moment they were due, Service from the moment they were sent; Refusal is the same for
	// the refused.
	Latency Waits `json:"latency"`
	Service Waits `json:"service"`
	Refusal Waits `json:"refusal"`
	// Before, Draining and After are at half the saturation: before it, at once when it ends, and when all is delivered. Drain is how long that took.
	Before   Waits  `json:"before"`
	Draining Waits  `json:"draining"`
	Drain    Micros `json:"drainMicroseconds"`
	After    Waits  `json:"after"`
	// Acknowledged are all that were accepted, in all phases; each was Delivered, is Waiting, or is Lost.
	Acknowledged int `json:"acknowledged"`
	Delivered    int `json:"delivered"`
	Waiting      int `json:"waiting"`
	Lost         int `json:"lost"`
	// Peak is the receiver's resident memory at most.
	Peak int64 `json:"peakBytes"`
}

// Start is what a receiver does that finds events waiting on its disk.
type Start struct {
	Waiting int `json:"waiting"`
	// Fill is how long it took to store them.
	Fill time.Duration `json:"fillNanoseconds"`
	// Clean and Killed are how long it took until it was ready, after it had been stopped and after SIGKILL in the middle of a load.
	Clean  []Micros `json:"readyMicros"`
	Killed []Micros `json:"readyAfterKillMicros"`
	// Suspended and Retrying are its memory, while it does nothing and while it tries to deliver to a target that refuses connections.
	Suspended Memory `json:"suspended"`
	Retrying  Memory `json:"retrying"`
	// Held, Disk and Attempts are what it says at the end: events that wait, bytes on disk and attempts to deliver.
	Held     int   `json:"held"`
	Disk     int64 `json:"diskBytes"`
	Attempts int   `json:"attempts"`
}

// Memory is resident memory, at the end and at most.
type Memory struct {
	Resident int64 `json:"residentBytes"`
	Peak     int64 `json:"peakBytes"`
}
