package ingest

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestServer_connectionsMayWait opens connections and leaves them alone for longer than a request may take to arrive.
func TestServer_connectionsMayWait(t *testing.T) {
	const requestTimeout = 100 * time.Millisecond
	const request = "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nContent-Length: 3\r\n\r\none"
	tests := map[string]struct {
		before, after string // the wait
		want          string
	}{
		"before the first request":          {after: request, want: "HTTP/1.1 200 OK"},
		"between two requests":              {before: request, after: request, want: "HTTP/1.1 200 OK"},
		"in the head of the first request":  {before: request[:10], after: request[10:]},
		"in the head of the second request": {before: request + request[:10], after: request[10:]},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, ts := serve(t, Options{RequestTimeout: requestTimeout}, &fakeSource{}, &fakeQueue{})
			c, err := net.Dial("tcp", ts.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			if _, err := io.WriteString(c, test.before); err != nil {
				t.Fatal(err)
			}
			answer := make([]byte, 4096)
			if strings.HasPrefix(test.before, request) {
				if _, err := c.Read(answer); err != nil {
					t.Fatal(err)
				}
			}
			// What arrives meanwhile is the end of the connection, if it has one.
			if err := c.SetReadDeadline(time.Now().Add(5 * requestTimeout)); err != nil {
				t.Fatal(err)
			}
			n, err := c.Read(answer)
			timeout, ok := errors.AsType[net.Error](err)
			if waited := n == 0 && ok && timeout.Timeout(); waited != (test.want != "") {
				t.Fatalf("while nothing was sent: %q, %v; want that the connection waits: %t", answer[:n], err, test.want != "")
			}
			if test.want == "" {
				return
			}
			if err := c.SetReadDeadline(time.Time{}); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(c, test.after); err != nil {
				t.Fatal(err)
			}
			if n, err := c.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), test.want) {
				t.Errorf("answer %q, %v; want %s", answer[:n], err, test.want)
			}
		})
	}
}
