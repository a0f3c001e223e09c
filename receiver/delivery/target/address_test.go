package target

import (
	"net/netip"
	"strings"
	"testing"
)

func TestGuard_check(t *testing.T) {
	tests := map[string]struct {
		addrs       []string
		guard       guard
		wantInError string // empty: allowed
	}{
		"public and private networks": {
			addrs: []string{"203.0.113.7", "10.1.2.3", "192.168.0.1", "100.64.0.1", "2001:db8::1", "fd12::1", "169.253.255.255", "169.255.0.1", "::ffff:10.0.0.1"},
		},
		"loopback where it is allowed":    {addrs: []string{"127.0.0.1", "::1"}},
		"loopback where it is not":        {addrs: []string{"127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"}, guard: guard{forbidLoopback: true}, wantInError: "a loopback address"},
		"link-local":                      {addrs: []string{"169.254.0.0", "169.254.169.254", "169.254.255.255", "fe80::1", "fe80::1%eth0", "febf::1"}, wantInError: "a link-local address"},
		"link-local in IPv6 clothes":      {addrs: []string{"::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::", "::ffff:0:a9fe:a9fe"}, wantInError: "a link-local address"},
		"unspecified":                     {addrs: []string{"0.0.0.0", "::", "::ffff:0.0.0.0", "0.1.2.3"}, wantInError: "the unspecified address"},
		"multicast and broadcast":         {addrs: []string{"224.0.0.1", "239.1.1.1", "255.255.255.255", "ff02::1", "ff0e::1"}, wantInError: "a multicast or broadcast address"},
		"metadata that is not link-local": {addrs: []string{"fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "100.100.100.200", "192.0.0.192", "168.63.129.16", "::ffff:100.100.100.200"}, wantInError: "a cloud metadata address"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for _, a := range tc.addrs {
				addr := netip.MustParseAddr(a)
				err := tc.guard.check(addr)
				dialErr := tc.guard.control(t.Context(), "tcp", netip.AddrPortFrom(addr, 443).String(), nil)
				if (err == nil) != (dialErr == nil) {
					t.Errorf("%s: check says %v, control says %v", a, err, dialErr)
				}
				if tc.wantInError == "" {
					if err != nil {
						t.Errorf("%s: got %v, want allowed", a, err)
					}
				} else if err == nil || !strings.Contains(err.Error(), tc.wantInError) {
					t.Errorf("%s: got %v, want an error with %q", a, err, tc.wantInError)
				}
			}
		})
	}
}

func TestGuard_controlRefusesWhatIsNotAnAddress(t *testing.T) {
	if err := (guard{}).control(t.Context(), "unix", "/run/docker.sock", nil); err == nil {
		t.Error("a socket path was allowed")
	}
}
