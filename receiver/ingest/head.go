package ingest

import (
	"bytes"
	"strings"

	"github.com/valyala/fasthttp"
)

// checkHead says whether a head means the same to every server that it may have come through, and whether it asks for the connection to end with the
// answer. fasthttp refuses most of what does not; this is what it lets pass and net/http does not:
//
//   - a length twice over: by Transfer-Encoding and by Content-Length (RFC 9112, section 6.1),
//   - an encoding that is no encoding: Transfer-Encoding says "chunked" or nothing,
//   - a header of two lines (RFC 9112, section 5.2), or has a space in its name,
//   - a version of HTTP that this is not,
//   - an Expect of what nobody knows,
//   - a Host with bytes that no host has,
//   - "close" among other words of Connection, or in other letters, or taken back by a second Connection.
//
// What follows the last chunk of a body fasthttp reads more kindly than net/http, and nobody can look at that. So a request in chunks, which neither
// platform sends, is the last one of its connection.
func checkHead(head *fasthttp.RequestHeader) (proper, last bool) {
	if version := string(head.Protocol()); version != "HTTP/1.1" && version != "HTTP/1.0" {
		return false, true
	}
	var length, encoded bool
	for rest := head.RawHeaders(); len(rest) > 0; {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte{'\n'})
		name, value, ok := bytes.Cut(line, []byte{':'})
		switch {
		case !ok && len(bytes.TrimRight(line, "\r")) > 0, bytes.ContainsAny(name, " \t"):
			return false, true
		case isName(name, "host"):
			if !isHost(bytes.TrimSpace(value)) {
				return false, true
			}
		case isName(name, "content-length"):
			length = true
		case isName(name, "transfer-encoding"):
			encoded, last = true, true
			if !isName(bytes.TrimSpace(value), "chunked") {
				return false, true
			}
		case isName(name, "expect"):
			if !isName(bytes.TrimSpace(value), "100-continue") {
				return false, true
			}
		case isName(name, "connection"):
			last = last || hasClose(value)
		}
	}
	return !length || !encoded, last
}

// isName compares what is a token of ASCII letters in any case with want, which is in lower case.
func isName(got []byte, want string) bool {
	return len(got) == len(want) && bytes.EqualFold(got, []byte(want))
}

// isHost says whether there is nothing in a host that RFC 3986, sections 3.2.2 and 3.2.3, has no place for.
func isHost(host []byte) bool {
	for _, b := range host {
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		case strings.IndexByte("!$%&'()*+,-.:;=[]_~", b) < 0:
			return false
		}
	}
	return true
}

func hasClose(connection []byte) bool {
	for word := range bytes.SplitSeq(connection, []byte{','}) {
		if isName(bytes.TrimSpace(word), "close") {
			return true
		}
	}
	return false
}
