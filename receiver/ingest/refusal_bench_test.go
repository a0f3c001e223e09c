package ingest

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
	"github.com/hookbay/hookbay/receiver/sources/lazada"
	"github.com/hookbay/hookbay/receiver/sources/tencentim"
)

// platform is an endpoint of a real source, and a recorded callback to it.
type platform struct {
	endpoint Endpoint
	body     []byte
	signed   source.Signed
}

func platforms(b *testing.B, now time.Time) map[string]platform {
	b.Helper()
	secrets, files := config.Secrets{"key": "3412gyo124goi3124"}, []config.SecretFile{"key"}
	lzd, tim := config.Lazada{AppKey: "100132", AppSecretFiles: files}, config.TencentIM{SDKAppID: 1400000001, TokenFiles: files}
	made := make(map[string]platform)
	add := func(name string, src source.Source, sim source.Simulator, errs ...error) {
		for _, err := range errs {
			if err != nil {
				b.Fatal(err)
			}
		}
		p := platform{body: sim.Samples()[0].Body}
		var err error
		if p.signed, err = sim.Sign(p.body, now); err != nil {
			b.Fatal(err)
		}
		p.endpoint = Endpoint{Name: "shop/a", Path: "/shop/a", Source: src, Keys: 1, Queue: &fakeQueue{
			append: func(_ context.Context, events []event.Event) (buffer.Appended, error) {
				return buffer.Appended{Stored: len(events)}, nil
			},
		}}
		made[name] = p
	}
	lazadaSource, err1 := lazada.New(lzd, secrets)
	lazadaSimulator, err2 := lazada.NewSimulator(lzd, secrets)
	add("lazada", lazadaSource, lazadaSimulator, err1, err2)
	tencentSource, err1 := tencentim.New(tim, secrets)
	tencentSimulator, err2 := tencentim.NewSimulator(tim, secrets)
	add("tencentim", tencentSource, tencentSimulator, err1, err2)
	return made
}

// BenchmarkRefusal compares what a callback costs that is refused, by the reason, with one that is accepted: in the handler, without the store and
// without what reading the request from the connection costs.
func BenchmarkRefusal(b *testing.B) {
	now := time.Date(2025, 7, 2, 7, 10, 15, 0, time.UTC)
	large := bytes.Repeat([]byte("x"), 1<<20)
	kinds := []struct {
		name   string
		want   int
		change func(h *Handler, p *platform, r *fasthttp.Request)
	}{
		{"accepted", http.StatusOK, func(*Handler, *platform, *fasthttp.Request) {}},
		{"overloaded", http.StatusServiceUnavailable, func(h *Handler, _ *platform, _ *fasthttp.Request) {
			for range alwaysStored {
				h.pace.enter(now.Add(-time.Minute))
			}
		}},
		{"rate limited", http.StatusTooManyRequests, func(h *Handler, p *platform, _ *fasthttp.Request) {
			p.endpoint.RateLimit = &config.RateLimit{PerTenant: &config.TenantRateLimit{RequestsPerSecond: 1, Burst: 1}}
		}},
		{"signature missing", http.StatusUnauthorized, func(_ *Handler, p *platform, r *fasthttp.Request) {
			r.Header.Del("Authorization")
			r.SetRequestURI("/shop/a?" + strings.Replace(p.signed.Query, "Sign=", "Signed=", 1))
		}},
		{"signature wrong", http.StatusUnauthorized, func(_ *Handler, p *platform, r *fasthttp.Request) { spoil(p, r) }},
		{"signature wrong, 1 MiB", http.StatusUnauthorized, func(_ *Handler, p *platform, r *fasthttp.Request) {
			p.body = large
			spoil(p, r)
		}},
		{"unknown path", http.StatusNotFound, func(_ *Handler, _ *platform, r *fasthttp.Request) { r.SetRequestURI("/wp-login.php") }},
		{"not POST", http.StatusMethodNotAllowed, func(_ *Handler, _ *platform, r *fasthttp.Request) { r.Header.SetMethod(http.MethodGet) }},
	}
	for name, made := range platforms(b, now) {
		for _, kind := range kinds {
			b.Run(name+"/"+kind.name, func(b *testing.B) {
				p := made
				h := NewHandler(Options{Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }})
				ctx := &fasthttp.RequestCtx{}
				ctx.Init(&fasthttp.Request{}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1234}, nil)
				r := &ctx.Request
				r.Header.SetMethod(http.MethodPost)
				r.Header.SetHost("x")
				r.SetRequestURI("/shop/a?" + p.signed.Query)
				r.Header.Set("Authorization", p.signed.Header.Get("Authorization"))
				kind.change(h, &p, r)
				h.Update([]Endpoint{p.endpoint})
				in := &bytes.Reader{}
				serve := func() {
					in.Reset(p.body)
					r.SetBodyStream(in, len(p.body))
					h.ServeHTTP(ctx)
				}
				serve() // a rate limit takes one
				serve()
				if got := ctx.Response.StatusCode(); got != kind.want {
					b.Fatalf("status is %d, want %d", got, kind.want)
				}
				b.ReportAllocs()
				for b.Loop() {
					serve()
				}
			})
		}
	}
}

// spoil makes the signature one of something else.
func spoil(p *platform, r *fasthttp.Request) {
	other := strings.Repeat("0", 64)
	r.Header.Set("Authorization", other)
	if before, after, ok := strings.Cut(p.signed.Query, "Sign="); ok {
		r.SetRequestURI("/shop/a?" + before + "Sign=" + other + after[64:])
	}
}
