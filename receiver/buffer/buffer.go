// Package buffer is the contract between the stages that take callbacks in and the stage that delivers them. An engine in a
// folder of its own fulfils it; package buffertest holds the conformance suite that every engine passes.
//
// The promise: an event that Append has returned for survives a crash at any instant, is handed out by Next until it is settled, at
// least once, and within its subject in the order of Append.
package buffer

import (
	"context"
	"errors"
	"time"

	"github.com/hookbay/hookbay/receiver/event"
)

// ErrFull is returned by Append when there is no room: nothing was stored, delivery goes on and makes room.
var ErrFull = errors.New("buffer is full")

// ErrTooLarge is returned by Append when the engine can never store an event, for its size: sending it again does not help.
var ErrTooLarge = errors.New("event is too large for the buffer")

// ErrClosed is returned once the buffer is closed.
var ErrClosed = errors.New("buffer is closed")

// ErrLeaseLost is returned by Settle when another receiver has taken the event over meanwhile, because it had not heard of this one for too long:
// what came of the attempt is not stored, and the other one delivers the event again. The lease has ended. Engines that other receivers do not
// share never return it.
var ErrLeaseLost = errors.New("lease was lost to another receiver")

// What stands in a buffer's place for an endpoint without one returns these from its Append: the event is nowhere, its sender must send it
// again.
var (
	// ErrNotDelivered: the target did not take the event in time.
	ErrNotDelivered = errors.New("target did not take the event")
	// ErrSuspended: nothing is delivered now, by the user's own choice.
	ErrSuspended = errors.New("delivery is suspended")
)

// Settings are an endpoint's wishes. They can change at any time.
type Settings struct {
	// Unordered hands out events regardless of their subject. Default: events of one subject one at a time, in order.
	Unordered bool
	// DeduplicationWindow is how long an event's identity is remembered. Zero: repeats are stored again.
	DeduplicationWindow time.Duration
	// Retention is how long delivered events stay. Zero: they go at once.
	Retention time.Duration
	// DeadRetention is how long dead letters stay.
	DeadRetention time.Duration
	// MaxAge is after what age an undelivered event of an endpoint that is no longer configured is given up and becomes a dead letter.
	MaxAge time.Duration
}

// Buffer holds the events of all endpoints of a receiver. It is safe for concurrent use.
type Buffer interface {
	// Queue returns the queue of an endpoint ("namespace/name"), made on first use, and gives it these settings.
	Queue(endpoint string, s Settings) (Queue, error)

	// Queues lists the endpoints that have ever had a queue and still hold something, configured or not, in no order.
	Queues() []string

	// Peek tells what an endpoint's queue holds, false if it never had one. Unlike Queue it makes nothing and leaves the events of an
	// endpoint that is not configured to be given up at their age.
	Peek(endpoint string) (Stats, bool)

	// Ready returns nil if events can be stored now, else an error that says why not and what to do.
	Ready() error

	// Bytes is the space the buffer takes, in bytes.
	Bytes() int64

	// Close stops everything that the buffer runs and returns when what was acknowledged is safe. Leased deliveries that are not
	// settled are handed out again by the next process.
	Close() error
}

// Queue holds one endpoint's events.
type Queue interface {
	// Append stores events, all or none, and must not return nil until they are durable. An event whose ID was appended within
	// the deduplication window is not stored again, but Append still waits until that first one is durable. It copies what it keeps. If ctx
	// ends first the events may be stored or not. Errors: ErrFull, ErrTooLarge, ErrClosed, or the engine's own.
	Append(ctx context.Context, events []event.Event) (Appended, error)

	// Next waits until an event is due and leases it to the caller: until it is settled, neither it nor, unless Unordered, any other event of
	// its subject is handed out. It returns ctx's error or ErrClosed.
	Next(ctx context.Context) (*Delivery, error)

	// Settle ends a lease with what came of the attempt, and must not return nil until that is durable: only then may
	// the subject's next event be handed out. A lease that is never settled is given out again after a restart. Errors: ErrClosed,
	// ErrLeaseLost, or the engine's own, after which it can be tried again.
	Settle(ctx context.Context, d *Delivery, o Outcome) error

	// Release ends a lease without an attempt: the event is due again at once, its attempts unchanged.
	Release(d *Delivery)

	// Stats tells what the queue holds. It is cheap.
	Stats() Stats
}

// Appended says what Append did with the events it was given.
type Appended struct{ Stored, Duplicates int }

// Delivery is an event leased to a delivery attempt.
type Delivery struct {
	// Event is what to deliver. Its Body must not be changed.
	Event event.Event
	// Attempt counts from 1.
	Attempt int
	// Lease is the engine's handle; nobody else looks into it.
	Lease any
}

// Verdict is what came of an attempt.
type Verdict uint8

// The verdicts. A Delivered event is kept for Settings.Retention, a Dead one for Settings.DeadRetention.
const (
	Delivered Verdict = iota + 1
	Retry
	Dead
)

// Outcome is how an attempt ended.
type Outcome struct {
	Verdict Verdict
	// RetryAt is when a Retry is due.
	RetryAt time.Time
	// Reason says why an event is Dead, in a few words: "target answered 410".
	Reason string
}

// Stats is what a queue holds.
type Stats struct {
	// Pending counts events that are neither delivered nor dead; Oldest is when the oldest of them was received, zero if none.
	Pending int64
	Oldest  time.Time
	// Dead counts the dead letters that are kept.
	Dead int64
}
