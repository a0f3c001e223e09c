package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/synadia-io/orbit.go/jetstreamext"
)

// The stream's leader that is cut off from the others does not know for some seconds that another one was elected, and answers reads meanwhile with what
// it has. So "no such message" is believed only of a server that shows, in the same answer, something of the stream that came later.

// errBehind says that a server does not have all of the stream that this receiver knows of.
var errBehind = errors.New("the server that answers does not have all of the stream yet")

// at reads the message of a sequence number. That there is none is proven by one that comes after it: the receiver's heartbeat does, if nothing else.
func (q *queue) at(ctx context.Context, seq uint64) (*stored, error) {
	m, err := q.lead(ctx, `{"seq":`+strconv.FormatUint(seq, 10)+`}`)
	if !errors.Is(err, errNotFound) {
		return m, err
	}
	m, err = q.following(ctx, ">", seq)
	switch {
	case errors.Is(err, errNotFound):
		return nil, errBehind
	case err == nil && m.Sequence != seq:
		return nil, errNotFound
	default:
		return m, err
	}
}

// lastSince reads the last message of a subject from a server that has another subject's message of a sequence number, or a later one of it. It
// returns errBehind if the server that answers has not.
func (q *queue) lastSince(ctx context.Context, subject, witness string, seq uint64) (*stored, error) {
	got, err := jetstreamext.GetLastMsgsFor(ctx, q.b.js, q.names.stream, []string{subject, witness})
	if err != nil {
		return nil, explain(err)
	}
	var found *stored
	whole, late := false, false
	for m, err := range got {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return nil, errBehind
		}
		if err != nil {
			return nil, explain(err)
		}
		whole = m.Header.Get("Nats-Num-Pending") == "0"
		late = late || m.Subject == witness && m.Sequence >= seq
		if m.Subject == subject {
			found = &stored{Subject: m.Subject, Sequence: m.Sequence, Data: m.Data}
		}
	}
	switch {
	case !whole:
		return nil, fmt.Errorf("read messages of the stream: the answer breaks off: %w", errors.Join(ctx.Err(), errBehind))
	case !late:
		return nil, errBehind
	case found == nil:
		return nil, errNotFound
	default:
		return found, nil
	}
}

// insist reads until the server that answers has all of the stream that is to be known for that.
func insist(ctx context.Context, read func() (*stored, error)) (*stored, error) {
	var pause backoff
	for {
		m, err := read()
		if !errors.Is(err, errBehind) {
			return m, err
		}
		if ended := pause.wait(ctx); ended != nil {
			return nil, errors.Join(ended, err)
		}
	}
}
