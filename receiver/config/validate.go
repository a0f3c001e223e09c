package config

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// The bounds that Validate keeps.
const (
	// MaxCredentials is how many credentials an endpoint may have at once: enough for any rotation, few enough to try each.
	MaxCredentials = 4
	maxNameBytes   = 253       // of a namespace or a name: what Kubernetes allows
	maxPathBytes   = 1024      // of an endpoint's path
	maxInFlight    = 4096      // attempts at once: each holds an event and a connection
	maxRate        = 1_000_000 // callbacks a second
	maxProblems    = 16        // that one error lists
)

// Validate checks what the types cannot say. The error lists every problem, each with the field's path and what to write instead.
func (c *Config) Validate() error {
	var p problems
	names := make(map[string]int)
	routes := make(map[[2]string]int)
	for i := range c.Endpoints {
		e := &c.Endpoints[i]
		at := fmt.Sprintf("endpoints[%d]", i)
		e.validate(at, &p)
		if first, ok := names[e.Key()]; ok {
			p.add(at+".name", "endpoints[%d] is %s already: list each endpoint once", first, e.Key())
		} else {
			names[e.Key()] = i
		}
		route := [2]string{NormalHost(e.Host), e.Path}
		if first, ok := routes[route]; ok {
			p.add(at+".path", "endpoints[%d] has this host and path already: choose another path", first)
		} else {
			routes[route] = i
		}
	}
	return p.err()
}

