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
	netip.MustParseAddr("fd20:ce::254"),    // Google Cloud
}

// embedding are the prefixes below which IPv6 carries IPv4 addresses, and at which byte: they must not be a way around.
var embedding = [...]struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},    // NAT64, RFC 6052
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12},  // NAT64 of a network's own, RFC 8215
	{netip.MustParsePrefix("2002::/16"), 2},        // 6to4, RFC 3056
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12}, // translated, RFC 2765
}

// metadataPrefixes are those below which clouds keep services for machines: AWS has more than one.
var metadataPrefixes = [...]netip.Prefix{netip.MustParsePrefix("fd00:ec2::/32")}

// thisNetwork is 0.0.0.0/8, which some systems take for the machine itself.
var thisNetwork = netip.MustParsePrefix("0.0.0.0/8")

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
	for _, e := range embedding {
		if e.prefix.Contains(a) {
			b := a.As16()
			a = netip.AddrFrom4([4]byte(b[e.at : e.at+4]))
			break
		}
	}
	kind := ""
	switch {
	case a.IsUnspecified(), thisNetwork.Contains(a):
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
	for _, p := range metadataPrefixes {
		if p.Contains(a) {
			kind = "a cloud metadata"
		}
	}
	if kind == "" {
		return nil
	}
	return &forbiddenAddressError{addr: addr, kind: kind}
}
