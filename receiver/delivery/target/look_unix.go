//go:build unix

package target

import (
	"errors"
	"syscall"
)

// canLook says whether it can be seen that a connection was closed by the other side without waiting for it.
const canLook = true

// quiet says that the other side of an idle connection has neither closed it nor sent anything.
func (c *plainConn) quiet() bool {
	var one [1]byte
	n, err := 0, error(nil)
	if c.raw.Control(func(fd uintptr) {
		n, err = syscall.Read(int(fd), one[:]) // #nosec G115 -- a file's number; the system doesn't wait for data, see package net
	}) != nil {
		return false
	}
	return n < 0 && (errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR))
}
