package jetstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/hookbay/hookbay/receiver/buffer"
)

const (
	// requestTimeout bounds one request. What must be done is asked for again.
	requestTimeout = 5 * time.Second
	// storeTimeout is after what time without an acknowledgement it is looked up whether something was stored, or stored again.
	storeTimeout = 2 * time.Second
	// The waits between requests that failed.
	pauseMin = 20 * time.Millisecond
	pauseMax = time.Second
	// maxBatch is how many messages a server takes as one.
	maxBatch = 1000
)

var (
	// errRefused says that a subject does not have the sequence number that a message was to follow.
	errRefused = errors.New("wrong last sequence of the subject")
	// errNotFound says that the stream has no such message.
	errNotFound = errors.New("no such message")
	// errBusy says that the server can take the messages later.
	errBusy = errors.New("the server is busy")
)

// stored is a message as it is in the stream.
type stored struct {
	Subject  string `json:"subject"`
	Sequence uint64 `json:"seq"`
	Data     []byte `json:"data"`
	Header   []byte `json:"hdrs"`
	pending  uint64 // how many of its filter come after it, where that was asked for
}

// isMarker says whether a server wrote a message in the place of one that has ended. Servers do that where a stream has, or had, a
// subject_delete_marker_ttl; it means the same as none.
func isMarker(h nats.Header) bool { return h.Get(natsjs.MarkerReasonHeader) != "" }

// isMarker says the same of a message that was read from the leader.
func (s *stored) isMarker() bool {
	return bytes.Contains(s.Header, []byte(natsjs.MarkerReasonHeader+":"))
}

// expecting makes a message that is only stored if the last one of a subject, or of those that a filter matches, has this sequence number. An
// empty filter means the message's own subject.
func expecting(subject, filter string, seq uint64, data []byte) *nats.Msg {
	m := message(subject, data)
	m.Header.Set(natsjs.ExpectedLastSubjSeqHeader, strconv.FormatUint(seq, 10))
	if filter != "" {
		m.Header.Set(natsjs.ExpectedLastSubjSeqSubjHeader, filter)
	}
	return m
}

func message(subject string, data []byte) *nats.Msg {
	return &nats.Msg{Subject: subject, Header: nats.Header{}, Data: data}
}

// fading makes a message that the server drops by itself.
func fading(subject string, data []byte, after time.Duration) *nats.Msg {
	m := message(subject, data)
	m.Header.Set(natsjs.MsgTTLHeader, max(after, time.Second).Round(time.Second).String())
	return m
}

// publish stores messages, all or none, and returns the sequence number of the last; the others have those before it. Without an answer it is
// not known whether they are stored.
func (q *queue) publish(ctx context.Context, messages ...*nats.Msg) (uint64, error) {
	before, falls := q.mark.get()
	seq, err := q.send(ctx, messages)
	if err == nil && !q.mark.stored(seq-uint64(len(messages)-1), seq, before, falls) { //nolint:gosec // not negative
		q.fallen()
	}
	return seq, err
}

func (q *queue) send(ctx context.Context, messages []*nats.Msg) (uint64, error) {
	if len(messages) > 1 {
		ack, err := jetstreamext.PublishMsgBatch(ctx, q.b.js, messages, jetstreamext.BatchFlowControl{})
		if err != nil {
			return 0, explain(err)
		}
		return ack.Sequence, nil
	}
	reply, err := q.b.nc.RequestMsgWithContext(ctx, messages[0])
	if err != nil {
		return 0, explain(err)
	}
	var ack struct {
		Stream   string           `json:"stream"`
		Sequence uint64           `json:"seq"`
		Error    *natsjs.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &ack); err != nil {
		return 0, fmt.Errorf("read the answer of the stream: %w", err)
	}
	if ack.Error != nil {
		return 0, explain(ack.Error)
	}
	if ack.Stream != q.names.stream {
		return 0, fmt.Errorf("stream %s has taken what is for %s: no other stream may have subjects below %s", ack.Stream, q.names.stream, q.names.all())
	}
	return ack.Sequence, nil
}

