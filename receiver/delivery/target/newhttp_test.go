package target

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/hookbay/hookbay/receiver/config"
)

func TestNewHTTP_refuses(t *testing.T) {
	tests := map[string]struct {
		config  config.Target
		secrets config.Secrets
		options HTTPOptions
		want    string // in the error
	}{
		"no URL":              {config.Target{}, nil, HTTPOptions{}, "target.url is not an absolute http or https URL"},
		"a relative URL":      {config.Target{URL: "/events"}, nil, HTTPOptions{}, "target.url is not an absolute"},
		"another scheme":      {config.Target{URL: "ftp://example.com"}, nil, HTTPOptions{}, "target.url is not an absolute"},
		"no host":             {config.Target{URL: "http://:8080/"}, nil, HTTPOptions{}, "target.url is not an absolute"},
		"not a URL":           {config.Target{URL: "http://u:hidden@h:port"}, nil, HTTPOptions{}, "target.url is not an absolute"},
		"a user name":         {config.Target{URL: "http://u:hidden@example.com"}, nil, HTTPOptions{}, "target.url holds a user name"},
		"a fragment":          {config.Target{URL: "http://example.com/#hidden"}, nil, HTTPOptions{}, "target.url has a fragment"},
		"a link-local IPv4":   {config.Target{URL: "http://169.254.169.254/latest"}, nil, HTTPOptions{}, "is a link-local address"},
		"a link-local IPv6":   {config.Target{URL: "http://[fe80::1%25eth0]:80/"}, nil, HTTPOptions{}, "is a link-local address"},
		"a mapped link-local": {config.Target{URL: "http://[::ffff:169.254.1.1]/"}, nil, HTTPOptions{}, "is a link-local address"},
		"loopback in a pod":   {config.Target{URL: "http://127.0.0.1:9090"}, nil, HTTPOptions{ForbidLoopback: true}, "is a loopback address"},
		"a bad header name": {
			config.Target{URL: "http://h", Headers: []config.Header{{Name: "X-A"}, {Name: "X B"}}}, nil, HTTPOptions{},
			`target.headers[1].name "X B" is not a header name`,
		},
		"a bad header value": {
			config.Target{URL: "http://h", Headers: []config.Header{{Name: "X-A", Value: "hidden\r\n"}}}, nil, HTTPOptions{},
			"target.headers[0].value (of X-A) has a line break",
		},
		"a header of the event": {
			config.Target{URL: "http://h", Headers: []config.Header{{Name: "ce-id", Value: "hidden"}}}, nil, HTTPOptions{},
			"target.headers[0].name: Ce-Id is set by Hookbay itself",
		},
		"a header of the connection": {
			config.Target{URL: "http://h", Headers: []config.Header{{Name: "transfer-encoding"}}}, nil, HTTPOptions{},
			"target.headers[0].name: Transfer-Encoding is set by Hookbay itself",
		},
		"Authorization twice": {
			config.Target{URL: "http://h", BearerTokenFile: "t", Headers: []config.Header{{Name: "authorization", Value: "hidden"}}},
			config.Secrets{"t": "hidden"}, HTTPOptions{}, "Authorization is set by the bearer token",
		},
		"no bearer token": {
			config.Target{URL: "http://h", BearerTokenFile: "t"}, nil, HTTPOptions{}, `target.bearerTokenFile: secret file "t" is missing`,
		},
		"a bearer token that no server takes": {
			config.Target{URL: "http://h", BearerTokenFile: "t"}, config.Secrets{"t": strings.Repeat("hidden", 20000)}, HTTPOptions{},
			`target.bearerTokenFile: secret file "t" holds 120000 bytes, and a credential has 16384 at most`,
		},
		"a bearer token of two lines": {
			config.Target{URL: "http://h", BearerTokenFile: "t"}, config.Secrets{"t": "hidden\nhidden"}, HTTPOptions{},
			`target.bearerTokenFile "t" holds a line break`,
		},
		"an empty CA bundle": {
			config.Target{URL: "https://h", CABundleFile: "ca"}, config.Secrets{"ca": ""}, HTTPOptions{}, `target.caBundleFile: secret file "ca" is empty`,
		},
		"a CA bundle without certificates": {
			config.Target{URL: "https://h", CABundleFile: "ca"}, config.Secrets{"ca": "hidden"}, HTTPOptions{}, `target.caBundleFile "ca" holds no certificate`,
		},
		"no signing secret": {
			config.Target{URL: "http://h", SigningSecretFile: "s"}, nil, HTTPOptions{}, `target.signingSecretFile: secret file "s" is missing`,
		},
		"a signing secret without its prefix": {
			config.Target{URL: "http://h", SigningSecretFile: "s"}, config.Secrets{"s": "hidden"}, HTTPOptions{}, `target.signingSecretFile "s": `,
		},
		"an empty signing secret": {
			config.Target{URL: "http://h", SigningSecretFile: "s"}, config.Secrets{"s": "whsec_"}, HTTPOptions{}, `target.signingSecretFile "s": `,
		},
		"a signing secret that is not base64": {
			config.Target{URL: "http://h", SigningSecretFile: "s"}, config.Secrets{"s": "whsec_hidden!"}, HTTPOptions{}, "is not base64",
		},
		"a signing secret that is too short": {
			config.Target{URL: "http://h", SigningSecretFile: "s"}, config.Secrets{"s": signingSecret(23)}, HTTPOptions{},
			`target.signingSecretFile "s": the signing secret is 23 bytes long: want "whsec_" and the base64 of 24 to 64 random bytes`,
		},
		"a signing secret that is too long": {
			config.Target{URL: "http://h", SigningSecretFile: "s"}, config.Secrets{"s": signingSecret(65)}, HTTPOptions{},
			`target.signingSecretFile "s": the signing secret is 65 bytes long: want "whsec_" and the base64 of 24 to 64 random bytes`,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := NewHTTP(tc.config, tc.secrets, tc.options)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want an error with %q", err, tc.want)
			}
			if strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), signingSecret(12)) {
				t.Errorf("the error %q tells a secret", err)
			}
		})
	}
}

