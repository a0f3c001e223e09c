package receivers

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"

	"github.com/hookbay/hookbay/controllers/oneline"
)

// maxText bounds, in bytes, what a receiver can add to a condition.
const maxText = 500

// answerError says what is wrong with a receiver or its answer.
type answerError string

func (e answerError) Error() string { return string(e) }

// inWords turns what went wrong at a page into a text without the ports and addresses that differ each time.
func (c *Client) inWords(p page, err error) error {
	if known, ok := errors.AsType[answerError](err); ok {
		return known
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return answerError("answers " + p.path + " with more than " + strconv.FormatInt(tooLarge.Limit>>10, 10) + " KiB")
	}
	if timeout, ok := errors.AsType[net.Error](err); errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout() {
		return answerError("doesn't answer within " + c.timeout.String())
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return answerError(errno.Error()) // "connection refused", "no route to host": fixed words
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return answerError("closes the connection before it has answered " + p.path)
	}
	return answerError("answers " + p.path + " with something that is not HTTP")
}

// oneLine makes a receiver's text fit for a condition.
func oneLine(s string) string { return oneline.Of(s, maxText) }
