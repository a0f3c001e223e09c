package apitest

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// Namespace makes a namespace with a name of its own and returns that name. At the end of the test it deletes the endpoints in it,
// so that they don't disturb other tests, and the namespace. What else was in it stays: nothing empties a namespace here.
func (s *Server) Namespace(t testing.TB, labels map[string]string) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Labels: labels}}
	if err := s.Client.Create(t.Context(), namespace); err != nil {
		t.Fatalf("create a namespace: %v", err)
	}
	t.Cleanup(func() {
		ctx := context.Background() // the test's own is over
		if err := s.Client.DeleteAllOf(ctx, &hookbayv1alpha1.WebhookEndpoint{}, client.InNamespace(namespace.Name)); err != nil {
			t.Errorf("delete the endpoints in namespace %s: %v", namespace.Name, err)
		}
		if err := s.Client.Delete(ctx, namespace); client.IgnoreNotFound(err) != nil {
			t.Errorf("delete namespace %s: %v", namespace.Name, err)
		}
	})
	return namespace.Name
}
