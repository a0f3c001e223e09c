package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// valid returns an endpoint that nothing is wrong with, changed by change.
func valid(change func(*Endpoint)) Endpoint {
	e := Endpoint{
		Namespace: "shop", Name: "lazada-im", Path: "/shop/lazada-im",
		Source: Source{Type: SourceLazada, Lazada: &Lazada{AppKey: "100132", AppSecretFiles: []SecretFile{"lazada-app/app-secret"}}},
		Target: Target{Type: TargetHTTP, URL: "http://chat.shop.svc:8080/events"},
	}
	if change != nil {
		change(&e)
	}
	return e
}

func tencent(change func(*TencentIM)) func(*Endpoint) {
	return func(e *Endpoint) {
		im := &TencentIM{SDKAppID: 1400000001, TokenFiles: []SecretFile{"im/token"}}
		change(im)
		e.Source = Source{Type: SourceTencentIM, TencentIM: im}
	}
}

func limited(r RateLimit) func(*Endpoint) { return func(e *Endpoint) { e.RateLimit = &r } }

func TestValidate_accepts(t *testing.T) {
	tests := map[string]func(*Endpoint){
		"the least":          nil,
		"a host":             func(e *Endpoint) { e.Host = "hooks.example.com" },
		"an address as host": func(e *Endpoint) { e.Host = "::1" },
		"the root path":      func(e *Endpoint) { e.Path = "/" },
		"a trailing slash":   func(e *Endpoint) { e.Path = "/shop/" },
		"no buffer": func(e *Endpoint) {
			e.Buffer = Buffer{Type: BufferNone, DeduplicationWindow: 1, Retention: new(Duration)}
		},
		"a rate limit": func(e *Endpoint) { e.RateLimit = &RateLimit{RequestsPerSecond: 1_000_000, Burst: 2_000_000} },
		"a limit for tenants": func(e *Endpoint) {
			e.RateLimit = &RateLimit{PerTenant: &TenantRateLimit{RequestsPerSecond: 1, Burst: 1}}
		},
		"accepted without signature": tencent(func(im *TencentIM) { im.Unsigned, im.TokenFiles = UnsignedAccept, nil }),
		"a signature with four keys": tencent(func(im *TencentIM) { im.TokenFiles = []SecretFile{"a", "b", "c", "d"} }),
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			c := Config{Endpoints: []Endpoint{valid(change)}}
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestValidate_refuses(t *testing.T) {
	const at = "endpoints[0]."
	second := Duration(time.Second)
	negative := -second
	tests := map[string]struct {
		change  func(*Endpoint)
		wantErr string
	}{
		"no namespace":          {func(e *Endpoint) { e.Namespace = "" }, at + "namespace: write a Kubernetes name"},
		"a slash in the name":   {func(e *Endpoint) { e.Name = "a/b" }, at + "name: write a Kubernetes name"},
		"a port in the host":    {func(e *Endpoint) { e.Host = "example.com:443" }, at + "host: write a host name"},
		"a scheme in the host":  {func(e *Endpoint) { e.Host = "https://example.com" }, at + "host: write a host name"},
		"no path":               {func(e *Endpoint) { e.Path = "" }, at + `path: begin it with "/"`},
		"an escaped path":       {func(e *Endpoint) { e.Path = "/a%2Fb" }, at + "path: use only letters"},
		"a query in the path":   {func(e *Endpoint) { e.Path = "/a?b" }, at + "path: use only letters"},
		"a dot segment":         {func(e *Endpoint) { e.Path = "/a/../b" }, at + `path: write it without "//"`},
		"an empty segment":      {func(e *Endpoint) { e.Path = "/a//b" }, at + `path: write it without "//"`},
		"a long path":           {func(e *Endpoint) { e.Path = "/" + strings.Repeat("a", 1024) }, at + "path: keep it within 1024"},
		"no source type":        {func(e *Endpoint) { e.Source.Type = "" }, at + "source.type: write Lazada or TencentIM"},
		"another type's member": {func(e *Endpoint) { e.Source.Type = SourceTencentIM }, at + "source.lazada: type is not Lazada"},
		"no member":             {func(e *Endpoint) { e.Source.Lazada = nil }, at + "source.lazada: type is Lazada: set it"},
		"no app key":            {func(e *Endpoint) { e.Source.Lazada.AppKey = "" }, at + "source.lazada.appKey: write the app's key"},
		"no secret":             {func(e *Endpoint) { e.Source.Lazada.AppSecretFiles = nil }, at + "source.lazada.appSecretFiles: list 1 to 4 files"},
		"a secret twice": {func(e *Endpoint) { e.Source.Lazada.AppSecretFiles = []SecretFile{"a", "a"} },
			at + "source.lazada.appSecretFiles[1]: list each file once"},
		"a secret outside": {func(e *Endpoint) { e.Source.Lazada.AppSecretFiles = []SecretFile{"../a"} },
			at + "source.lazada.appSecretFiles[0]: write a path below the secrets directory"},
		"a type twice": {func(e *Endpoint) { e.Source.Lazada.MessageTypes = []int64{2, 2} }, at + "source.lazada.messageTypes[1]: list each"},
		"no app id":    {tencent(func(im *TencentIM) { im.SDKAppID = 0 }), at + "source.tencentIM.sdkAppID: write the app's SDKAppID"},
		"no token":     {tencent(func(im *TencentIM) { im.TokenFiles = nil }), at + "source.tencentIM.tokenFiles: list 1 to 4 files"},
		"five tokens":  {tencent(func(im *TencentIM) { im.TokenFiles = []SecretFile{"a", "b", "c", "d", "e"} }), at + "source.tencentIM.tokenFiles: list 1 to 4"},
		"an odd word":  {tencent(func(im *TencentIM) { im.Unsigned = "yes" }), at + "source.tencentIM.unsigned: write Reject or Accept"},
		"no command":   {tencent(func(im *TencentIM) { im.Commands = []string{""} }), at + "source.tencentIM.commands[0]: name each"},
		"a negative tolerance": {tencent(func(im *TencentIM) { im.RequestTimeTolerance = negative }),
			at + "source.tencentIM.requestTimeTolerance: write a duration that is not negative"},
		"another target":        {func(e *Endpoint) { e.Target.Type = "Pigeon" }, at + "target.type: write HTTP, Kafka or JetStream"},
		"another scheme":        {func(e *Endpoint) { e.Target.URL = "ftp://x/" }, at + "target.url: write an address"},
		"no target host":        {func(e *Endpoint) { e.Target.URL = "http:///x" }, at + "target.url: write an address"},
		"a password in the URL": {func(e *Endpoint) { e.Target.URL = "http://u:hunter2@x/" }, at + "target.url: remove the user information"},
		"a broken URL":          {func(e *Endpoint) { e.Target.URL = "http://u:hunter2@x/%zz" }, at + "target.url: write an address"},
		"a fragment":            {func(e *Endpoint) { e.Target.URL = "http://x/#a" }, at + `target.url: remove "#"`},
		"a negative timeout":    {func(e *Endpoint) { e.Target.Timeout = negative }, at + "target.timeout: write a duration"},
		"a header without name": {func(e *Endpoint) { e.Target.Headers = []Header{{}} }, at + "target.headers[0].name: write a header's name"},
		"a header with a break": {func(e *Endpoint) { e.Target.Headers = []Header{{"X", "a\r\nhunter2"}} }, at + "target.headers[0].value: write it without"},
		"two authorizations": {func(e *Endpoint) {
			e.Target.BearerTokenFile, e.Target.Headers = "t", []Header{{"authorization", "hunter2"}}
		}, at + "target.headers[0].name: bearerTokenFile sets Authorization"},
		"a token outside":       {func(e *Endpoint) { e.Target.BearerTokenFile = "/etc/passwd" }, at + "target.bearerTokenFile: write a path below"},
		"an odd order":          {func(e *Endpoint) { e.Delivery.Ordering = "Strict" }, at + "delivery.ordering: write Subject or None"},
		"too many at once":      {func(e *Endpoint) { e.Delivery.MaxInFlight = 5000 }, at + "delivery.maxInFlight: write 1 to 4096"},
		"a short last interval": {func(e *Endpoint) { e.Delivery.Retry = Retry{InitialInterval: 2 * second, MaxInterval: second} }, at + "delivery.retry.maxInterval: write at least"},
		"another buffer":        {func(e *Endpoint) { e.Buffer.Type = "Tape" }, at + "buffer.type: write Disk, JetStream or None, or leave it out for Disk"},
		"a negative size":       {func(e *Endpoint) { e.Buffer.MaxBytes = -1 }, at + "buffer.maxBytes: write a number of bytes"},
		"a limit of nothing":    {limited(RateLimit{}), at + "rateLimit: set requestsPerSecond, perTenant or both"},
		"a negative rate":       {limited(RateLimit{RequestsPerSecond: -1}), at + "rateLimit.requestsPerSecond: write 1 to 1000000"},
		"a burst without rate":  {limited(RateLimit{Burst: 1, PerTenant: &TenantRateLimit{RequestsPerSecond: 1}}), at + "rateLimit.burst: it goes with"},
		"a huge burst":          {limited(RateLimit{RequestsPerSecond: 1, Burst: 2_000_001}), at + "rateLimit.burst: write 1 to 2000000"},
		"no rate for tenants":   {limited(RateLimit{PerTenant: &TenantRateLimit{}}), at + "rateLimit.perTenant.requestsPerSecond: write 1 to"},
		"tenants above all": {limited(RateLimit{RequestsPerSecond: 1, PerTenant: &TenantRateLimit{RequestsPerSecond: 2}}),
			at + "rateLimit.perTenant.requestsPerSecond: write no more than"},
		"a negative retention": {func(e *Endpoint) { e.Buffer.Retention = &negative }, at + "buffer.retention: write a duration"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := Config{Endpoints: []Endpoint{valid(tt.change)}}
			err := c.Validate()
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Fatalf("error is %v, want one with %q", err, tt.wantErr)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error quotes a secret: %v", err)
			}
		})
	}
}

