package ingest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/valyala/fasthttp"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/event"
	"github.com/hookbay/hookbay/receiver/source"
)

// signedSource does what a source does for each callback: it reads a digest, signs the body, parses it and takes attributes from it.
type signedSource struct {
	*fakeSource
	keys *source.HMACKeys
}

func (s signedSource) VerifyHead(r *source.Request) (source.Proof, *source.Refusal) {
	_, ok := source.ParseDigest(r.Value("Authorization"))
	if !ok {
		return source.Proof{}, wrongSignature
	}
	return source.Proof{}, nil
}

func (s signedSource) VerifyBody(r *source.Request, proof source.Proof) (source.Proof, *source.Refusal) {
	sum, _ := source.ParseDigest(r.Value("Authorization"))
	if proof.Key = s.keys.Match(&sum, r.Body); proof.Key < 0 {
		return proof, wrongSignature
	}
	return proof, nil
}

func (s signedSource) Identify(dst []event.Event, r *source.Request) ([]event.Event, *source.Refusal) {
	if !gjson.ValidBytes(r.Body) {
		return dst, wrongSignature
	}
	seller, session := gjson.GetBytes(r.Body, "seller_id").String(), gjson.GetBytes(r.Body, "data.session_id").String()
	return append(dst, event.Event{
		ID: event.NewID(seller, session), Type: "test", Subject: source.Attribute(session), Tenant: source.Tenant(seller), Body: r.Body,
	}), nil
}

func (s signedSource) Answer(refusal *source.Refusal) source.Answer {
	if refusal == nil {
		return source.Answer{ContentType: "application/json", Body: []byte(`{}`)}
	}
	return source.Answer{ContentType: "application/json", Body: append(gjson.AppendJSONString([]byte(`{"error":`), refusal.Detail), '}')}
}

var wrongSignature = &source.Refusal{Reason: source.ReasonSignatureWrong, Status: http.StatusUnauthorized, Detail: "the signature does not fit the body"}

// BenchmarkRefusal compares what a callback costs that is refused, by the reason, with one that is accepted: in the handler, without the store and
// without what reading the request from the connection costs.
func BenchmarkRefusal(b *testing.B) {
	const key = "kX7s2Qv9LmT4bWn8RcYd1ZpE6HgJ0uAf"
	now := time.Date(2025, 7, 2, 7, 10, 15, 0, time.UTC)
	usual := []byte(`{"seller_id":"200168","message_type":2,"data":{"session_id":"200168_2_10118227_1_103","filler":"` + strings.Repeat("x", 900) + `"}}`)
	sign := func(body []byte) string {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write(body)
		return hex.EncodeToString(mac.Sum(nil))
	}
	other := strings.Repeat("0", 64)
	kinds := map[string]struct {
		method, uri, authorization string
		body                       []byte
		limit                      *config.RateLimit
		waiting                    int
		want                       int
	}{
		"accepted":                {authorization: sign(usual), want: http.StatusOK},
		"overloaded":              {authorization: sign(usual), waiting: alwaysStored, want: http.StatusServiceUnavailable},
		"rate limited":            {authorization: sign(usual), limit: &config.RateLimit{RequestsPerSecond: 1, Burst: 1}, want: http.StatusTooManyRequests},
		"signature missing":       {want: http.StatusUnauthorized},
		"signature wrong":         {authorization: other, want: http.StatusUnauthorized},
		"signature wrong, 64 KiB": {authorization: other, body: bytes.Repeat([]byte("x"), 64<<10), want: http.StatusUnauthorized},
		"unknown path":            {uri: "/wp-login.php", want: http.StatusNotFound},
		"not POST":                {method: http.MethodGet, want: http.StatusMethodNotAllowed},
	}
	for name, kind := range kinds {
		b.Run(name, func(b *testing.B) {
			q := &fakeQueue{append: func(_ context.Context, events []event.Event) (buffer.Appended, error) {
				return buffer.Appended{Stored: len(events)}, nil
			}}
			h := NewHandler(Options{Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }})
			h.Update([]Endpoint{{
				Name: "shop/a", Path: "/shop/a", Keys: 1, Queue: q, RateLimit: kind.limit,
				Source: signedSource{&fakeSource{within: 500 * time.Millisecond}, source.NewHMACKeys([]string{key})},
			}})
			for range kind.waiting {
				h.pace.enter(now.Add(-time.Minute)) // nothing leaves the queue
			}
			body := kind.body
			if body == nil {
				body = usual
			}
			ctx := &fasthttp.RequestCtx{}
			ctx.Init(&fasthttp.Request{}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1234}, nil)
			r := &ctx.Request
			r.Header.SetMethod(http.MethodPost)
			if kind.method != "" {
				r.Header.SetMethod(kind.method)
			}
			r.Header.SetHost("x")
			r.SetRequestURI("/shop/a")
			if kind.uri != "" {
				r.SetRequestURI(kind.uri)
			}
			r.Header.Set("Authorization", kind.authorization)
			in := &bytes.Reader{}
			serve := func() {
				in.Reset(body)
				r.SetBodyStream(in, len(body))
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
