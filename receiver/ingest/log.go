package ingest

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/hookbay/hookbay/receiver/source"
)

// A refusal is logged for each endpoint and reason at this pace: a wrong secret refuses every callback, and one line in a while says it.
const (
	logEvery = 10 * time.Second
	logBurst = 3
)

// throttle paces the lines of one endpoint and reason.
type throttle struct {
	limiter    *rate.Limiter
	suppressed atomic.Int64

	mu  sync.Mutex
	end *time.Timer // tells what is suppressed if no further line does; nil: nothing is
}

func newThrottle() *throttle {
	return &throttle{limiter: rate.NewLimiter(rate.Every(logEvery), logBurst)}
}

// allow returns whether a line may be written now, and how many were left out since the last one, this one included if it is.
func (t *throttle) allow(now time.Time) (int64, bool) {
	if !t.limiter.AllowN(now, 1) {
		return t.suppressed.Add(1), false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.end != nil {
		t.end.Stop()
		t.end = nil
	}
	return t.suppressed.Swap(0), true
}

// tellLater has tell called with how many were left out, unless a line says it before: when a flood goes on, the next one does.
func (t *throttle) tellLater(tell func(suppressed int64)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.end != nil {
		return
	}
	t.end = time.AfterFunc(logEvery+time.Second, func() {
		t.mu.Lock()
		t.end = nil
		n := t.suppressed.Swap(0)
		t.mu.Unlock()
		if n > 0 {
			tell(n)
		}
	})
}

// logRefusal writes why a callback was refused. Neither the query nor the headers are in it: they hold what proves the sender.
func (h *Handler) logRefusal(c *callback, refusal *source.Refusal) {
	t := c.ep.refused[refusal.Reason]
	if t == nil {
		t = c.ep.refused[otherReason]
	}
	suppressed, ok := t.allow(h.now())
	if !ok {
		if suppressed == 1 {
			name := c.ep.Name // the callback is used again
			t.tellLater(func(n int64) {
				h.log.Warn("More callbacks were refused", "endpoint", name, "reason", string(refusal.Reason), "status", refusal.Status, "count", n)
			})
		}
		return
	}
	remote, _, err := net.SplitHostPort(c.ctx.RemoteAddr().String())
	if err != nil {
		remote = c.ctx.RemoteAddr().String()
	}
	attrs := []slog.Attr{
		slog.String("endpoint", c.ep.Name), slog.String("reason", string(refusal.Reason)), slog.Int("status", refusal.Status),
		slog.String("detail", refusal.Detail), slog.String("remote", remote), slog.Int64("suppressed", suppressed),
	}
	if c.cause != nil {
		attrs = append(attrs, slog.Any("error", c.cause))
	}
	level := slog.LevelWarn
	if refusal.Status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	h.log.LogAttrs(context.Background(), level, "Callback refused", attrs...)
}

// panicked makes a refusal of a panic.
func (h *Handler) panicked(c *callback, p any) *source.Refusal {
	c.borrowed = true // nobody knows who still reads it
	h.logPanic(c.ep, p)
	return &source.Refusal{Reason: source.ReasonInternal, Status: http.StatusInternalServerError, Detail: "internal error, send it again"}
}

// logPanic writes where a panic came from. What it says is left out unless it is the runtime's own: it might quote the callback.
func (h *Handler) logPanic(ep *endpoint, p any) {
	what := "withheld"
	if err, ok := p.(runtime.Error); ok {
		what = err.Error()
	}
	h.log.Error("Callback handling panicked", "endpoint", ep.Name, "panic", what, "stack", string(debug.Stack()))
}