// NormalHost is the form in which hosts are compared: without port, brackets and a trailing dot, in lower case.
func NormalHost(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok { // IPv6, with or without a port
		host, _, _ = strings.Cut(inner, "]")
	} else if i := strings.IndexByte(host, ':'); i >= 0 && i == strings.LastIndexByte(host, ':') {
		host = host[:i]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func (e *Endpoint) validate(at string, p *problems) {
	validateName(at+".namespace", e.Namespace, p)
	validateName(at+".name", e.Name, p)
	if !validHost(e.Host) {
		p.add(at+".host", `write a host name such as "hooks.example.com", without scheme or port, or leave it out for any host`)
	}
	validatePath(at+".path", e.Path, p)
	e.Source.validate(at+".source", p)
	e.Target.validate(at+".target", p)
	e.Delivery.validate(at+".delivery", p)
	e.Buffer.validate(at+".buffer", p)
	if e.RateLimit != nil {
		e.RateLimit.validate(at+".rateLimit", p)
	}
}

// validateName keeps names fit for metric labels, headers and keys of the buffer.
func validateName(at, name string, p *problems) {
	bad := func(r rune) bool { return !isAlnum(r) && r != '-' && r != '.' }
	if name == "" || len(name) > maxNameBytes || strings.ContainsFunc(name, bad) || name != strings.ToLower(name) {
		p.add(at, `write a Kubernetes name: lower-case letters, digits, "-" and "."`)
	}
}

func validHost(host string) bool {
	if host == "" {
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	bad := func(r rune) bool { return !isAlnum(r) && r != '-' && r != '.' }
	return len(host) <= maxNameBytes && !strings.ContainsFunc(host, bad) && strings.Trim(host, ".-") != ""
}

// validatePath allows only what no client and no proxy rewrites: no escapes, no empty and no dot segments. So a path can be compared
// byte by byte.
func validatePath(at, path string, p *problems) {
	switch {
	case !strings.HasPrefix(path, "/"):
		p.add(at, `begin it with "/"`)
	case len(path) > maxPathBytes:
		p.add(at, "keep it within %d bytes", maxPathBytes)
	case strings.ContainsFunc(path, func(r rune) bool { return !isAlnum(r) && !strings.ContainsRune("/-._~!$&'()*+,;=:@", r) }):
		p.add(at, `use only letters, digits and "-", ".", "_", "~" between the slashes, unescaped`)
	case strings.Contains(path, "//") || slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return s == "." || s == ".." }):
		p.add(at, `write it without "//", "." and ".." segments: proxies rewrite them`)
	}
}

func isAlnum(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

func (s *Source) validate(at string, p *problems) {
	members := []struct {
		typ, field string
		set        bool
	}{
		{SourceLazada, "lazada", s.Lazada != nil},
		{SourceTencentIM, "tencentIM", s.TencentIM != nil},
	}
	known := false
	for _, m := range members {
		switch {
		case s.Type == m.typ && !m.set:
			p.add(at+"."+m.field, "type is %s: set it", m.typ)
		case s.Type != m.typ && m.set:
			p.add(at+"."+m.field, "type is not %s: remove it or set type: %s", m.typ, m.typ)
		}
		known = known || s.Type == m.typ
	}
	if !known {
		p.add(at+".type", "write %s or %s", SourceLazada, SourceTencentIM)
	}
	if s.Lazada != nil {
		s.Lazada.validate(at+".lazada", p)
	}
	if s.TencentIM != nil {
		s.TencentIM.validate(at+".tencentIM", p)
	}
}

func (l *Lazada) validate(at string, p *problems) {
	if l.AppKey == "" || strings.ContainsFunc(l.AppKey, func(r rune) bool { return !isAlnum(r) }) {
		p.add(at+".appKey", `write the app's key as the console shows it, such as "100132"`)
	}
	validateFiles(at+".appSecretFiles", l.AppSecretFiles, 1, p)
	for i, t := range l.MessageTypes {
		if slices.Contains(l.MessageTypes[:i], t) {
			p.add(fmt.Sprintf("%s.messageTypes[%d]", at, i), "list each message type once")
		}
	}
}

func (t *TencentIM) validate(at string, p *problems) {
	if t.SDKAppID <= 0 {
		p.add(at+".sdkAppID", "write the app's SDKAppID as the console shows it, such as 1400000001")
	}
	if t.Unsigned != "" && t.Unsigned != UnsignedReject && t.Unsigned != UnsignedAccept {
		p.add(at+".unsigned", "write %s or %s", UnsignedReject, UnsignedAccept)
	}
	least := 1
	if t.Unsigned == UnsignedAccept {
		least = 0
	}
	validateFiles(at+".tokenFiles", t.TokenFiles, least, p)
	notNegative(at+".requestTimeTolerance", t.RequestTimeTolerance, p)
	for i, cmd := range t.Commands {
		if cmd == "" || slices.Contains(t.Commands[:i], cmd) {
			p.add(fmt.Sprintf("%s.commands[%d]", at, i), `name each callback command once, such as "C2C.CallbackAfterSendMsg"`)
		}
	}
}

func validateFiles(at string, files []SecretFile, least int, p *problems) {
	if len(files) < least || len(files) > MaxCredentials {
		p.add(at, "list %d to %d files", least, MaxCredentials)
	}
	for i, f := range files {
		validateFile(fmt.Sprintf("%s[%d]", at, i), f, p)
		if slices.Contains(files[:i], f) {
			p.add(fmt.Sprintf("%s[%d]", at, i), "list each file once")
		}
	}
}

func validateFile(at string, f SecretFile, p *problems) {
	if !filepath.IsLocal(string(f)) || strings.ContainsRune(string(f), '\\') || filepath.Clean(string(f)) == "." || !utf8.ValidString(string(f)) {
		p.add(at, `write a path below the secrets directory, such as "lazada-app/app-secret"`)
	}
}

func (d *Delivery) validate(at string, p *problems) {
	if d.Ordering != "" && d.Ordering != OrderingSubject && d.Ordering != OrderingNone {
		p.add(at+".ordering", "write %s or %s", OrderingSubject, OrderingNone)
	}
	if d.MaxInFlight < 0 || d.MaxInFlight > maxInFlight {
		p.add(at+".maxInFlight", "write 1 to %d, or leave it out for 64", maxInFlight)
	}
	r := d.Retry
	notNegative(at+".retry.initialInterval", r.InitialInterval, p)
	notNegative(at+".retry.maxInterval", r.MaxInterval, p)
	notNegative(at+".retry.maxAge", r.MaxAge, p)
	if r.InitialInterval > 0 && r.MaxInterval > 0 && r.InitialInterval > r.MaxInterval {
		p.add(at+".retry.maxInterval", "write at least initialInterval")
	}
}

func (r *RateLimit) validate(at string, p *problems) {
	switch {
	case r.RequestsPerSecond == 0 && r.PerTenant == nil:
		p.add(at, "set requestsPerSecond, perTenant or both, or leave it out for no limit")
	case r.RequestsPerSecond == 0 && r.Burst != 0:
		p.add(at+".burst", "it goes with requestsPerSecond: set that, or leave it out")
	}
	validateRate(at, r.RequestsPerSecond, r.Burst, 0, p)
	if t := r.PerTenant; t != nil {
		validateRate(at+".perTenant", t.RequestsPerSecond, t.Burst, 1, p)
		if r.RequestsPerSecond > 0 && t.RequestsPerSecond > r.RequestsPerSecond {
			p.add(at+".perTenant.requestsPerSecond", "write no more than requestsPerSecond, which bounds all tenants together")
		}
	}
}

func validateRate(at string, rate, burst, least int, p *problems) {
	if rate < least || rate > maxRate {
		p.add(at+".requestsPerSecond", "write 1 to %d", maxRate)
	}
	if burst < 0 || burst > 2*maxRate {
		p.add(at+".burst", "write 1 to %d, or leave it out for twice requestsPerSecond", 2*maxRate)
	}
}

func notNegative(at string, d Duration, p *problems) {
	if d < 0 {
		p.add(at, `write a duration that is not negative, such as "10s"`)
	}
}

// problems collects what Validate finds, up to a number that a person can read.
type problems struct{ list []error }

func (p *problems) add(at, format string, args ...any) {
	p.list = append(p.list, fmt.Errorf("%s: %s", at, fmt.Sprintf(format, args...)))
}

func (p *problems) err() error {
	if extra := len(p.list) - maxProblems; extra > 0 {
		return errors.Join(append(p.list[:maxProblems:maxProblems], fmt.Errorf("and %d more problems", extra))...)
	}
	return errors.Join(p.list...)
}
