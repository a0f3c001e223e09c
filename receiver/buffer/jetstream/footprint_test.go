package jetstream_test

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/buffer/buffertest"
	"github.com/hookbay/hookbay/receiver/buffer/jetstream"
	"github.com/hookbay/hookbay/receiver/event"
)

// heap is what the process has in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestFootprint measures what an event costs the server in memory while its identity is remembered: by its subject, as this package does it, and
// by a message id in the stream's window of duplicates. It is measured in a server that has just started, so that nothing else of the messages
// is in its memory. It measures when HOOKBAY_FOOTPRINT says of how many events.
func TestFootprint(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("HOOKBAY_FOOTPRINT"))
	if n == 0 {
		t.Skip("set HOOKBAY_FOOTPRINT to a number of events, 200000 say")
	}
	tests := map[string]func(testing.TB, *server.Server, int){
		"by subject":     fillBuffer,
		"by message id":  func(t testing.TB, s *server.Server, n int) { fillStream(t, s, n, 7*time.Hour) },
		"without either": func(t testing.TB, s *server.Server, n int) { fillStream(t, s, n, 0) },
	}
	for name, fill := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := natsServer(t, dir, -1)
			fill(t, s, n)
			stop(s)
			before := heap()
			s = natsServer(t, dir, -1)
			defer stop(s)
			js := jetStream(t, s)
			for info := range js.ListStreams(t.Context()).Info() {
				t.Logf("%d events in %d messages, %d bytes of storage for each event", n, info.State.Msgs, info.State.Bytes/uint64(n)) //nolint:gosec // not negative
			}
			t.Logf("%d bytes of memory for each event", (heap()-before)/int64(n))
		})
	}
}

// body is as large as callbacks are.
var body = make([]byte, 700)

// fillBuffer appends and delivers events.
func fillBuffer(t testing.TB, s *server.Server, n int) {
	b := open(t, jetstream.Options{Connect: connect(s.ClientURL())})
	q, err := b.Queue(endpoint, buffertest.Settings())
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < n; i += 500 {
		var batch []event.Event
		for k := range 500 {
			e := numbered(fmt.Sprint("subject", (i+k)%1000), i+k)
			e.Body = body
			batch = append(batch, e)
		}
		if _, err := q.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		for range batch {
			d, err := q.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := q.Settle(t.Context(), d, buffer.Outcome{Verdict: buffer.Delivered}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// fillStream publishes messages of few subjects, with message ids if there is a window.
func fillStream(t testing.TB, s *server.Server, n int, window time.Duration) {
	js := jetStream(t, s)
	if _, err := js.CreateStream(t.Context(), natsjs.StreamConfig{Name: "x", Subjects: []string{"x.*"}, Duplicates: window}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		m := &nats.Msg{Subject: fmt.Sprint("x.", i%32), Data: body, Header: nats.Header{}}
		if window > 0 {
			m.Header.Set(nats.MsgIdHdr, event.NewID(fmt.Sprint(i)).String())
		}
		if _, err := js.PublishMsgAsync(m); err != nil {
			t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
}