// signingSecret returns a secret whose key has n bytes. Longer ones begin like shorter ones.
func signingSecret(n int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("key"), n)[:n])
}

func TestHTTP_signingSecretsOfAllLengths(t *testing.T) {
	for n := minKey; n <= maxKey; n++ {
		h, err := NewHTTP(config.Target{URL: "http://h", SigningSecretFile: "s"}, config.Secrets{"s": signingSecret(n)}, HTTPOptions{})
		if err != nil {
			t.Errorf("%d bytes: %v", n, err)
			continue
		}
		h.Close()
	}
}

func TestHTTP_extraHeaders(t *testing.T) {
	var got http.Header
	var host string
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) { got, host = r.Header, r.Host })
	h := newTarget(t, s.URL, func(c *config.Target, secrets config.Secrets, _ *HTTPOptions) {
		c.Headers = []config.Header{
			{Name: "x-tenant", Value: "shop"}, {Name: "X-Tenant", Value: "second"}, {Name: "user-agent", Value: "Shop/1"}, {Name: "host", Value: "chat.example.com"},
		}
		c.BearerTokenFile = "token"
		secrets["token"] = "secret-token"
	})
	for range 2 {
		if r := h.Send(t.Context(), sampleEvent(), 1); r.Class != Delivered {
			t.Fatalf("got %+v", r)
		}
		want := map[string][]string{"X-Tenant": {"shop", "second"}, "User-Agent": {"Shop/1"}, "Authorization": {"Bearer secret-token"}, "Host": nil}
		for name, values := range want {
			if diff := cmp.Diff(values, got.Values(name)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		if host != "chat.example.com" {
			t.Errorf("got host %q", host)
		}
	}
}

func TestHTTP_signature(t *testing.T) {
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	var stamps []string
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := hook.VerifyIgnoringTimestamp(body, r.Header); err != nil {
			t.Errorf("signature: %v", err)
		}
		if err := hook.VerifyIgnoringTimestamp(append(body, ' '), r.Header); err == nil {
			t.Error("the signature is good for another body")
		}
		if got, want := r.Header.Get("webhook-id"), r.Header.Get("ce-id"); got != want {
			t.Errorf("webhook-id: got %q, want the event's id %q", got, want)
		}
		stamps = append(stamps, r.Header.Get("webhook-timestamp"))
	})
	clock := time.Unix(1_700_000_000, 999_999_999)
	h := newTarget(t, s.URL, func(c *config.Target, secrets config.Secrets, o *HTTPOptions) {
		c.SigningSecretFile = "sign"
		secrets["sign"] = secret
		o.Now = func() time.Time { return clock }
	})
	e := sampleEvent()
	e.Body = []byte("\xff\x00%d{}")
	for attempt := range 2 {
		if r := h.Send(t.Context(), e, attempt+1); r.Class != Delivered {
			t.Fatalf("got %+v", r)
		}
		clock = clock.Add(time.Minute)
	}
	if diff := cmp.Diff([]string{"1700000000", "1700000060"}, stamps); diff != "" {
		t.Errorf("webhook-timestamp of two attempts (-want +got):\n%s", diff)
	}
	clock = now // fresh: the whole check passes too
	fresh := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := hook.Verify(body, r.Header); err != nil {
			t.Errorf("verify: %v", err)
		}
	})
	h = newTarget(t, fresh.URL, func(c *config.Target, secrets config.Secrets, _ *HTTPOptions) {
		c.SigningSecretFile = "sign"
		secrets["sign"] = secret
	})
	if r := h.Send(t.Context(), e, 1); r.Class != Delivered {
		t.Errorf("got %+v", r)
	}
}

