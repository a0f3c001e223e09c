package load

import (
	"bytes"
	"fmt"
	"strconv"
)

// answer is the head of an HTTP answer.
type answer struct {
	status int
	size   int // of head and body
	last   bool
}

var (
	headEnd   = []byte("\r\n\r\n")
	lineEnd   = []byte("\r\n")
	lengthKey = []byte("Content-Length")
	closeKey  = []byte("Connection")
	codingKey = []byte("Transfer-Encoding")
)

// parseAnswer reads the answer that buf begins with. It is not ok as long as the head or the body is not all there.
func parseAnswer(buf []byte) (a answer, ok bool, err error) {
	end := bytes.Index(buf, headEnd)
	if end < 0 {
		return a, false, nil
	}
	status, lines, _ := bytes.Cut(buf[:end], lineEnd)
	if len(status) < 12 || string(status[:7]) != "HTTP/1." {
		return a, false, fmt.Errorf("answer begins with %q: it is not HTTP/1", status)
	}
	if a.status, err = strconv.Atoi(string(status[9:12])); err != nil {
		return a, false, fmt.Errorf("answer begins with %q: %w", status, err)
	}
	a.size = end + len(headEnd)
	for len(lines) > 0 {
		var line []byte
		line, lines, _ = bytes.Cut(lines, lineEnd)
		key, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(key, lengthKey):
			n, err := strconv.Atoi(string(value))
			if err != nil {
				return a, false, fmt.Errorf("answer with %q: %w", line, err)
			}
			a.size += n
		case bytes.EqualFold(key, closeKey):
			a.last = bytes.EqualFold(value, []byte("close"))
		case bytes.EqualFold(key, codingKey):
			return a, false, fmt.Errorf("answer with %q: only answers of known length are read", line)
		}
	}
	return a, len(buf) >= a.size, nil
}
