package manifests

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// A URL may lead anywhere but to what hands out the credentials of machines. The API server refuses exceptions outside of their block.
func TestNetworkPolicy_metadata(t *testing.T) {
	e := endpoint("im", func(e *hookbayv1alpha1.WebhookEndpoint) {
		e.Spec.Target = hookbayv1alpha1.Target{Type: hookbayv1alpha1.TargetURL, URL: "https://chat.example.com"}
	})
	open := func(addr netip.Addr) bool {
		for _, rule := range NetworkPolicy(e).Spec.Egress {
			for _, to := range rule.To {
				if to.IPBlock == nil || !netip.MustParsePrefix(to.IPBlock.CIDR).Contains(addr) {
					continue
				}
				excepted := false
				for _, except := range to.IPBlock.Except {
					excepted = excepted || netip.MustParsePrefix(except).Contains(addr)
				}
				if !excepted {
					return true
				}
			}
		}
		return false
	}
	for _, rule := range NetworkPolicy(e).Spec.Egress {
		for _, to := range rule.To {
			if to.IPBlock == nil {
				continue
			}
			for _, except := range to.IPBlock.Except {
				block, hole := netip.MustParsePrefix(to.IPBlock.CIDR), netip.MustParsePrefix(except)
				if !block.Contains(hole.Addr()) || hole.Bits() <= block.Bits() || hole != hole.Masked() {
					t.Errorf("%s can't be excepted from %s", hole, block)
				}
			}
		}
	}
	for addr, want := range map[string]bool{
		"203.0.113.7": true, "10.0.0.1": true, "2001:db8::1": true, "100.100.100.201": true, "168.63.129.15": true,
		"169.254.169.254": false, "100.100.100.200": false, "168.63.129.16": false, "192.0.0.192": false,
		"fe80::1": false, "fd00:ec2::254": false, "fd20:ce::254": false,
	} {
		if got := open(netip.MustParseAddr(addr)); got != want {
			t.Errorf("deliveries may go to %s: %v, want %v", addr, got, want)
		}
	}
}

// Receivers reach the servers of their buffer: in the namespaces of the Services that are named, or anywhere.
func TestNetworkPolicy_servers(t *testing.T) {
	const all = "anywhere"
	tests := map[string]struct {
		urls []string
		want []string
	}{
		"a Service":                       {[]string{"nats://nats.messaging.svc:4222"}, []string{"messaging"}},
		"with the cluster's domain":       {[]string{"nats://nats.messaging.svc.cluster.local:4222", "tls://nats.messaging.svc"}, []string{"messaging"}},
		"pods of a Service":               {[]string{"nats://nats-0.nats.b.svc:4222", "nats://nats-1.nats.a.svc.cluster.local.:4222"}, []string{"a", "b"}},
		"a name that is no Service's":     {[]string{"nats://nats.example.com"}, []string{all}},
		"a Service, by its search domain": {[]string{"nats://nats.messaging"}, []string{all}},
		"one of each":                     {[]string{"nats://nats.messaging.svc:4222", "nats://10.0.0.1:4222"}, []string{all}},
		"a domain that looks like one":    {[]string{"nats://nats.messaging.svc.example.com"}, []string{all}},
	}
	for name, tt := range tests {
		e := endpoint("im", func(e *hookbayv1alpha1.WebhookEndpoint) {
			e.Spec.Buffer = hookbayv1alpha1.Buffer{Type: hookbayv1alpha1.BufferJetStream, JetStream: &hookbayv1alpha1.JetStreamBuffer{}}
			e.Spec.Buffer.JetStream.URLs = tt.urls
		})
		var got []string
		for _, to := range NetworkPolicy(e).Spec.Egress[2].To {
			if to.IPBlock != nil {
				got = []string{all}
				break
			}
			got = append(got, to.NamespaceSelector.MatchLabels[corev1.LabelMetadataName])
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
