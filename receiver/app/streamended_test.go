package app

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// anyStream is one that is open.
func (f *fixture) anyStream() *stream {
	f.app.buffers.streams.mu.Lock()
	defer f.app.buffers.streams.mu.Unlock()
	for s := range f.app.buffers.streams.open {
		return s
	}
	f.t.Fatal("no stream is open")
	return nil
}

// A stream whose connection the library has closed for good is opened anew, and what was stored is delivered. Nobody has to restart anything, and a newer configuration
// that is refused does not matter.
func TestStream_opensAnewWhenItsConnectionHasEnded(t *testing.T) {
	s := newNATS(t).start()
	f := &fixture{t: t, dir: filepath.Join(t.TempDir(), "data")}
	f.configure(lazada("a", s.inStream(), to("http://blocked/1")), lazada("b", unbuffered))
	f.run(nil)
	f.mustSend("/shop/a", 0, 0)
	before := f.anyStream()
	f.configure(lazada("a", to("http://impossible/")), lazada("b", unbuffered))
	f.eventually("a configuration is refused", func() bool { return f.configz().Refused != nil })
	if err := before.conn.Publish(strings.Repeat("a", 5000), nil); err != nil { // a line longer than servers take
		t.Fatal(err)
	}
	f.eventually("the connection has ended", before.conn.Ended)
	f.eventually("callbacks are stored again", func() bool { return f.send("/shop/a", "hunter2", 1, 1) == http.StatusOK })
	for _, tg := range f.allTargets() {
		tg.open()
	}
	f.eventually("all is delivered", func() bool { return f.different() == 2 })
	f.eventually("nothing waits", func() bool { return strings.Contains(f.get("/metrics"), `hookbay_backlog_events{endpoint="shop/a"} 0`) })
	f.eventually("one connection is left", func() bool { return s.server.NumClients() == 1 })
	if !strings.Contains(f.log.String(), "Endpoint's stream is opened anew, as its connection has ended") {
		t.Error("the log does not tell of it")
	}
	if err := f.end(); err != nil {
		t.Error(err)
	}
	if open := f.open(); open != 0 {
		t.Errorf("%d targets are open, want none", open)
	}
}