// explain tells the errors apart that something can be done about.
func explain(err error) error {
	if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstreamext.ErrAtomicPublishTooManyInflight) ||
		errors.Is(err, jetstreamext.ErrBatchPublishTooManyInflight) || errors.Is(err, jetstreamext.ErrBatchPublishIncomplete) {
		return fmt.Errorf("%w: %w", errBusy, err)
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		return fmt.Errorf("%w: %w", buffer.ErrTooLarge, err)
	}
	var api *natsjs.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch api.ErrorCode {
	case natsjs.JSErrCodeStreamWrongLastSequence, natsjs.JSErrCodeStreamWrongLastSequenceConstant:
		return errRefused
	case jetstreamext.JSErrCodeAtomicPublishTooManyInflight, jetstreamext.JSErrCodeBatchPublishTooManyInflight, jetstreamext.JSErrCodeBatchPublishIncomplete:
		return fmt.Errorf("%w: %w", errBusy, err)
	case 10077: // the store failed: of the reasons, being full is the only one that lasts
		if api.Description == "maximum bytes exceeded" || api.Description == "maximum messages exceeded" {
			return fmt.Errorf("%w: the stream has reached its limit: raise maxBytes", buffer.ErrFull)
		}
		return fmt.Errorf("%w: %w", errBusy, err)
	case 10002, 10023, 10028, 10047: // limits of the account or the server
		return fmt.Errorf("%w: NATS says: %s", buffer.ErrFull, api.Description)
	case 10054: // max_msg_size
		return fmt.Errorf("%w: %w", buffer.ErrTooLarge, err)
	case natsjs.JSErrCodeMessageNotFound:
		return errNotFound
	default:
		return err
	}
}

// lead reads a message from the stream's leader, or from one that does not know yet that it is none: see at for what that means.
func (q *queue) lead(ctx context.Context, request string) (*stored, error) {
	reply, err := q.b.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+q.names.stream, []byte(request))
	if err != nil {
		return nil, explain(err)
	}
	var got struct {
		Error   *natsjs.APIError `json:"error"`
		Message *stored          `json:"message"`
	}
	if err := json.Unmarshal(reply.Data, &got); err != nil {
		return nil, fmt.Errorf("read a message of the stream: %w", err)
	}
	if got.Error != nil {
		return nil, explain(got.Error)
	}
	if got.Message == nil {
		return nil, errors.New("read a message of the stream: the answer has none")
	}
	return got.Message, nil
}

// last reads the last message of a subject or filter from the leader.
func (q *queue) last(ctx context.Context, filter string) (*stored, error) {
	return q.lead(ctx, `{"last_by_subj":`+strconv.Quote(filter)+`}`)
}

// following reads the first message from a sequence number on that a filter matches.
func (q *queue) following(ctx context.Context, filter string, from uint64) (*stored, error) {
	return q.lead(ctx, `{"seq":`+strconv.FormatUint(max(from, 1), 10)+`,"next_by_subj":`+strconv.Quote(filter)+`}`)
}

// counted reads the same, and how many more there are. Any server may answer, and goes through all of them.
func (q *queue) counted(ctx context.Context, filter string, from uint64) (*stored, error) {
	got, err := jetstreamext.GetBatch(ctx, q.b.js, q.names.stream, 1, jetstreamext.GetBatchSubject(filter), jetstreamext.GetBatchSeq(max(from, 1)))
	if err != nil {
		return nil, explain(err)
	}
	for m, err := range got {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return nil, errNotFound
		}
		if err != nil {
			return nil, explain(err)
		}
		s := &stored{Subject: m.Subject, Sequence: m.Sequence, Data: m.Data}
		s.pending, err = strconv.ParseUint(m.Header.Get("Nats-Num-Pending"), 10, 64)
		return s, err
	}
	return nil, errNotFound
}

// backoff are the waits of something that is tried again and again.
type backoff struct{ pause time.Duration }

// wait waits, longer each time and never as long as others do. It returns the context's error if that ends first.
func (w *backoff) wait(ctx context.Context) error {
	w.pause = min(max(2*w.pause, pauseMin), pauseMax)
	timer := time.NewTimer(w.pause/2 + rand.N(w.pause/2)) //nolint:gosec // not a secret
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
