// Package control is what the end-to-end tests ask of their counterpart in the cluster, and what it reports: see hack/e2e/counterpart.
package control

import (
	"fmt"
	"time"
)

// The ports of the counterpart.
const (
	// TargetPort is where events are delivered to, at any path.
	TargetPort = 8080
	// Port is where the tests talk to the counterpart:
	//
	//	PUT    /target                   Target    how the service that events are delivered to behaves from now on
	//	PUT    /loads/{name}             Load      callbacks begin to come
	//	PUT    /loads/{name}/credential  text      … and are signed with another credential from now on
	//	DELETE /loads/{name}                       … and end; the answer comes when the last callback has had its own
	//	GET    /loads/{name}                       Report
	//	GET    /healthz
	Port = 9000
)

// The sources, by the names that spec.source.type has for them.
const (
	Lazada    = "Lazada"
	TencentIM = "TencentIM"
)

// Load is callbacks that keep coming, whatever is answered and however late: each subject sends one every interval, one after another.
type Load struct {
	// Source is Lazada or TencentIM; App is the app key or the SdkAppid.
	Source, App string
	// Credential is what callbacks are signed with.
	Credential string
	// URL of the endpoint, as it was entered at the platform.
	URL string
	// Dial is the address to connect to in place of the URL's host; empty: that host.
	Dial string
	// CA holds the PEM certificates that the server's must chain to; empty: the system's.
	CA string
	// Subjects is how many conversations there are.
	Subjects int
	// Interval between two callbacks of one subject.
	Interval time.Duration
	// Padding makes each body longer by so many bytes.
	Padding int
}

// Target is how the service behaves that events are delivered to. The zero value takes them.
type Target struct {
	// Away: nobody listens.
	Away bool
	// Status to answer with; zero: 200.
	Status int
	// Delay before the answer.
	Delay time.Duration
}

// The kinds of failures.
const (
	// Dial: no connection could be made.
	Dial = "dial"
	// Cut: the connection broke before the answer was there.
	Cut = "cut"
	// Silent: no answer came for much longer than any platform waits.
	Silent = "silent"
	// Answer: the status or the words are not what the platform wants to hear.
	Answer = "answer"
)

// Failure is a callback that the platform would call failed.
type Failure struct {
	// Mark names the callback.
	Mark string
	// Sent is when it was sent, At when it was known to have failed, by the counterpart's clock.
	Sent, At time.Time
	Kind     string
	// Status of the answer, if there was one; Text is its body, or the error.
	Status int
	Text   string
}

// String is for people.
func (f Failure) String() string {
	return fmt.Sprintf("%s %s sent %s, after %s: %d %s", f.Kind, f.Mark, f.Sent.Format("15:04:05.000"), f.At.Sub(f.Sent).Round(time.Millisecond), f.Status, f.Text)
}

// Report is what became of a load so far.
type Report struct {
	// Now by the counterpart's clock.
	Now time.Time
	// Sent callbacks have been answered, or have failed.
	Sent int
	// Acknowledged callbacks were answered in the right words; Late ones of them after the platform's time limit.
	Acknowledged, Late int
	// Slow callbacks were refused with 503 when most of the platform's time limit was over: the receiver could not store them in time. They
	// are not among the failed, as it depends on what else the machine has to do.
	Slow int
	// Slowest is the longest time that an acknowledged callback took.
	Slowest time.Duration
	// Failed callbacks; Failures are the first of them.
	Failed   int
	Failures []Failure
	// Delivered events, each counted once. It can exceed Acknowledged: an answer may get lost.
	Delivered int
	// Missing events were acknowledged, and not delivered yet.
	Missing int
	// Repeated counts the deliveries of what had been delivered before.
	Repeated int
	// Disordered tells of the acknowledged events that came, the first time, after a later one of their subject by the same replica: the first of
	// them.
	Disordered []string
	// Replicas says how many events each replica delivered.
	Replicas map[string]int
}

// String is for people.
func (r *Report) String() string {
	return fmt.Sprintf("%d sent, %d acknowledged (%d late, slowest %s), %d refused as too slow, %d failed, %d delivered, %d missing, %d repeated, %d disordered, by %v",
		r.Sent, r.Acknowledged, r.Late, r.Slowest.Round(time.Millisecond), r.Slow, r.Failed, r.Delivered, r.Missing, r.Repeated, len(r.Disordered), r.Replicas)
}
