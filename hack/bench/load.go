package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hookbay/hookbay/receiver/source"
	"github.com/hookbay/hookbay/receiver/sources"
)

// subjects is how many sessions the callbacks are spread over.
const subjects = 5000

// result is what one run showed.
type result struct {
	acked    int
	rate     float64 // acknowledged callbacks a second
	p50, p99 time.Duration
	cpu      time.Duration // of the server, for each callback
}

// load keeps connections busy for a while. Every callback is a new event, signed.
func load(ctx context.Context, addr string, connections int, duration time.Duration) (result, error) {
	sim, err := sources.NewSimulator(benchSource, benchSecrets)
	if err != nil {
		return result{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		next  atomic.Int64
		wg    sync.WaitGroup
		times = make([][]time.Duration, connections)
		began = time.Now()
	)
	for i := range connections {
		wg.Go(func() {
			s := sender{sim: sim, sample: sim.Samples()[0], next: &next, until: began.Add(duration)}
			if err := s.run(ctx, addr); err != nil {
				cancel(err)
			}
			times[i] = s.times
		})
	}
	wg.Wait()
	elapsed := time.Since(began)
	if err := context.Cause(ctx); err != nil {
		return result{}, err
	}
	all := slices.Concat(times...)
	if len(all) == 0 {
		return result{}, errors.New("no callback was acknowledged")
	}
	slices.Sort(all)
	return result{
		acked: len(all), rate: float64(len(all)) / elapsed.Seconds(),
		p50: all[len(all)/2], p99: all[len(all)*99/100],
	}, nil
}

// sender is one connection. It speaks just enough HTTP to cost little beside the server.
type sender struct {
	sim    source.Simulator
	sample source.Sample
	next   *atomic.Int64
	until  time.Time
	times  []time.Duration
}

func (s *sender) run(ctx context.Context, addr string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // all that counts has been read
	r := textproto.NewReader(bufio.NewReader(conn))
	var request []byte
	for time.Now().Before(s.until) && ctx.Err() == nil {
		n := int(s.next.Add(1))
		body := s.sim.Vary(s.sample, n, n%subjects)
		signed, err := s.sim.Sign(body, time.Now())
		if err != nil {
			return err
		}
		request = append(request[:0], "POST "+benchPath+" HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"...)
		for name, values := range signed.Header {
			request = append(append(append(append(request, name...), ": "...), values[0]...), "\r\n"...)
		}
		request = append(strconv.AppendInt(append(request, "Content-Length: "...), int64(len(body)), 10), "\r\n\r\n"...)
		request = append(request, body...)
		began := time.Now()
		if _, err := conn.Write(request); err != nil {
			return err
		}
		if err := readAnswer(r); err != nil {
			return err
		}
		s.times = append(s.times, time.Since(began))
	}
	return nil
}

// readAnswer reads one answer and fails unless it is a 200.
func readAnswer(r *textproto.Reader) error {
	status, err := r.ReadLine()
	if err != nil {
		return err
	}
	if len(status) < 12 || status[9:12] != "200" {
		return fmt.Errorf("answer %q, want 200", status)
	}
	length := 0
	for {
		line, err := r.ReadLineBytes()
		if err != nil {
			return err
		}
		if len(line) == 0 {
			break
		}
		if v, ok := cutHeader(line, "Content-Length: "); ok {
			if length, err = strconv.Atoi(v); err != nil {
				return err
			}
		}
	}
	_, err = io.CopyN(io.Discard, r.R, int64(length))
	return err
}

func cutHeader(line []byte, name string) (string, bool) {
	if len(line) < len(name) || string(line[:len(name)]) != name {
		return "", false
	}
	return string(line[len(name):]), true
}
