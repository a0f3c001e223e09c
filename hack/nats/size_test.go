package nats

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	messagesFlag = flag.Int("nats.messages", 0, "how many events TestSize stores in each way; 0: it is left out")
	quietFlag    = flag.Duration("nats.quiet", 150*time.Second, "after how long of quiet TestSize looks at memory: servers keep what they used last for two minutes")
)

// TestSize prints what an event of 1 KiB takes in nats-server, in memory and on disk, by the way that repeats are recognized: by a subject of its own, which the stream's leader refuses to
// take twice, or by its message id, which each server remembers for the length of the window. The figures of docs/buffers.md are from it.
//
// Memory is what is in use after a collection of garbage. With Go's defaults a server's resident memory is up to twice as much.
//
//	go test ./hack/nats -run Size -v -timeout 30m -args -nats.messages=1000000
func TestSize(t *testing.T) {
	if *messagesFlag == 0 {
		t.Skip("give -nats.messages, such as 1000000")
	}
	for _, nodes := range []int{1, 3} {
		for _, way := range []string{"neither", "subjects", "message ids"} {
			t.Run(fmt.Sprintf("R%d, %s", nodes, way), func(t *testing.T) { size(t, nodes, way) })
		}
	}
}

func size(t *testing.T, nodes int, way string) {
	t.Helper()
	c := start(t, Options{Nodes: nodes, Profile: true})
	conn, js := connect(t, c.URLs()...)
	defer conn.Close()
	window := 2 * time.Minute
	if way == "message ids" {
		window = 7 * time.Hour
	}
	insist(t, "make the stream", func(ctx context.Context) error {
		_, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
			Name: "s", Subjects: []string{"hookbay.>"}, Replicas: nodes, Duplicates: window, Discard: jetstream.DiscardNew,
		})
		return err
	})
	empty := heap(t, c)
	began := time.Now()
	publish(t, js, way)
	took := time.Since(began)
	loaded := heap(t, c)
	<-time.After(*quietFlag)
	quiet := heap(t, c)
	for _, n := range c.Nodes {
		if err := n.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	began = time.Now()
	for _, n := range c.Nodes {
		if err := n.launch(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	back := time.Since(began)
	var state jetstream.StreamState
	insist(t, "ask for the stream", func(ctx context.Context) error {
		stream, err := js.Stream(ctx, "s")
		if err == nil {
			state = stream.CachedInfo().State
		}
		return err
	})
	each := func(bytes int64) float64 { return float64(bytes) / float64(*messagesFlag) / float64(nodes) }
	t.Logf("%d messages in %v; each on each server: %.0f bytes in the stream, %.0f on disk, %.0f of memory while they came, %.0f when all was quiet; a restart took %v",
		state.Msgs, took.Round(time.Second), float64(state.Bytes)/float64(*messagesFlag), each(onDisk(t, c)), each(loaded-empty), each(quiet-empty), back.Round(time.Millisecond))
}

// publish stores the messages.
func publish(t *testing.T, js jetstream.JetStream, way string) {
	t.Helper()
	body := bytes.Repeat([]byte("x"), 1<<10)
	var id [28]byte
	for i := range *messagesFlag {
		_, _ = rand.Read(id[:]) // never fails
		name := base64.RawURLEncoding.EncodeToString(id[:16]) + "." + base64.RawURLEncoding.EncodeToString(id[16:])
		m := &nats.Msg{Subject: "hookbay.shop.lazada-im.e.17", Data: body, Header: nats.Header{}}
		switch way {
		case "subjects":
			m.Subject += "." + name
		case "message ids":
			m.Header.Set(jetstream.MsgIDHeader, name)
		}
		if _, err := js.PublishMsgAsync(m); err != nil {
			t.Fatal(err)
		}
		if i%1000 == 999 || i == *messagesFlag-1 {
			select {
			case <-js.PublishAsyncComplete():
			case <-time.After(patience):
				t.Fatal("it does not take more")
			}
		}
	}
}

// heap is the memory in use of all servers.
func heap(t *testing.T, c *Cluster) int64 {
	t.Helper()
	var sum int64
	for _, n := range c.Nodes {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Profile()+"/debug/pprof/heap?gc=1&debug=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close() // it is read
		if err != nil {
			t.Fatal(err)
		}
		_, figure, ok := strings.Cut(string(text), "# HeapAlloc = ")
		if !ok {
			t.Fatalf("%s tells no HeapAlloc", n.Name)
		}
		var bytes int64
		if _, err := fmt.Sscan(figure, &bytes); err != nil {
			t.Fatal(err)
		}
		sum += bytes
	}
	return sum
}

// onDisk is what all servers have there.
func onDisk(t *testing.T, c *Cluster) int64 {
	t.Helper()
	var sum int64
	for _, n := range c.Nodes {
		err := filepath.WalkDir(n.StoreDir(), func(_ string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			info, err := d.Info()
			if err == nil {
				sum += info.Size()
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return sum
}
