package process

import (
	"net"
	"strconv"
	"testing"
)

func TestFreeAddresses(t *testing.T) {
	addresses, err := FreeAddresses(t.Context(), 50)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, address := range addresses {
		_, text, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		port, err := strconv.Atoi(text)
		if err != nil || port < firstPort || port >= lastPort {
			t.Errorf("%s: want a port from %d to %d", address, firstPort, lastPort)
		}
		if seen[address] {
			t.Errorf("%s comes twice", address)
		}
		seen[address] = true
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Errorf("nobody should have it: %v", err)
			continue
		}
		defer func() { _ = l.Close() }()
	}
}
