package ingest

import (
	"bufio"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestTable_find(t *testing.T) {
	h := NewHandler(Options{})
	src, q := &fakeSource{}, &fakeQueue{}
	h.Update([]Endpoint{
		{Name: "any host", Path: "/a", Source: src, Queue: q},
		{Name: "one host", Host: "Hooks.example.com", Path: "/a", Source: src, Queue: q},
		{Name: "only there", Host: "hooks.example.com", Path: "/b", Source: src, Queue: q},
		{Name: "odd letters", Path: "/a!b'(c)*;d=1,2@x:y", Source: src, Queue: q},
		{Name: "a slash at the end", Path: "/c/", Source: src, Queue: q},
	})
	tests := map[string]struct{ target, host, want string }{
		"any host":                     {"/a", "other.example.com", "any host"},
		"no host":                      {"/a", "", "any host"},
		"the host that is named":       {"/a", "hooks.example.com", "one host"},
		"in another case, with a port": {"/a", "HOOKS.example.com:8443", "one host"},
		"with a dot at the end":        {"/a", "hooks.example.com.", "one host"},
		"a path of that host only":     {"/b", "hooks.example.com", "only there"},
		"that path on another host":    {"/b", "other.example.com", ""},
		"a host that begins like it":   {"/b", "hooks.example.com.evil", ""},
		"with a query":                 {"/a?x=1&y=/b", "x", "any host"},
		"the whole address":            {"http://hooks.example.com/a", "ignored", "one host"},
		"odd letters":                  {"/a!b'(c)*;d=1,2@x:y", "x", "odd letters"},
		"a slash at the end":           {"/c/", "x", "a slash at the end"},
		"without that slash":           {"/c", "x", ""},
		"a slash too many":             {"/a/", "x", ""},
		"a doubled slash":              {"//a", "x", ""},
		"an encoded slash":             {"/c%2F", "x", ""},
		"an encoded letter":            {"/%61", "x", ""},
		"a dot segment":                {"/x/../a", "x", ""},
		"an encoded dot segment":       {"/x/%2e%2e/a", "x", ""},
		"another case":                 {"/A", "x", ""},
		"an encoded question mark":     {"/a%3Fx", "x", ""},
		"the server as a whole":        {"*", "x", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			method, version := "POST ", " HTTP/1.1"
			if tt.host == "" {
				version = " HTTP/1.0"
			}
			if tt.target == "*" {
				method = "OPTIONS "
			}
			var head fasthttp.RequestHeader
			if err := head.Read(bufio.NewReader(strings.NewReader(method + tt.target + version + "\r\nHost: " + tt.host + "\r\n\r\n"))); err != nil {
				t.Fatal(err)
			}
			got := ""
			if ep := h.table.Load().find(&head); ep != nil {
				got = ep.Name
			}
			if got != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}
