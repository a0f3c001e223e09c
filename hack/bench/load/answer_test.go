package load

import (
	"strings"
	"testing"
)

func TestParseAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want answer
		ok   bool
		err  string
	}{
		"with a body":                   {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", answer{200, 40, false}, true, ""},
		"without":                       {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", answer{200, 38, false}, true, ""},
		"of a server that writes small": {"HTTP/1.1 503 Service Unavailable\r\ncontent-length:1\r\nconnection: Close\r\n\r\nx", answer{503, 74, true}, true, ""},
		"the head is not all there":     {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", answer{}, false, ""},
		"the body is not all there":     {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", answer{200, 40, false}, false, ""},
		"nothing is there":              {"", answer{}, false, ""},
		"and the next one begins":       {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP", answer{200, 40, false}, true, ""},
		"of another protocol":           {"SSH-2.0-OpenSSH_10\r\n\r\n", answer{}, false, "not HTTP/1"},
		"with a status that is none":    {"HTTP/1.1 abc OK\r\n\r\n", answer{}, false, "abc"},
		"with a length that is none":    {"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", answer{}, false, "Content-Length"},
		"in chunks":                     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", answer{}, false, "known length"},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok, err := parseAnswer([]byte(test.text))
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("the error is %v, want one about %q", err, test.err)
				}
				return
			}
			if err != nil || ok != test.ok || got != test.want {
				t.Errorf("parseAnswer = %+v, %t, %v; want %+v, %t", got, ok, err, test.want, test.ok)
			}
		})
	}
}
