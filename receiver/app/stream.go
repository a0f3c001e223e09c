package app

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/buffer/jetstream"
	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/delivery/target"
	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/natsconn"
)

// stream is the buffer of one endpoint in NATS JetStream, with a connection of its own: credentials are an endpoint's.
type stream struct {
	buffer buffer.Buffer
	conn   *natsconn.Conn
	config config.Buffer // what it was opened with
}

// openStream does not wait for the servers. Its errors are about credentials, and begin with the field.
func openStream(o Options, e *config.Endpoint, secrets config.Secrets) (*stream, error) {
	c := e.Buffer.JetStream
	s := &stream{config: e.Buffer}
	b, err := jetstream.Open(jetstream.Options{
		Connect: func() (_ *nats.Conn, err error) {
			s.conn, err = natsconn.Connect(c.NATS, secrets, natsconn.Options{
				Name: "hookbay buffer " + e.Key(), Log: o.Log.With("endpoint", e.Key()), Control: target.DialControl(o.ForbidLoopback),
			})
			if err != nil {
				return nil, below("buffer.jetStream.", err)
			}
			return s.conn.Conn, nil
		},
		Stream: c.Stream, Replicas: c.Replicas, Storage: c.Storage, MaxBytes: e.Buffer.MaxBytes, MaxAge: time.Duration(c.MaxAge), Log: o.Log, Now: o.Now,
	})
	if err != nil {
		if s.conn != nil {
			s.conn.Close()
		}
		return nil, err
	}
	s.buffer = b
	return s, nil
}

// fits says whether the stream is what a configuration wants, but for its credentials, which can be replaced.
func (s *stream) fits(c *config.Buffer) bool {
	return s.config.MaxBytes == c.MaxBytes && reflect.DeepEqual(s.config.JetStream, c.JetStream)
}

// ready returns why nothing can be stored now, and a word of few for that. It never waits for servers.
func (s *stream) ready() (word string, err error) {
	if err := s.conn.Ready(); err != nil {
		return natsconn.Explain(err).Outcome, err
	}
	if err := s.buffer.Ready(); err != nil {
		return "stream", err
	}
	return "", nil
}

// complaint says what of the stream is not as it was asked for, though events are stored; empty if nothing is.
func (s *stream) complaint() string {
	b, ok := s.buffer.(interface{ Complaint() error })
	if !ok {
		return ""
	}
	if err := b.Complaint(); err != nil {
		return err.Error()
	}
	return ""
}

// ended says whether the stream can't be used any more: its connection does not come back.
func (s *stream) ended() bool { return s.conn.Ended() }

// ended says whether its stream must be opened anew.
func (e *served) ended() bool { return e.stream != nil && e.stream.ended() }

// anyEnded says whether that of any endpoint that is served must be.
func (s *endpoints) anyEnded() bool {
	for _, e := range s.live {
		if e.ended() {
			return true
		}
	}
	return false
}

// close gives back what the receiver has of the stream. Whoever else has a part in it takes over.
func (s *stream) close() error {
	if s.conn.Ready() != nil {
		s.conn.Close() // nothing can be handed over, and an attempt to connect need not be waited for
	}
	err := s.buffer.Close()
	s.conn.Close()
	return err
}

// streams are all that are open, also those that others have taken the place of.
type streams struct {
	mu      sync.Mutex
	open    map[*stream]struct{}
	closing sync.WaitGroup
	stopped chan struct{} // closed when the receiver stops
}

func newStreams() *streams {
	return &streams{open: make(map[*stream]struct{}), stopped: make(chan struct{})}
}

func (s *streams) add(one *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[one] = struct{}{}
}

// take has the caller close the stream, false if somebody else does.
func (s *streams) take(one *stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, open := s.open[one]
	delete(s.open, one)
	return open
}

// closeAfter closes a stream in the background when what delivers from it has ended, or patience does: what fails to settle is tried again until the
// buffer is closed.
func (s *streams) closeAfter(one *stream, ended <-chan struct{}, patience time.Duration, failed func(error)) {
	s.closing.Go(func() {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case <-ended:
		case <-timer.C:
		case <-s.stopped:
			return // which closes all that are open
		}
		if !s.take(one) {
			return
		}
		if err := one.close(); err != nil {
			failed(err)
		}
	})
}

// close closes all of them, at the same time: each may wait for servers.
func (s *streams) close() error {
	close(s.stopped)
	s.closing.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := make(chan error, len(s.open))
	for one := range s.open {
		go func() { errs <- one.close() }()
	}
	var all []error
	for range s.open {
		all = append(all, <-errs)
	}
	clear(s.open)
	return errors.Join(all...)
}

// relay passes events to the queue that an endpoint has now. A queue whose place another takes while a callback is on its way is closed when that comes.
type relay struct{ queue atomic.Pointer[buffer.Queue] }

// Append implements ingest.Queue.
func (r *relay) Append(ctx context.Context, events []event.Event) (buffer.Appended, error) {
	for {
		queue := r.queue.Load()
		appended, err := (*queue).Append(ctx, events)
		if !errors.Is(err, buffer.ErrClosed) || r.queue.Load() == queue {
			return appended, err
		}
	}
}
