package process

import "syscall"

// dieWithParent makes the kernel kill the program when this one ends, however.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
