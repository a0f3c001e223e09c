package cluster

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"
	frame "sigs.k8s.io/e2e-framework/pkg/types"
	"sigs.k8s.io/yaml"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// rights are what everybody has, and nothing more.
func (c *cluster) rights() frame.Feature {
	return features.New("everybody has the rights that are needed, and no others").
		WithSetup("endpoints are there", step(c.begin)).
		Assess("the manager's account, in its own namespace", step(func(t *testing.T) {
			c.managerMay(t, system, "ClusterRole/hookbay-manager", "ClusterRole/hookbay-metrics-auth", "Role/hookbay-manager")
		})).
		Assess("the manager's account, in any other", step(func(t *testing.T) {
			c.managerMay(t, shop, "ClusterRole/hookbay-manager", "ClusterRole/hookbay-metrics-auth")
		})).
		Assess("receivers have no token", step(c.noToken)).
		Assess("network policies let receivers talk to their target, and to nobody else", step(c.policies)).
		Assess("nothing is delivered to link-local addresses", step(c.linkLocal)).
		Feature()
}

// managerMay compares what the API server lets the manager do, as kubectl auth can-i --list tells, with roles of config/rbac. What every
// account may is left out.
func (c *cluster) managerMay(t *testing.T, namespace string, roles ...string) {
	t.Helper()
	want := map[string]bool{}
	declared := rolesInRepository(t)
	for _, role := range roles {
		rules, ok := declared[role]
		if !ok {
			t.Fatalf("config/rbac has no %s", role)
		}
		for _, r := range rules {
			flatten(want, r.Verbs, r.APIGroups, r.Resources, r.ResourceNames)
		}
	}
	got := c.may(t, namespace, release+"-manager")
	for right := range c.may(t, namespace, "nobody-in-particular") {
		delete(got, right)
	}
	sorted := func(m map[string]bool) []string { return slices.Sorted(maps.Keys(m)) }
	if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
		t.Errorf("rights in namespace %s (-config/rbac +API server):\n%s", namespace, diff)
	}
}

// rolesInRepository are the rules of the roles in config/rbac, by kind and name.
func rolesInRepository(t *testing.T) map[string][]rbacv1.PolicyRule {
	t.Helper()
	text, err := os.ReadFile("../../../config/rbac/role.yaml")
	if err != nil {
		t.Fatal(err)
	}
	roles := map[string][]rbacv1.PolicyRule{}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var role rbacv1.ClusterRole // a Role has the same members
		if err := yaml.Unmarshal([]byte(document), &role); err != nil {
			t.Fatal(err)
		}
		roles[role.Kind+"/"+role.Name] = role.Rules
	}
	return roles
}

// may returns what an account of the manager's namespace may do with resources of a namespace, a line for each verb and resource.
func (c *cluster) may(t *testing.T, namespace, account string) map[string]bool {
	t.Helper()
	config := rest.CopyConfig(c.config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + system + ":" + account,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + system, "system:authenticated"},
	}
	as, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	review, err := as.AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(),
		&authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if review.Status.Incomplete {
		t.Logf("The API server does not tell all: %s", review.Status.EvaluationError)
	}
	rights := map[string]bool{}
	for _, r := range review.Status.ResourceRules {
		flatten(rights, r.Verbs, r.APIGroups, r.Resources, r.ResourceNames)
	}
	return rights
}

// flatten adds a line for each verb and resource.
func flatten(into map[string]bool, verbs, groups, resources, names []string) {
	for _, verb := range verbs {
		for _, group := range groups {
			for _, resource := range resources {
				into[strings.TrimSpace(fmt.Sprintf("%s %s/%s %s", verb, group, resource, strings.Join(names, ",")))] = true
			}
		}
	}
}

// noToken looks for what the kubelet would put a token into.
func (c *cluster) noToken(t *testing.T) {
	for _, e := range c.samples() {
		for _, p := range c.receivers(t, e) {
			if p.Spec.AutomountServiceAccountToken == nil || *p.Spec.AutomountServiceAccountToken {
				t.Errorf("pod %s wants a token", p.Name)
			}
			for _, v := range p.Spec.Volumes {
				if v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(s corev1.VolumeProjection) bool { return s.ServiceAccountToken != nil }) {
					t.Errorf("pod %s has a token, in volume %s", p.Name, v.Name)
				}
			}
		}
	}
}

// policies looks at the objects: whether they are enforced is the cluster's affair.
func (c *cluster) policies(t *testing.T) {
	for _, e := range c.samples() {
		var p networkingv1.NetworkPolicy
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: shop, Name: e.name + "-receiver"}, &p); err != nil {
			t.Fatal(err)
		}
		for _, pod := range c.receivers(t, e) {
			for k, v := range p.Spec.PodSelector.MatchLabels {
				if pod.Labels[k] != v {
					t.Errorf("NetworkPolicy %s does not cover pod %s", p.Name, pod.Name)
				}
			}
		}
		if want := []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}; !cmp.Equal(want, p.Spec.PolicyTypes) {
			t.Errorf("NetworkPolicy %s is for %v, want %v", p.Name, p.Spec.PolicyTypes, want)
		}
		var to []networkingv1.NetworkPolicyPeer
		for _, rule := range p.Spec.Egress {
			if len(rule.To) == 0 && slices.ContainsFunc(rule.Ports, func(p networkingv1.NetworkPolicyPort) bool { return p.Port.IntValue() != 53 }) {
				t.Errorf("NetworkPolicy %s lets receivers talk to anybody: %+v", e.name, rule)
			}
			to = append(to, rule.To...)
		}
		// The target is a Service of the namespace.
		want := []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{}}}
		if diff := cmp.Diff(want, to); diff != "" {
			t.Errorf("NetworkPolicy %s lets receivers talk to (-want +got):\n%s", p.Name, diff)
		}
	}
}

// linkLocal asks for a delivery to where clouds keep the credentials of their nodes.
func (c *cluster) linkLocal(t *testing.T) {
	for _, url := range []string{"http://169.254.169.254/latest/meta-data", "http://[fe80::1]/", "http://[::ffff:169.254.169.254]/"} {
		w := sample(t, c.lazada)
		w.Name = "link-local"
		w.Spec.Target = hookbayv1alpha1.Target{Type: hookbayv1alpha1.TargetURL, URL: url}
		err := c.Create(context.WithoutCancel(t.Context()), w, client.DryRunAll)
		if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "link-local") {
			t.Errorf("target %s: %v, want that it is refused as link-local", url, err)
		}
	}
}
