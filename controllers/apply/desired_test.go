package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestToApply(t *testing.T) {
	d := &appsv1.Deployment{ // without a TypeMeta, and with the empty fields that Go types are written with
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "orders", Labels: map[string]string{"a": "b"}},
		Status:     appsv1.DeploymentStatus{Replicas: 1},
	}
	got, err := toApply(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))
	if err != nil {
		t.Fatal(err)
	}
	want := tree(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: orders, namespace: shop, labels: {a: b}}
spec: {strategy: {}, template: {metadata: {}, spec: {}}}
`)
	if diff := cmp.Diff(want, any(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantManaged := tree(t, `
metadata: {labels: {a: b}}
spec: {strategy: {}, template: {metadata: {}, spec: {}}}
`)
	if diff := cmp.Diff(wantManaged, any((&child{want: got}).managed())); diff != "" {
		t.Errorf("what can be owned of it (-want +got):\n%s", diff)
	}
}
