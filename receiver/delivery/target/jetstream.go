package target

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/natsconn"
)

// maxSubject bounds an event's subject, in bytes. Servers take lines of 4,096 bytes unless their max_control_line says otherwise, with the address for the
// answer, and in a cluster with what leaf nodes and imports put before a subject. To whoever sends a longer line they close the connection, and with it end
// all other attempts that are under way.
const maxSubject = 2000

// How often a message that no stream takes is sent again within one attempt, and after what pause: its leader may be changing. An attempt that a platform
// waits for, of an endpoint without a buffer, has a quarter of a second to learn that there is no such stream.
const (
	streamTries = 2
	streamPause = 50 * time.Millisecond
)

// JetStream publishes events to a stream, by the CloudEvents NATS binding 1.0.3.
//
// A message counts as delivered when the stream has acknowledged it: with as many replicas as it is declared with, a quorum of them has it. The
// stream drops repeats that come within its duplicate window by the header Nats-Msg-Id, which is the endpoint and the event's id.
type JetStream struct {
	subject     subject
	contentMode string
	receiver    string
	timeout     time.Duration
	links       *natsLinks
}

var _ Target = (*JetStream)(nil)

// NewJetStream returns the target that cfg describes, whose type is JetStream. It does not wait for the servers. Its errors name the field and never
// hold a secret.
func NewJetStream(cfg config.Target, secrets config.Secrets, o BrokerOptions) (*JetStream, error) {
	if cfg.JetStream == nil {
		return nil, errors.New("target.jetStream: set it")
	}
	j := &JetStream{
		subject: newSubject(cfg.JetStream.Subject), contentMode: cfg.JetStream.ContentMode, receiver: o.receiver(), timeout: timeoutOf(cfg),
	}
	var err error
	if j.links, err = newNATSLinks(func() (*natsconn.Conn, error) {
		return natsconn.Connect(cfg.JetStream.NATS, secrets, natsconn.Options{
			Name: o.natsName(), Log: o.Log, Control: guard{forbidLoopback: o.ForbidLoopback}.control,
		})
	}); err != nil {
		return nil, fmt.Errorf("target.jetStream.%w", err)
	}
	return j, nil
}

// Send makes one attempt: it returns when the stream has the event, when it refuses it, or when the time is over.
func (j *JetStream) Send(ctx context.Context, e *event.Event, attempt int) Result {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, j.timeout)
	defer cancel()
	m, err := j.message(e, attempt)
	if err != nil {
		return notCloudEvent(err)
	}
	if len(m.Subject) > maxSubject {
		return Result{Class: Rejected, Outcome: OutcomeInvalid, Detail: fmt.Sprintf("the event's subject in NATS would have %d bytes, and %d is the most: "+
			"take the longest field out of target.jetStream.subject, then replay the event", len(m.Subject), maxSubject)}
	}
	link, err := j.links.get()
	if err == nil {
		err = link.wait(ctx)
	}
	if err != nil {
		return connectionFailure(ctx, err)
	}
	ack, err := link.stream.PublishMsg(ctx, m, jetstream.WithRetryAttempts(streamTries), jetstream.WithRetryWait(streamPause))
	switch {
	case err != nil:
		deadline, _ := ctx.Deadline()
		return link.failure(ctx, m, err, start, deadline.Sub(start).Round(time.Millisecond))
	case ack.Duplicate:
		return Result{Class: Delivered, Outcome: OutcomeStored, Detail: fmt.Sprintf("stream %s had it already", ack.Stream)}
	}
	return Result{Class: Delivered, Outcome: OutcomeStored, Detail: fmt.Sprintf("stream %s has it", ack.Stream)}
}

// message is the event's, by the binding. Names of headers are in lower case, as the binding writes them: many clients tell cases apart.
func (j *JetStream) message(e *event.Event, attempt int) (*nats.Msg, error) {
	body, structured, err := payload(e, j.contentMode)
	if err != nil {
		return nil, err
	}
	h := make(nats.Header, eventFields)
	if structured {
		h["content-type"] = []string{ContentTypeStructured}
	} else {
		for name, value := range attributes(e) {
			h["ce-"+name] = []string{percentEncode(value)}
		}
		if e.ContentType != "" {
			h["ce-datacontenttype"] = []string{percentEncode(e.ContentType)}
		}
	}
	h[HeaderAttempt] = []string{attemptOf(attempt)}
	if j.receiver != "" {
		h[HeaderReceiver] = []string{percentEncode(j.receiver)}
	}
	// An id names an event within its endpoint, and a stream may take the events of several.
	h[jetstream.MsgIDHeader] = []string{e.Endpoint + "/" + e.ID.String()}
	return &nats.Msg{Subject: j.subject.of(e), Header: h, Data: body}, nil
}

// Close ends the connection to the servers.
func (j *JetStream) Close() { j.links.close() }