// bundleOf is a CA bundle that a server's certificate is accepted by.
func bundleOf(s *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

func TestHTTP_caBundle(t *testing.T) {
	tests := map[string]struct {
		http2     bool
		wantProto string
	}{
		"HTTP/1.1": {false, "HTTP/1.1"},
		"HTTP/2":   {true, "HTTP/2.0"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var proto string
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { proto = r.Proto }))
			s.EnableHTTP2 = tc.http2
			s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			s.StartTLS()
			t.Cleanup(s.Close)
			bundle := bundleOf(s)
			withBundle := func(c *config.Target, secrets config.Secrets, _ *HTTPOptions) {
				c.CABundleFile = "ca"
				secrets["ca"] = "# our own\n" + bundle
			}
			h := newTarget(t, s.URL, withBundle)
			if r := h.Send(t.Context(), sampleEvent(), 1); r.Class != Delivered || proto != tc.wantProto {
				t.Errorf("got %+v over %s, want delivered over %s", r, proto, tc.wantProto)
			}
			h = newTarget(t, strings.Replace(s.URL, "127.0.0.1", "localhost", 1), withBundle)
			if r := h.Send(t.Context(), sampleEvent(), 1); r.Outcome != OutcomeTLS || !strings.Contains(r.Detail, "not localhost") {
				t.Errorf("a certificate of another name: got %+v", r)
			}
		})
	}
}

func TestNewHTTP_defaults(t *testing.T) {
	h, err := NewHTTP(config.Target{URL: "http://h"}, nil, HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if h.timeout != 10*time.Second || h.connections.maxIdle != 64 || h.constant.Get(HeaderReceiver) == "" {
		t.Errorf("got timeout %v, %d idle connections, receiver %q", h.timeout, h.connections.maxIdle, h.constant.Get(HeaderReceiver))
	}
}
