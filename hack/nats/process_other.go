//go:build !linux

package nats

import "syscall"

// dieWithParent is nothing that this system can do.
func dieWithParent() *syscall.SysProcAttr { return nil }
