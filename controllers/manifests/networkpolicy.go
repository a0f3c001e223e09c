package manifests

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// portDNS is where names are asked for.
const portDNS = 53

// NetworkPolicy bounds what receivers talk to: callbacks from anywhere, the admin port for the cluster's pods, names, the target, and the
// servers of a JetStream buffer. Ports are numbers, because not every network plug-in resolves their names in each pod.
func NetworkPolicy(e *hookbayv1alpha1.WebhookEndpoint) *networkingv1.NetworkPolicy {
	egress := []networkingv1.NetworkPolicyEgressRule{
		// Names are asked for wherever the node says, which can be a link-local address of its own.
		{Ports: append(ports(corev1.ProtocolUDP, portDNS), ports(corev1.ProtocolTCP, portDNS)...)},
		{To: targetPeers(&e.Spec.Target)},
	}
	if j := e.Spec.Buffer.JetStream; j != nil && e.Spec.Buffer.Type == hookbayv1alpha1.BufferJetStream {
		egress = append(egress, networkingv1.NetworkPolicyEgressRule{To: serverPeers(j.URLs)})
	}
	return &networkingv1.NetworkPolicy{
		TypeMeta:   typeMeta(networkingv1.SchemeGroupVersion, "NetworkPolicy"),
		ObjectMeta: child(e),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: Labels(e)}, // those that drain as well: they still deliver
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{
				// The platform, through whatever leads it here: that can be anything, also outside of the cluster. Verification is the guard.
				{Ports: ports(corev1.ProtocolTCP, PortCallbacks)},
				// The control plane and Prometheus, in whatever namespace they run. The kubelet's probes come from the node itself, which
				// network plug-ins always let through.
				{Ports: ports(corev1.ProtocolTCP, PortAdmin), From: []networkingv1.NetworkPolicyPeer{clusterPods()}},
			},
			Egress: egress,
		},
	}
}

// targetPeers are where deliveries may go, on any port: what a Service's port leads to is not known here. Brokers of Kafka may be anywhere, as
// they say themselves where they are.
func targetPeers(t *hookbayv1alpha1.Target) []networkingv1.NetworkPolicyPeer {
	switch {
	case t.Type == hookbayv1alpha1.TargetService:
		return []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{}}} // the pods of this namespace
	case t.Type == hookbayv1alpha1.TargetJetStream && t.JetStream != nil:
		return serverPeers(t.JetStream.URLs)
	}
	return anywhere()
}

// serverPeers are where NATS servers may be. Servers of one cluster tell clients of each other, so if all that are named are Services of some
// namespaces, they are pods there, on any port; else they may be anywhere.
func serverPeers(urls []string) []networkingv1.NetworkPolicyPeer {
	namespaces := map[string]bool{}
	for _, raw := range urls {
		u, err := url.Parse(raw)
		if err != nil {
			return anywhere()
		}
		// SERVICE.NAMESPACE.svc or POD.SERVICE.NAMESPACE.svc, alone or with the usual domain: with another it could be a name of the Internet.
		service, found := strings.CutSuffix(strings.TrimSuffix(strings.TrimSuffix(u.Hostname(), "."), ".cluster.local"), ".svc")
		labels := strings.Split(service, ".")
		if !found || len(labels) < 2 || len(labels) > 3 {
			return anywhere()
		}
		namespaces[labels[len(labels)-1]] = true
	}
	var peers []networkingv1.NetworkPolicyPeer
	for _, namespace := range slices.Sorted(maps.Keys(namespaces)) {
		peers = append(peers, networkingv1.NetworkPolicyPeer{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
		})
	}
	return peers
}

// anywhere is all addresses but those that hand out credentials to whoever asks.
func anywhere() []networkingv1.NetworkPolicyPeer {
	return []networkingv1.NetworkPolicyPeer{
		// Link-local addresses are those of nodes and clouds, such as the metadata that hold credentials. Some clouds keep these elsewhere: the
		// receiver refuses the same addresses, and this stands behind it.
		{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0", Except: []string{
			"169.254.0.0/16",
			"100.100.100.200/32", // Alibaba Cloud
			"168.63.129.16/32",   // Azure
			"192.0.0.192/32",     // Oracle Cloud
		}}},
		{IPBlock: &networkingv1.IPBlock{CIDR: "::/0", Except: []string{
			"fe80::/10",
			"fd00:ec2::/32",    // AWS
			"fd20:ce::254/128", // Google Cloud
		}}},
		clusterPods(), // some network plug-ins match pods by selectors only, never by address
	}
}

func clusterPods() networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{}}
}

func ports(protocol corev1.Protocol, port int32) []networkingv1.NetworkPolicyPort {
	return []networkingv1.NetworkPolicyPort{{Protocol: new(protocol), Port: new(intstr.FromInt32(port))}}
}
