package apitest_test

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/apitest"
)

var api apitest.Server

func TestMain(m *testing.M) { api.Main(m, apitest.WithGatewayAPI) }

// TestServer_kinds shows that the server has the kinds that the controller works with.
func TestServer_kinds(t *testing.T) {
	for _, list := range []client.ObjectList{&hookbayv1alpha1.WebhookEndpointList{}, &gatewayv1.HTTPRouteList{}, &corev1.SecretList{}} {
		if err := api.Client.List(t.Context(), list); err != nil {
			t.Errorf("list %T: %v", list, err)
		}
	}
}

func TestServer_Namespace(t *testing.T) {
	var name string
	t.Run("a test that uses a namespace", func(t *testing.T) {
		name = api.Namespace(t, map[string]string{"team": "shop"})
		var namespace corev1.Namespace
		if err := api.Client.Get(t.Context(), client.ObjectKey{Name: name}, &namespace); err != nil {
			t.Fatal(err)
		}
		if namespace.Labels["team"] != "shop" {
			t.Errorf("labels are %v, want team=shop among them", namespace.Labels)
		}
		if other := api.Namespace(t, nil); other == name {
			t.Errorf("two namespaces are called %s", name)
		}
	})
	var namespace corev1.Namespace
	if err := api.Client.Get(t.Context(), client.ObjectKey{Name: name}, &namespace); client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	} else if err == nil && namespace.DeletionTimestamp.IsZero() {
		t.Errorf("namespace %s is not deleted at the end of its test", name)
	}
}

func TestServer_User(t *testing.T) {
	mine, other := api.Namespace(t, nil), api.Namespace(t, nil)
	config := api.User(t,
		apitest.Rights{Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"list"}}}},
		apitest.Rights{Namespace: mine, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"list"}}}},
	)
	c, err := client.New(config, client.Options{Scheme: api.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.List(t.Context(), &corev1.NodeList{}); err != nil {
		t.Errorf("a right in the cluster: %v", err)
	}
	if err := c.List(t.Context(), &corev1.SecretList{}, client.InNamespace(mine)); err != nil {
		t.Errorf("a right in a namespace: %v", err)
	}
	if err := c.List(t.Context(), &corev1.SecretList{}, client.InNamespace(other)); !apierrors.IsForbidden(err) {
		t.Errorf("secrets of another namespace: %v, want that it is forbidden", err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: mine}}
	if err := c.Create(t.Context(), secret); !apierrors.IsForbidden(err) {
		t.Errorf("a verb that was not granted: %v, want that it is forbidden", err)
	}
}

func TestServer_Kubectl(t *testing.T) {
	stdout, _, err := api.Kubectl(t, "", "get", "whe", "-A", "-o", "name")
	if err != nil || stdout != "" {
		t.Errorf("kubectl get whe: %q, %v; want nothing", stdout, err)
	}
	_, stderr, err := api.Kubectl(t, "kind: Nothing", "apply", "-f", "-")
	if err == nil || !strings.Contains(stderr, "apiVersion not set") {
		t.Errorf("kubectl apply of what is no object: %q, %v; want an error about it", stderr, err)
	}
}

func TestEventually(t *testing.T) {
	calls := 0
	apitest.Eventually(t, "the third call", func() error {
		if calls++; calls < 3 {
			return errors.New("too early")
		}
		return nil
	})
	if calls != 3 {
		t.Errorf("called %d times, want 3", calls)
	}
}
