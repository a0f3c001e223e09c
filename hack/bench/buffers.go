//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hookbay/hookbay/hack/bench/load"
	"github.com/hookbay/hookbay/hack/bench/report"
	"github.com/hookbay/hookbay/hack/bench/server"
	"github.com/hookbay/hookbay/receiver/config"
)

// buffering is one way to keep events, or none, and where they go.
type buffering struct {
	name   string
	buffer config.Buffer
	// served says that servers other than the receiver and an HTTP target take part.
	served bool
	// target makes what is delivered to, fresh for each turn, and what ends it. Nil: delivery is suspended.
	target func(context.Context, *stage) (config.Target, func() error, error)
}

// bufferConnections are how many callers there are, one after the other, and many.
var bufferConnections = []int{1, usualConnections}

// buffers measures how fast callbacks are acknowledged by each kind of buffer, and without one by each kind of target. Sources make no difference to it: it takes the first.
func buffers(ctx context.Context, o *options, s *report.Section) (err error) {
	st, err := newStage(ctx, o.scratch)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	s.Servers = st.versions
	source := o.sources[0]
	callback, err := load.NewCallback(source, usualSize)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		what string
		ways []buffering
	}{{report.StoredOnly, st.storing()}, {report.WhileDelivering, st.delivering()}} {
		for _, connections := range bufferConnections {
			c := report.Cell{What: part.what, Source: source, Size: usualSize, Connections: connections}
			for range o.rounds {
				for _, way := range part.ways {
					r, err := o.bufferTurn(ctx, st, source, way, load.Options{Callback: callback, Connections: connections, Duration: 2 * o.duration})
					if err != nil {
						return fmt.Errorf("%s, %s, %d connections: %w", part.what, way.name, connections, err)
					}
					c.Add(way.name, r)
					tell(c, way.name, r)
				}
			}
			s.Cells = append(s.Cells, c)
		}
	}
	return nil
}

// bufferTurn measures one turn: a receiver of its own with a stream, a topic and a target of its own.
func (o *options) bufferTurn(ctx context.Context, st *stage, source string, way buffering, l load.Options) (_ report.Run, err error) {
	if err := st.clear(ctx); err != nil {
		return report.Run{}, err
	}
	dir, err := os.MkdirTemp(o.scratch, "turn-")
	if err != nil {
		return report.Run{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // scratch space
	ro := server.ReceiverOptions{Program: o.receiver, Dir: filepath.Join(dir, "receiver"), Sources: []string{source}, Buffer: way.buffer}
	if way.target != nil {
		target, end, err := way.target(ctx, st)
		if err != nil {
			return report.Run{}, err
		}
		defer func() { err = errors.Join(err, end()) }()
		ro.To = &target
	}
	receiver, err := server.StartReceiver(ctx, ro)
	if err != nil {
		return report.Run{}, err
	}
	defer func() { err = errors.Join(err, receiver.Kill()) }()
	s := &running{Process: receiver.Process}
	if way.buffer.Type != config.BufferNone {
		s.receiver = receiver
	}
	l.Addr = receiver.Addr
	warm := l
	warm.Duration = o.warmUp
	first, err := load.Run(ctx, warm)
	if err != nil {
		return report.Run{}, errors.Join(fmt.Errorf("warm up: %w", err), s.Alive())
	}
	l.First, s.stored = first.Next, first.Accepted
	before, err := st.cpu()
	if err != nil {
		return report.Run{}, err
	}
	r, err := s.measure(ctx, l)
	if err != nil {
		return r, err
	}
	after, err := st.cpu()
	accepted := r.Rate * r.Took.Seconds()
	if way.served {
		r.Servers = report.MicrosOf(after-before) / report.Micros(accepted)
	}
	if way.served && way.target == nil {
		r.Stored = float64(st.stored()) / float64(s.stored)
	}
	return r, err
}

// storing are the kinds of buffers, while nothing is delivered.
func (st *stage) storing() []buffering {
	return []buffering{
		{name: "Disk", buffer: config.Buffer{Type: config.BufferDisk}},
		{name: "JetStream, R1, synced", served: true, buffer: st.jetStream(st.single, 1)},
		{name: "JetStream, R1", served: true, buffer: st.jetStream(st.cluster, 1)},
		{name: "JetStream, R3", served: true, buffer: st.jetStream(st.cluster, 3)},
	}
}

// delivering are the kinds of buffers, and none, while events are delivered to a target.
func (st *stage) delivering() []buffering {
	var ways []buffering
	for _, way := range st.storing() {
		way.name += " → HTTP"
		way.target = httpTarget
		ways = append(ways, way)
	}
	none := config.Buffer{Type: config.BufferNone}
	return append(ways,
		buffering{name: "None → HTTP", buffer: none, target: httpTarget},
		buffering{name: "None → Kafka", served: true, buffer: none, target: kafkaTarget},
		buffering{name: "None → JetStream, R3", served: true, buffer: none, target: jetStreamTarget},
	)
}

// httpTarget is the sink of section end-to-end.
func httpTarget(ctx context.Context, _ *stage) (config.Target, func() error, error) {
	sink, err := server.StartBaseline(ctx, server.Sink, "")
	if err != nil {
		return config.Target{}, nil, err
	}
	return config.Target{Type: config.TargetHTTP, URL: "http://" + sink.Addr + "/events"}, sink.Kill, nil
}

// settleTime is how long servers may take to make or remove a stream.
const settleTime = time.Minute
