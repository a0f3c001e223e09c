// Package disk is the embedded buffer engine: Pebble, one database for all endpoints of a receiver.
//
// # What is stored where
//
// Every key begins with a letter and, but for m, the queue's number (big-endian uint32), so that each kind of entry of each queue is
// one contiguous range that can be dropped with a single range deletion.
//
//	m format                      format version
//	m sequence                    the last sequence number given out
//	m queue <namespace/name>      the queue's number and its last settings
//	p <seq>                       a pending event: the record
//	i <bucket> <id>               an identity of the deduplication window: when it was appended
//	c                             cursor: pending events below it have their places in lanes on disk, those from it on have none
//	h <lane>                      a lane that has a head
//	f <lane> <seq>                a follower
//	t <due> <seq>                 when a head is due, and how many attempts it has had
//	d <time> <seq>                a delivered event that is kept for a while
//	x <time> <seq>                a dead letter
//	a, s                          counters: appended; settled and dead
//
// A lane holds the events of one subject: a head, which is leased or waits for its time, and followers. The record stays at p until the
// event is settled, and then it is gone, d or x.
//
// Most events are delivered at once, at the first attempt. So the place of a new event in its lane is in memory first, and as long as it is there
// the event is fresh. What is missing on disk can be made anew from p: events from the cursor on are admitted again, in order. Fresh
// events go to disk (h and t, or f), all of them in one batch that also moves the cursor, when one of them is to be tried again, whose attempts and
// time must be kept, or when they have become too many for memory. That happens to an event once at most. The cursor also follows the settlements,
// every few hundred, so that a start does not pass over all that was settled.
//
// Memory holds only the heads that are due and a bounded number of fresh events, never a lane that waits. Followers in memory are younger than
// those of their lane on disk, and come after them.
//
// # Why a crash loses nothing and invents nothing
//
// Pebble's write-ahead log is one sequence of atomic batches. After a crash a prefix of that sequence is there, at least up to the last
// batch that a sync covered. The argument therefore needs only that every batch leads from one sound state to another, and that the two promises
// wait for the right sync:
//
//  1. Append is one batch: p, i, a and m sequence together. Append returns after the sync of that batch, and the next batch is begun
//     after that: a repeat that finds i, finds it durable. So an acknowledged event is in the prefix. A batch that the crash cut
//     off was never acknowledged, and all of its entries are gone together: no identity is remembered without its event.
//  2. Only synced events are admitted. A batch that gives fresh events their places gives one to every pending event below its cursor, so that
//     none is admitted twice or never. If it is lost, the cursor is still before them and they are admitted again.
//  3. A settlement is one batch: p and, if they are on disk, t and the lane's h go, d or x come, the counters change, and the lane's first follower
//     on disk becomes its head. Settle returns, and the next event of the lane is leased, after that batch is synced. If it is lost, the attempt was
//     still under way as far as anybody was told: the event is handed out again, before its successors. Settlements that wait at one moment are one
//     batch; the cursor in it passes over nothing but events that are settled in it or before.
//  4. A retry is one batch: the places of fresh events, if the event was one, and t moves. If it is lost, the attempt is not counted and the event
//     is due earlier.
//  5. What is dropped without a sync (old identities, old delivered events) was not promised to anybody any longer.
//
// Pebble checks its blocks and log records by checksum; each record carries one more, bound to its sequence number, so that an entry that is damaged or
// misplaced is told apart. It is set aside as a dead letter and never delivered.
//
// # When the disk is full
//
// Append refuses while less than a reserve is free (see space.go), so that settlements, which need little, still have room. Delivered events
// that were only kept to look at go first. Should somebody else fill the file system, writes wait for room for a while instead of
// failing.
package disk
