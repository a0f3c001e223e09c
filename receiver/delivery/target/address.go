package target

import (
	"context"
	"fmt"
	"net/netip"
	"syscall"
)

// metadataAddresses are those of cloud metadata services that are not link-local. They hand out the credentials of the machine.
var metadataAddresses = [...]netip.Addr{
	netip.MustParseAddr("100.100.100.200"), // Alibaba Cloud
	netip.MustParseAddr("168.63.129.16"),   // Azure
	netip.MustParseAddr("192.0.0.192"),     // Oracle Cloud
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
	netip.MustParseAddr("fd20:ce::254"),    // Google Cloud
}

// nat64 is the prefix below which RFC 6052 embeds IPv4 addresses.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// forbiddenAddressError is a target address that deliveries never go to.
type forbiddenAddressError struct {
	addr netip.Addr
	kind string
}

func (e *forbiddenAddressError) Error() string {
	return fmt.Sprintf("%s is %s address: deliveries never go there", e.addr, e.kind)
}

// guard decides where deliveries may go.
type guard struct {
	// forbidLoopback also refuses 127.0.0.0/8 and ::1.
	forbidLoopback bool
}

// control is a net.Dialer's ControlContext. It sees every address that is dialled after names are resolved, so a name that
// changes its address between a check and its use gets around nothing.
func (g guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %q: want an IP address and a port: %w", address, err)
	}
	return g.check(ap.Addr())
}

// check returns a *forbiddenAddressError if deliveries may not go to addr.
func (g guard) check(addr netip.Addr) error {
	a := addr.Unmap().WithZone("")
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	kind := ""
	switch {
	case a.IsUnspecified():
		kind = "the unspecified"
	case a.IsLinkLocalUnicast():
		kind = "a link-local"
	case a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		kind = "a multicast or broadcast"
	case g.forbidLoopback && a.IsLoopback():
		kind = "a loopback"
	}
	for _, m := range metadataAddresses {
		if a == m {
			kind = "a cloud metadata"
		}
	}
	if kind == "" {
		return nil
	}
	return &forbiddenAddressError{addr: addr, kind: kind}
}
