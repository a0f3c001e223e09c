//go:build !unix

package target

// canLook says whether it can be seen that a connection was closed by the other side without waiting for it.
const canLook = false

// quiet says that the other side of an idle connection has neither closed it nor sent anything.
func (c *plainConn) quiet() bool { return false }
