package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/hookbay/hookbay/receiver/buffer"
)

// The defaults of Options.
const (
	DefaultPrefix    = "hookbay"
	DefaultReplicas  = 3
	DefaultLeaseTime = 5 * time.Second
)

// watchInterval is how often the connection is looked at, beside when it tells of a change.
const watchInterval = 500 * time.Millisecond

// File and Memory are the values of Options.Storage.
const (
	File   = "File"
	Memory = "Memory"
)

// Options say where a buffer's streams are and how they are kept.
type Options struct {
	// Connect makes the connection to NATS, which the buffer closes with Close. It must never give up reconnecting, and should return a
	// connection that is still being made if no server can be reached now.
	Connect func() (*nats.Conn, error)
	// Prefix begins the names of streams and subjects. Default: DefaultPrefix.
	Prefix string
	// Stream names a stream that is there already. It is used as found: its settings are checked and never changed, and the buffer has one
	// queue at most. Empty: a stream is made for each endpoint and kept as declared below.
	Stream string
	// Replicas is how many servers keep each event, 1 to 5. Default: DefaultReplicas.
	Replicas int
	// Storage is where the servers keep events, File or Memory. Default: File.
	Storage string
	// MaxBytes bounds the space of a stream: when it is full, Append returns buffer.ErrFull. Zero: unbounded.
	MaxBytes int64
	// MaxAge is when the servers drop an event, settled or not. Zero: never.
	MaxAge time.Duration
	// LeaseTime is after how long a receiver that is not heard of loses its partitions to others. Default: DefaultLeaseTime.
	LeaseTime time.Duration
	// Alone says that no other buffer serves an endpoint below the prefix that this one has no queue for: such an endpoint was removed, and its events are
	// given up when they are older than the settings say that its stream remembers. It must be off where endpoints have buffers of their own, whose
	// receivers may merely be away. Default: the streams of other endpoints are left as they are.
	Alone bool
	// StartWait is how long Queue waits, on first use, for the partitions that no other receiver has, if a server is connected: until then Stats does not
	// know of what is stored. Default: 2 s.
	StartWait time.Duration
	// SweepInterval is how often what is no longer kept is dropped. Default: 1 minute; negative: only when Sweep is called.
	SweepInterval time.Duration
	// Log receives what goes on in the background. Default: none of it.
	Log *slog.Logger
	// Now is the clock that tells ages and due times. Leases go by real time always. Default: time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Replicas == 0 {
		o.Replicas = DefaultReplicas
	}
	if o.Storage == "" {
		o.Storage = File
	}
	if o.LeaseTime == 0 {
		o.LeaseTime = DefaultLeaseTime
	}
	if o.StartWait == 0 {
		o.StartWait = 2 * time.Second
	}
	if o.SweepInterval == 0 {
		o.SweepInterval = time.Minute
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Buffer is a buffer.Buffer in NATS JetStream.
type Buffer struct {
	o  Options
	nc *nats.Conn
	js natsjs.JetStream

	away atomic.Pointer[error] // why there is no connection, as last seen

	ctx     context.Context //nolint:containedctx // it ends what the buffer runs, when Close is called
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	closed chan struct{}
	queues map[string]*queue

	sweeping sync.Mutex // held by whoever sweeps what others have
	others   others     // what is known of endpoints that have a stream and no queue here
}

// Open makes a buffer. It does not wait for NATS: while no server can be reached, Ready says why, and the buffer heals by itself.
func Open(o Options) (*Buffer, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	nc, err := o.Connect()
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	js, err := natsjs.New(nc, natsjs.WithDefaultTimeout(requestTimeout))
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("use JetStream: %w", err)
	}
	b := &Buffer{
		o: o, nc: nc, js: js, closed: make(chan struct{}), queues: map[string]*queue{},
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.look()
	b.running.Go(b.watch)
	if o.SweepInterval > 0 {
		b.running.Go(b.sweepAgainAndAgain)
	}
	return b, nil
}

func (o Options) validate() error {
	switch {
	case o.Connect == nil:
		return errors.New("connect: is missing")
	case o.Replicas < 1 || o.Replicas > 5:
		return fmt.Errorf("replicas: %d is not possible: write 1 to 5", o.Replicas)
	case o.Storage != File && o.Storage != Memory:
		return fmt.Errorf("storage: %q is not known: write %s or %s", o.Storage, File, Memory)
	case o.MaxBytes < 0:
		return fmt.Errorf("maxBytes: %d is negative", o.MaxBytes)
	case o.MaxAge < 0:
		return fmt.Errorf("maxAge: %s is negative", o.MaxAge)
	}
	return nil
}

// Queue implements buffer.Buffer. On first use it waits a moment for the partitions that no other receiver has, if a server is connected.
func (b *Buffer) Queue(endpoint string, s buffer.Settings) (buffer.Queue, error) {
	b.mu.Lock()
	if b.isClosed() {
		b.mu.Unlock()
		return nil, buffer.ErrClosed
	}
	q := b.queues[endpoint]
	if q != nil {
		b.mu.Unlock()
		q.configure(s)
		return q, nil
	}
	if b.o.Stream != "" && len(b.queues) > 0 {
		b.mu.Unlock()
		return nil, fmt.Errorf("stream: %s holds the events of another endpoint: give %s a stream of its own", b.o.Stream, endpoint)
	}
	q = newQueue(b, endpoint, s)
	b.queues[endpoint] = q
	b.mu.Unlock()
	b.others.forget(endpoint)
	q.start()
	q.awaitStart()
	return q, nil
}

// Queues implements buffer.Buffer. Endpoints that have no queue here are found by their streams, unless Options.Stream is set.
func (b *Buffer) Queues() []string {
	var names []string
	served := b.served()
	for name, q := range served {
		if s := q.Stats(); s.Pending > 0 || s.Dead > 0 {
			names = append(names, name)
		}
	}
	for _, name := range b.others.list(b) {
		if served[name] != nil {
			continue
		}
		if s, ok := b.others.peek(b, name); ok && (s.Pending > 0 || s.Dead > 0) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Peek implements buffer.Buffer. What it tells of an endpoint that has no queue here may be some seconds old.
func (b *Buffer) Peek(endpoint string) (buffer.Stats, bool) {
	if q := b.served()[endpoint]; q != nil {
		return q.Stats(), true
	}
	if !slices.Contains(b.others.list(b), endpoint) {
		return buffer.Stats{}, false
	}
	return b.others.peek(b, endpoint)
}

// served returns the queues that were asked for.
func (b *Buffer) served() map[string]*queue {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.queues)
}

// Ready implements buffer.Buffer. An error of one of several queues is the buffer's.
func (b *Buffer) Ready() error {
	if b.isClosed() {
		return buffer.ErrClosed
	}
	if err := b.connected(); err != nil {
		return err
	}
	var errs []error
	for _, q := range b.served() {
		errs = append(errs, q.ready())
	}
	return errors.Join(errs...)
}

// Complaint says what of the streams is not as declared, because the servers refuse it, and what to write instead. Events are stored all the same. Nil if
// there is nothing.
func (b *Buffer) Complaint() error {
	var errs []error
	for _, q := range b.served() {
		if err := q.asDeclared(); err != nil {
			errs = append(errs, fmt.Errorf("stream %s: %w", q.names.stream, err))
		}
	}
	return errors.Join(errs...)
}

// watch keeps an eye on the connection. Asking the connection itself may take as long as a write to a server that takes nothing any more.
func (b *Buffer) watch() {
	changes := b.nc.StatusChanged()
	ticks := time.NewTicker(watchInterval)
	defer ticks.Stop()
	for {
		b.look()
		select {
		case _, there := <-changes:
			if !there {
				changes = nil
			}
		case <-ticks.C:
		case <-b.ctx.Done():
			return
		}
	}
}

// look notes whether there is a connection, and why not.
func (b *Buffer) look() {
	var away error
	if !b.nc.IsConnected() {
		away = errors.New("no connection to NATS: check that a server of urls is running and can be reached")
		if err := b.nc.LastError(); err != nil {
			away = fmt.Errorf("no connection to NATS: %w", err)
		}
	}
	b.away.Store(&away)
}

// connected says why there is no connection.
func (b *Buffer) connected() error { return *b.away.Load() }

// Bytes implements buffer.Buffer: what the streams of its queues take in one server, as last heard, and what was appended here since then.
func (b *Buffer) Bytes() int64 {
	var sum int64
	for _, q := range b.served() {
		sum += q.bytes.Load() + q.since.Load()
	}
	return sum
}

// Close implements buffer.Buffer. The partitions are handed over, so that other receivers need not wait for the leases to end.
func (b *Buffer) Close() error {
	b.mu.Lock()
	if b.isClosed() {
		b.mu.Unlock()
		return nil
	}
	close(b.closed)
	b.mu.Unlock()
	var parting sync.WaitGroup
	for _, q := range b.served() {
		parting.Go(q.close)
	}
	parting.Wait()
	b.cancel()
	b.running.Wait()
	b.nc.Close()
	return nil
}

func (b *Buffer) isClosed() bool {
	select {
	case <-b.closed:
		return true
	default:
		return false
	}
}

var _ buffer.Buffer = (*Buffer)(nil)
