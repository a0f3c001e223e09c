package app

import (
	"errors"
	"fmt"

	"github.com/hookbay/hookbay/receiver/admin"
	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/natsconn"
)

// buffers are where events are kept: on disk for all endpoints that have that buffer, and in a stream of its own for each that has one.
type buffers struct {
	disk    buffer.Buffer // nil: none needs it
	streams *streams
}

// close closes all of them. What was acknowledged is safe then.
func (b *buffers) close() error {
	err := b.streams.close()
	if b.disk != nil {
		err = errors.Join(err, b.disk.Close())
	}
	return err
}

// bytes is the space that all of them take.
func (b *buffers) bytes() int64 {
	var sum int64
	if b.disk != nil {
		sum = b.disk.Bytes()
	}
	b.streams.mu.Lock()
	defer b.streams.mu.Unlock()
	for s := range b.streams.open {
		sum += s.buffer.Bytes()
	}
	return sum
}

// bufferType is the endpoint's buffer, in the words of the configuration.
func bufferType(e *config.Endpoint) string {
	if e.Buffer.Type == "" {
		return config.BufferDisk
	}
	return e.Buffer.Type
}

// buffered says whether an endpoint's events are stored before its callbacks are acknowledged. Otherwise they are delivered before.
func buffered(e *config.Endpoint) bool { return bufferType(e) != config.BufferNone }

func onDisk(e *config.Endpoint) bool { return bufferType(e) == config.BufferDisk }

// checkBuffer refuses what cannot change while events are on their way: where an endpoint's events are kept.
func (s *endpoints) checkBuffer(e *config.Endpoint) error {
	before := s.find(e.Key())
	switch {
	case before != nil && bufferType(&before.config) != bufferType(e):
		return fmt.Errorf("buffer.type of %s changed from %s to %s: restart the receiver", e.Key(), bufferType(&before.config), bufferType(e))
	case onDisk(e) && s.buffers.disk == nil:
		return fmt.Errorf("buffer.type of %s is %s, and the receiver was started without a buffer: restart the receiver", e.Key(), bufferType(e))
	}
	return nil
}

// buildStream gives next its stream: that of before, which may be nil, if it fits and can be used.
func (s *endpoints) buildStream(next, before *served) (err error) {
	if bufferType(&next.config) != config.BufferJetStream {
		return nil
	}
	if before != nil && before.stream != nil && before.stream.fits(&next.config.Buffer) && !before.stream.ended() {
		next.stream, next.relay = before.stream, before.relay
		return below("buffer.jetStream.", natsconn.Check(next.config.Buffer.JetStream.NATS, next.secrets))
	}
	if next.stream, err = openStream(s.o, &next.config, next.secrets); err != nil {
		return err
	}
	s.buffers.streams.add(next.stream)
	if next.relay = new(relay); before != nil && before.relay != nil {
		next.relay = before.relay
	}
	return nil
}

// queueOf returns the endpoint's queue with the settings that it has now; nil if it has none, or a stream that can't be opened.
func (s *endpoints) queueOf(e *served) (buffer.Queue, error) {
	switch {
	case onDisk(&e.config):
		return s.buffers.disk.Queue(e.config.Key(), settingsOf(&e.config))
	case e.stream != nil:
		return e.stream.buffer.Queue(e.config.Key(), settingsOf(&e.config))
	}
	return nil, nil
}

// discardStream closes a stream that was opened for a configuration that is not used.
func (s *endpoints) discardStream(u *served) {
	if before := s.find(u.config.Key()); u.stream == nil || before != nil && before.stream == u.stream {
		return
	}
	s.retireStream(u.stream, nil)
}

// retireStream closes a stream in the background once what delivers from it, which may be nil, has ended.
func (s *endpoints) retireStream(one *stream, last *dispatcher) {
	ended := make(chan struct{})
	close(ended)
	if last != nil {
		ended = last.done
	}
	s.buffers.streams.closeAfter(one, ended, s.o.DrainTimeout+drainMargin, func(err error) {
		s.o.Log.Warn("Stream is not handed over in order", "error", err)
	})
}

// handOverStream has n's stream in place of before's, which may be nil.
func (s *endpoints) handOverStream(n, before *served) {
	if before == nil || before.stream == nil {
		return
	}
	if before.stream != n.stream {
		if before.stream.ended() {
			s.o.Log.Warn("Endpoint's stream is opened anew, as its connection has ended", "endpoint", n.config.Key())
		} else if waiting := before.pending(); waiting > 0 {
			s.o.Log.Info("Endpoint's stream is opened anew: what waits is delivered from there. If it is another stream, or in other servers, it stays in the "+
				"one before until the setting is changed back", "endpoint", n.config.Key(), "pending", waiting)
		}
		s.retireStream(before.stream, before.dispatcher)
		return
	}
	if err := n.stream.conn.Replace(n.secrets); err != nil { // buildStream has checked them
		s.o.Log.Error("Credentials of the stream are not taken", "endpoint", n.config.Key(), "error", err)
	}
}

// storeState returns why an endpoint's events can't be stored now, nil if they can or need not be, and a word of few for that.
func (s *endpoints) storeState(e *served) (word string, err error) {
	switch {
	case onDisk(&e.config):
		if err := s.buffers.disk.Ready(); err != nil {
			return "disk", err
		}
	case e.stream != nil:
		return e.stream.ready()
	}
	return "", nil
}

// bufferStates tells of each endpoint that is served and has a buffer.
func (s *endpoints) bufferStates() []admin.BufferState {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []admin.BufferState
	for key, e := range s.live {
		if state := s.bufferState(e); state != nil {
			state.Endpoint = key
			all = append(all, *state)
		}
	}
	return all
}

// bufferState is nil if the endpoint has no buffer, or cannot work.
func (s *endpoints) bufferState(e *served) *admin.BufferState {
	if !buffered(&e.config) || e.broken != "" {
		return nil
	}
	state := &admin.BufferState{Engine: bufferType(&e.config), Ready: true}
	if word, err := s.storeState(e); err != nil {
		state.Ready, state.Word, state.Reason = false, word, err.Error()
	} else if e.stream != nil {
		state.Reason = e.stream.complaint()
	}
	return state
}

// below has an error begin with the path of what it is about.
func below(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s%w", path, err)
}
