package controllers

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/hookbay/hookbay/controllers/manifests"
)

func TestManagerCommand_usage(t *testing.T) {
	for name, tt := range map[string]struct {
		version string
		args    []string
		want    string
	}{
		"a wrong value":             {version: "v1.2.3", args: []string{"--log-level", "loud"}, want: `--log-level: write debug, info, warn or error instead of "loud"`},
		"a program without version": {want: "--receiver-image: write the image of the receivers, such as ghcr.io/hookbay/receiver:v1.0.0: this program has no version to take it from"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := ManagerCommand(tt.version)
			cmd.SetArgs(tt.args)
			cmd.SilenceUsage, cmd.SilenceErrors = true, true
			cmd.SetErr(&bytes.Buffer{})
			err := cmd.ExecuteContext(t.Context())
			if usage, ok := errors.AsType[*UsageError](err); !ok || usage.Error() != tt.want {
				t.Errorf("error is %v, want %s", err, tt.want)
			}
		})
	}
}

func TestManagerCommand_kubeconfig(t *testing.T) {
	if ManagerCommand("v1.2.3").Flags().Lookup("kubeconfig") == nil {
		t.Error("there is no flag --kubeconfig")
	}
}

func TestRun_noNamespaceForTheLease(t *testing.T) {
	err := Run(t.Context(), &rest.Config{Host: "http://127.0.0.1:0"}, DefaultOptions("v1.2.3"))
	const want = "--leader-election-namespace: write a namespace, or --leader-elect=false: outside of a pod there is no namespace of its own"
	if err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

func TestCacheOptions(t *testing.T) {
	o := cacheOptions([]string{"shop", "chat"})
	if len(o.DefaultNamespaces) != 2 {
		t.Errorf("%d namespaces are watched, want 2", len(o.DefaultNamespaces))
	}
	if cacheOptions(nil).DefaultNamespaces != nil {
		t.Error("without namespaces not all are watched")
	}
	if !o.DefaultLabelSelector.Matches(labels.Set{manifests.LabelManagedBy: manifests.ManagedBy}) || o.DefaultLabelSelector.Matches(labels.Set{}) {
		t.Error("of children, not just those with our label are watched")
	}
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	for object, by := range o.ByObject {
		if _, _, err := scheme.ObjectKinds(object); err != nil {
			t.Errorf("%T: %v", object, err)
		}
		if _, route := object.(*gatewayv1.HTTPRoute); route {
			t.Error("the manager does not start where the API server does not know HTTPRoutes, if they have an entry")
		}
		if _, pod := object.(*corev1.Pod); pod == (by.Label != nil) {
			t.Errorf("%T: pods are watched by the label, Secrets and endpoints without", object)
		}
	}
}

func TestOnlyIdentity(t *testing.T) {
	secret := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "lazada-app", UID: "u", ResourceVersion: "7",
		Labels:        map[string]string{"hunter2": "hunter2"},
		Annotations:   map[string]string{"kubectl.kubernetes.io/last-applied-configuration": `{"data":{"app-secret":"aHVudGVyMg=="}}`},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
	}}
	want := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "lazada-app", UID: "u", ResourceVersion: "7"}}
	got, err := onlyIdentity(secret)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is cached of a Secret (-want +got):\n%s", diff)
	}
	whole, err := onlyIdentity(&corev1.Secret{Data: map[string][]byte{"key": []byte("hunter2")}, StringData: map[string]string{"key": "hunter2"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&corev1.Secret{}, whole); diff != "" {
		t.Errorf("what is cached of a whole Secret (-want +got):\n%s", diff)
	}
}
