//go:build !linux

package process

import "syscall"

// dieWithParent is nothing that this system can do.
func dieWithParent() *syscall.SysProcAttr { return nil }
