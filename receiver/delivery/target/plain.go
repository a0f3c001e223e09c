package target

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
	"unicode"

	"golang.org/x/net/idna"
)

// maxPlain bounds a request that plain sends, in bytes. So much always fits into a connection's buffer, so that writing does not wait
// for the target to read: one that answers before it has read all is heard. For more than that it takes net/http's second goroutine.
const maxPlain = 16 << 10

// plain is what there is to know for sending requests to an http target without net/http's transport. That one has two goroutines for each
// connection and hands each request and each answer from one to another, which costs more than all else of an attempt together. Here the
// caller itself writes the request and reads the answer, which net/http parses.
type plain struct {
	address string // what to dial
	before  []byte // a request up to the value of its Content-Length
	after   []byte // the constant fields that follow it
}

// newPlain returns nil if requests are not to be sent by plain: they have to be encrypted, or net/http would not send them, or
// there is no way to look whether a kept connection is still open.
func newPlain(template *http.Request, constant http.Header) *plain {
	if template.URL.Scheme != "http" || !canLook {
		return nil
	}
	host := template.URL.Hostname()
	if !ascii(host) {
		var err error
		if host, err = idna.Lookup.ToASCII(host); err != nil {
			return nil
		}
	}
	port := template.URL.Port()
	if port == "" {
		port = "80"
	}
	// What is the same for all requests is written by net/http, for the very same bytes.
	req := template.Clone(context.Background())
	req.Header = constant
	var written bytes.Buffer
	if err := req.Write(&written); err != nil {
		return nil
	}
	before, after, ok := bytes.Cut(written.Bytes(), []byte("\r\nContent-Length: 0\r\n"))
	if !ok {
		return nil
	}
	return &plain{
		address: net.JoinHostPort(host, port),
		before:  append(bytes.Clone(before), "\r\nContent-Length: "...),
		after:   append([]byte(lineEnd), bytes.TrimSuffix(after, []byte(lineEnd))...),
	}
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] > unicode.MaxASCII {
			return false
		}
	}
	return true
}

// request appends a request with the fields that are its own.
func (p *plain) request(b, fields, body []byte) []byte {
	b = append(b, p.before...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, p.after...)
	b = append(b, fields...)
	b = append(b, lineEnd...)
	return append(b, body...)
}

// size is how long what request appends is at most.
func (p *plain) size(fields, body []byte) int {
	return len(p.before) + len(p.after) + len(fields) + len(body) + len("18446744073709551615") + len(lineEnd)
}

// buffers are where fields and requests are put together.
type buffers struct{ fields, request []byte }

// bufferPool is a pool of *buffers.
type bufferPool struct{ pool sync.Pool }

func (p *bufferPool) get() *buffers {
	if b, ok := p.pool.Get().(*buffers); ok {
		return b
	}
	return &buffers{fields: make([]byte, 0, 1<<10), request: make([]byte, 0, 4<<10)}
}

// put gives back what get returned, unless it has grown beyond what is usual.
func (p *bufferPool) put(b *buffers) {
	if cap(b.fields)+cap(b.request) <= 2*maxPlain {
		b.fields, b.request = b.fields[:0], b.request[:0]
		p.pool.Put(b)
	}
}

// errEnded says that an attempt's time was up, if its context does not say that the receiver stops.
var errEnded = errors.New("the time was up")

// send sends a request over a kept connection or a new one and returns the answer, of which only the header can be read any more. All must be over at
// end. One call is one request: another connection is taken only if not a byte was written to a kept one, which the other side had closed.
func (g *generation) send(ctx context.Context, request []byte, end time.Time) (*http.Response, error) {
	for ctx.Err() == nil && time.Until(end) > 0 {
		c := g.pool.take(end)
		kept := c != nil
		if !kept {
			var err error
			if c, err = g.dial(ctx, end); err != nil {
				return nil, timely(err, end)
			}
		}
		resp, sent, err := c.exchange(ctx, request, end)
		if c.usable {
			g.pool.keep(c)
		} else {
			_ = c.Close() // it is of no more use
		}
		if err == nil {
			return resp, nil
		}
		if sent || !kept {
			return nil, timely(err, end)
		}
	}
	return nil, errEnded
}

// timely returns errEnded for what went wrong when the time was up, or about to be: deadlines of connections and of contexts don't end in the same instant.
func timely(err error, end time.Time) error {
	if time.Until(end) < time.Millisecond {
		return errEnded
	}
	return err
}

func (g *generation) dial(ctx context.Context, end time.Time) (*plainConn, error) {
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	conn, err := g.dialer.DialContext(ctx, "tcp", g.address)
	if err != nil {
		return nil, err
	}
	c := newPlainConn(conn)
	if err := c.SetDeadline(end); err != nil {
		_ = c.Close() // it was never used
		return nil, err
	}
	return c, nil
}

// exchange sends one request and reads the answer to it. The deadline is already set to end. sent says whether the target may have seen any of the request.
func (c *plainConn) exchange(ctx context.Context, request []byte, end time.Time) (resp *http.Response, sent bool, err error) {
	c.usable = false
	stop := context.AfterFunc(ctx, c.interrupt)
	defer func() {
		// An interrupt that has begun may come at any time, also when the connection serves another request.
		if !stop() {
			c.usable = false
		}
	}()
	n, writeErr := c.Write(request)
	if writeErr != nil && n == 0 && c.served {
		return nil, false, writeErr
	}
	c.served = true
	resp, err = c.answer()
	switch {
	case err != nil && writeErr != nil:
		return nil, true, writeErr
	case err != nil:
		return nil, true, err
	case writeErr != nil: // it answered, and closed the connection before it had read all
		return resp, true, nil
	}
	whole := c.drain(ctx, resp, end)
	c.usable = whole && !resp.Close && resp.StatusCode >= http.StatusOK && c.reader.Buffered() == 0
	return resp, true, nil
}

// posted tells the parser what is answered.
var posted = &http.Request{Method: http.MethodPost}

// answer reads the header of the answer, and passes over those of interim ones.
func (c *plainConn) answer() (*http.Response, error) {
	c.left = maxAnswerHeader
	for {
		resp, err := http.ReadResponse(c.reader, posted)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode/100 == 1 && resp.StatusCode != http.StatusSwitchingProtocols {
			continue // it has no body
		}
		c.left = noLimit
		return resp, nil
	}
}

// drain reads what is left of an answer, if that is little and comes soon, and says whether it did.
func (c *plainConn) drain(ctx context.Context, resp *http.Response, end time.Time) bool {
	length := resp.ContentLength
	switch {
	case resp.Body == http.NoBody:
		return true
	case length > maxAnswer || resp.Close && length < 0:
		return false // the connection is to be closed anyway
	case length >= 0 && length <= int64(c.reader.Buffered()):
		_, err := c.reader.Discard(int(length))
		return err == nil
	}
	if until := time.Now().Add(drainTimeout); until.Before(end) {
		if c.SetReadDeadline(until) != nil {
			return false
		}
	}
	if ctx.Err() != nil { // its interrupt may have come before the deadline
		return false
	}
	_, err := io.CopyN(io.Discard, resp.Body, maxAnswer+1)
	return errors.Is(err, io.EOF)
}
