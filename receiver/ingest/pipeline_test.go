package ingest

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// A stranger's requests are answered one at a time: what it sends before it has its answer is the last of its connection.
func TestServer_pipelines(t *testing.T) {
	const (
		unknown = "GET /wp-login.php HTTP/1.1\r\nHost: x\r\n\r\n"
		wrong   = "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: bad\r\nContent-Length: 3\r\n\r\none"
		good    = "POST /shop/a HTTP/1.1\r\nHost: x\r\nKey: good\r\nContent-Length: 3\r\n\r\none"
	)
	tests := map[string]struct {
		blocks []string // each is sent when the one before is answered
		want   int      // answers
		open   bool     // afterwards
	}{
		"a stranger's requests, one after another": {blocks: []string{unknown, wrong, unknown, wrong}, want: 4, open: true},
		"a stranger's requests, all at once":       {blocks: []string{strings.Repeat(unknown, 100)}, want: 2},
		"wrong keys, all at once":                  {blocks: []string{strings.Repeat(wrong, 100)}, want: 2},
		"a stranger that waits at first":           {blocks: []string{unknown, unknown + unknown}, want: 3},
		"good callbacks, all at once":              {blocks: []string{strings.Repeat(good, 20)}, want: 20, open: true},
		"one that has proven itself":               {blocks: []string{good, strings.Repeat(unknown, 20)}, want: 21, open: true},
		"a good callback that comes too soon":      {blocks: []string{unknown + good + good}, want: 3, open: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, ts := serve(t, Options{}, &fakeSource{}, &fakeQueue{})
			c := connect(t, ts.addr)
			got := 0
			for _, block := range tt.blocks {
				if _, err := io.WriteString(c, block); err != nil {
					t.Fatal(err)
				}
				for range strings.Count(block, "Host:") {
					res, err := http.ReadResponse(c.in, nil)
					if err != nil {
						break
					}
					if _, err := io.Copy(io.Discard, res.Body); err != nil {
						t.Fatal(err)
					}
					_ = res.Body.Close()
					got++
				}
			}
			status, err := c.callBack("last")
			if open := err == nil && status == http.StatusOK; got != tt.want || open != tt.open {
				t.Errorf("%d answers, and it is still open: %t; want %d and %t", got, open, tt.want, tt.open)
			}
		})
	}
}
