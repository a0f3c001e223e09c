package disk

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/event"
)

// gatedFS is a file system whose syncs of data wait, once it is shut, until they are let through one by one.
type gatedFS struct {
	vfs.FS
	shut          atomic.Bool
	entered, pass chan struct{}
}

func (g *gatedFS) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return gatedFile{f, g}, nil
}

func (g *gatedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return g.wrap(g.FS.Create(name, category))
}

func (g *gatedFS) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return g.wrap(g.FS.ReuseForWrite(from, to, category))
}

type gatedFile struct {
	vfs.File
	gate *gatedFS
}

func (f gatedFile) SyncData() error {
	if f.gate.shut.Load() {
		f.gate.entered <- struct{}{}
		<-f.gate.pass
	}
	return f.File.SyncData()
}

// An event whose retry is not durable yet may be leased again and delivered. Its follower waits for the delivery's own sync, not for the retry's.
func TestSettle_followerWaitsForTheLastSettlement(t *testing.T) {
	fs := &gatedFS{FS: vfs.NewMem(), entered: make(chan struct{}), pass: make(chan struct{})}
	b, bq := openQueueAt(t, Options{FS: fs})
	q := bq.(*queue) //nolint:forcetypeassert // what this package makes
	for _, id := range []string{"first", "second"} {
		if _, err := q.Append(t.Context(), []event.Event{{ID: event.NewID(id), Subject: "s", Received: b.now()}}); err != nil {
			t.Fatal(err)
		}
	}
	lease := func() *buffer.Delivery {
		t.Helper()
		d, err := q.lease()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	settled := make(chan error, 1)
	settle := func(d *buffer.Delivery, o buffer.Outcome) {
		go func() { settled <- q.Settle(t.Context(), d, o) }()
	}
	first := lease()
	fs.shut.Store(true)
	settle(first, buffer.Outcome{Verdict: buffer.Retry, RetryAt: b.now()})
	<-fs.entered // the retry is applied and its sync is under way
	again := lease()
	if again == nil || again.Event.ID != event.NewID("first") || again.Attempt != 2 {
		t.Fatalf("leased %+v, want the first event for the second time", again)
	}
	settle(again, buffer.Outcome{Verdict: buffer.Delivered})
	for q.waitingCount() == 0 { // until the delivery is the next to be applied, behind the retry
		runtime.Gosched()
	}
	fs.pass <- struct{}{}
	if err := <-settled; err != nil {
		t.Fatal(err)
	}
	<-fs.entered // the retry is durable, and the delivery is not
	if d := lease(); d != nil {
		t.Errorf("%v is handed out before the delivery of its predecessor is durable", d.Event.ID)
	}
	fs.shut.Store(false)
	fs.pass <- struct{}{}
	if err := <-settled; err != nil {
		t.Fatal(err)
	}
	if d := lease(); d == nil || d.Event.ID != event.NewID("second") {
		t.Errorf("leased %+v, want the second event", d)
	}
}

func (q *queue) waitingCount() int {
	q.line.mu.Lock()
	defer q.line.mu.Unlock()
	return len(q.line.waiting)
}