func TestValidate_listsEveryProblem(t *testing.T) {
	same := valid(nil)
	sameRoute := valid(func(e *Endpoint) { e.Name, e.Host = "b", "HOOKS.example.com." })
	c := Config{Endpoints: []Endpoint{valid(func(e *Endpoint) { e.Host = "hooks.example.com" }), same, sameRoute}}
	err := c.Validate()
	want := "endpoints[1].name: endpoints[0] is shop/lazada-im already: list each endpoint once\n" +
		"endpoints[2].path: endpoints[0] has this host and path already: choose another path"
	if err == nil || err.Error() != want {
		t.Errorf("error is\n%v\nwant\n%s", err, want)
	}

	c = Config{Endpoints: make([]Endpoint, 20)}
	if lines := strings.Split(fmt.Sprint(c.Validate()), "\n"); len(lines) != maxProblems+1 || !strings.HasSuffix(lines[maxProblems], "more problems") {
		t.Errorf("error has %d lines, the last being %q, want %d and the number of others", len(lines), lines[len(lines)-1], maxProblems+1)
	}
}

func TestNormalHost(t *testing.T) {
	tests := map[string]string{
		"hooks.example.com": "hooks.example.com", "Hooks.Example.COM:8443": "hooks.example.com", "hooks.example.com.:443": "hooks.example.com",
		"127.0.0.1:80": "127.0.0.1", "[::1]:80": "::1", "[::1]": "::1", "::1": "::1", "": "", ":80": "",
	}
	for host, want := range tests {
		if got := NormalHost(host); got != want {
			t.Errorf("NormalHost(%q) = %q, want %q", host, got, want)
		}
	}
}
