// Package jetstream is the buffer engine in NATS JetStream: one stream for each endpoint, and any number of receivers that share it.
//
// # What is stored where
//
// A stream's subjects begin with its root, <prefix>.<namespace>.<name>, and go on with a letter. Events are in 32 partitions, by the hash of their
// Subject, so that a subject's events are all in one. A lane is a subject, by its hash.
//
//	e.<partition>.<id>.<generation>     an event: the record. The generation is when it was appended, and something that no other append has
//	c.<partition>                       the cursor: owner, epoch, floor, runs, how many dead letters are kept
//	h.<partition>.<lane>                the head of a lane that waits, and how to find its followers
//	f.<partition>.<lane>.<first>        followers of a lane, if they are many: their sequence numbers
//	d.<partition>.<sequence>            a dead letter: when, attempts, why, and the event's record
//	m.<member>                          a receiver's last heartbeat
//
// The stream keeps one message of each subject, the newest. It discards new messages when it is full, never old ones. Its metadata says whose it is, and the
// settings by which its events are given up when no receiver serves it any more, by a buffer that is told to do that (Options.Alone).
//
// An event's number is its sequence number in the stream. Every event below the cursor's floor is done, and so is what the runs cover above it. Done
// means settled, or kept: what h and f tell of a lane is pending nevertheless. So one subject that is stuck, or slow, costs one small message and holds
// up no other, and however long its backlog is, it takes no memory; and the cursor follows what is settled closely.
//
// Most events are delivered at the first attempt. They cost two messages: e, and a share of a c, for all settlements of a partition that wait at one
// moment are one write. An event that is to be tried again costs an h more for each attempt; a dead letter a d.
//
// # Who delivers what
//
// Each partition has one owner, who alone reads its events, leases them and writes its cursor. Every receiver sends a heartbeat five times in a
// lease's time, and hears those of all others. A partition belongs to the one of the live members that hashes highest with it, so that a member that comes
// or goes moves only what it gets or had. An owner that sees a better one leases nothing more of that partition, waits for the attempts that are
// under way, and writes the cursor without an owner; the other one takes it. Close does that with all at once. An owner that is not heard of for
// a lease's time, by the clock of whoever listens, is gone: its partitions are taken from it. That it was not heard is checked with the stream's leader,
// and with a server that has this receiver's own last heartbeat, before, lest a receiver that is deaf takes others for dead. An owner that could not send a heartbeat for four fifths of that time leases nothing
// more, and looks for what it has lost before it goes on.
//
// # The fence
//
// Every write of a partition's state is one atomic batch that ends with the cursor, and the cursor is only stored if it follows the cursor that the
// writer knows. Taking a partition is writing its cursor, with the next epoch. So whoever has lost a partition cannot change anything of it any more, not
// even with a write that was sent before and arrives after: it is refused whole. Settle then returns buffer.ErrLeaseLost.
//
// # What is believed of a read
//
// A leader that is cut off from the other servers answers reads for some seconds with what it has. So that an event, a list of followers or a heartbeat is
// not there is only believed of a server that shows in the same answer something that came later. Until one does, the event is not handed out.
//
// # When the servers lose what they had acknowledged
//
// A server that comes back with an older copy of its files, or without what it had not synced, gives numbers again that were given before. Every
// acknowledgement is compared with the highest number that was known when its message was sent. If it is not beyond that, all partitions are lost and
// taken again with what the stream has, and an error is logged: settled events may be delivered again, and accepted ones may be gone. (If other
// receivers have filled the gap before this one writes at all, which it does in a fifth of a lease's time at most, it is not found.)
//
// A cursor that somebody has removed, or that cannot be read, is made anew, from the beginning: all events that the stream still has of the partition are delivered, again if they
// were before, and an error is logged. Delivering again is allowed, losing is not.
//
// # Repeats
//
// An event is published on the condition that no message matches e.<partition>.<id>.*, which the stream's leader checks, those under way included, for all
// receivers alike. If it is refused, the leader is asked for what is there: an event younger than the window makes it a duplicate, which is acknowledged
// only now, when the first one is known to be stored; after an older one it is published again, on the condition that this is still the last. So an
// identity is remembered for as long as its event is in the stream, which is at least the window. An acknowledgement that is lost is found out about in
// the same way: the generation tells one's own. Message ids, and the window of the stream that remembers them in memory, are not used.
//
// Identities are compared within a subject. (Two events of one identity and different subjects are two events.)
//
// # Why a crash loses nothing
//
//  1. Append returns when the stream has acknowledged, which a replicated one does when a quorum has the message. Several events are one atomic batch, so
//     they are stored all or none. What was not acknowledged may be stored: then its repeat is a duplicate.
//  2. An event that is not done, by the last cursor that was stored, is read again by whoever has the partition next, from the floor on; events are read in
//     the order of the stream, which is the order of Append within a subject. No event is leased before all events of its lane that come before it
//     are settled and that is acknowledged.
//  3. A settlement is one batch: the cursor, the h of a lane that something is or was kept of, d. Either all of it is there or nothing. If nothing is,
//     the attempt was still under way as far as anybody was told: the event is handed out again, by the next owner, before its successors. Without an
//     answer the batch is sent again, on the same condition: only one of the two can be stored, and the cursor that is there tells by its number of
//     writes whether it was one's own.
//  4. What waits for its time goes from the cursor's part to h in one batch; what is read ahead and becomes too much for memory too. A lane's
//     followers are taken from f in their order, and the h that a settlement writes says where that was.
//  5. Who takes a partition reads its h messages up to the cursor that it has just written, which comes after all that a former owner could store. Only
//     then, events are read from the floor on.
//  6. Events are dropped when they are older than the retention and the window, and below the floor and every head that waits, as the owner has stored it.
//     An owner that has lost the partition meanwhile drops only what was settled before that.
//  7. Messages that mean the same as none (an h of which nothing is kept, an f that is used up, a heartbeat that ceased) have a lifetime, after which the
//     servers drop them.
//
// An event is delivered twice only if an owner's lease was lost while an attempt was under way, or between its end and its settlement. Then, also,
// an attempt of the former owner may reach the target after the new one's.
//
// # When there is no room
//
// A stream with a limit refuses events beyond nine tenths of it, so that settlements always have room. Then delivered events that are older than the
// window go before the end of their retention. A subject that is stuck keeps the delivered events of its partition that are younger than its head
// from being dropped. If the servers or the account have less room than the limit, they refuse on their own, and Append returns buffer.ErrFull as well.
//
// Dead letters have a copy of their event, and so they may take up all the room that settlements should have. A write that is refused for want of room makes
// some, step by step, until it is taken: delivered events beyond the window go, then the oldest dead letters, then the copies in the dead letters of the
// write itself, then identities from within the window. All but the first is logged as an error. None of it writes anything or waits for a partition's line.
// A heartbeat and a claim do the same, so that receivers that come back to a full stream get on.
//
// An event has to fit in a message as a dead letter too, else Append returns buffer.ErrTooLarge. If limits are lowered while it waits, its dead letter has
// no copy.
//
// # Memory
//
// A receiver holds at most 2048 events, or 16 MiB of them, for each endpoint, and about 300 bytes for each subject that waits for a retry.
//
// A server has each event that is in the stream in its index of subjects: about 330 bytes of memory in the first two minutes, 130 bytes later (measured in
// hack/nats with nats-server 2.15; see docs/buffers.md). A message id in the stream's own window of duplicates takes much the same, 137 bytes. But
// that goes by the server's clock, is read back from all messages of the window when a server starts, and does not tell a repeat whose first one is still
// pending after the window.
package jetstream
