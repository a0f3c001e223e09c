package process

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports are taken from below those that systems give to outgoing connections: one of these could get the port of a program while it is not listening
// yet, or no longer.
const (
	firstPort = 10_000
	lastPort  = 32_000
	portTries = 100
)

// FreeAddresses returns different addresses of this machine that programs may listen on, again and again.
func FreeAddresses(ctx context.Context, n int) ([]string, error) {
	addresses := make([]string, 0, n)
	var errs []error
	for len(addresses) < n {
		port := firstPort + rand.N(lastPort-firstPort) //nolint:gosec // no secret
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			if errs = append(errs, err); len(errs) == portTries {
				return nil, fmt.Errorf("find a free port: %w", errors.Join(errs...))
			}
			continue
		}
		defer func() { _ = l.Close() }() // all at the end, so that they differ
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}

// FreeAddress returns one.
func FreeAddress(ctx context.Context) (string, error) {
	addresses, err := FreeAddresses(ctx, 1)
	if err != nil {
		return "", err
	}
	return addresses[0], nil
}
