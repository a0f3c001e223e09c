package credentials

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
	"github.com/hookbay/hookbay/receiver/config"
)

func TestCheck(t *testing.T) {
	ref := func(key string) *hookbayv1alpha1.SecretKeyRef {
		return &hookbayv1alpha1.SecretKeyRef{Name: "shop", Key: key}
	}
	all := hookbayv1alpha1.Target{
		Type: hookbayv1alpha1.TargetURL, URL: "https://chat.example.com/", CABundleRef: ref("ca"), SigningSecretRef: ref("sign"), BearerTokenRef: ref("token"),
	}
	only := func(change func(*hookbayv1alpha1.Target)) hookbayv1alpha1.Target {
		target := hookbayv1alpha1.Target{Type: hookbayv1alpha1.TargetURL, URL: "https://chat.example.com/"}
		change(&target)
		return target
	}
	tests := map[string]struct {
		target hookbayv1alpha1.Target
		values map[string]string // by key
		want   []string          // the beginning of each line
	}{
		"all are what they should be": {
			target: only(func(t *hookbayv1alpha1.Target) { t.SigningSecretRef, t.BearerTokenRef = ref("sign"), ref("token") }),
			values: map[string]string{"app": "hunter2", "sign": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", "token": "hunter2"},
		},
		"a signing secret that is none": {
			target: only(func(t *hookbayv1alpha1.Target) { t.SigningSecretRef = ref("sign") }),
			values: map[string]string{"app": "hunter2", "sign": "hunter2"},
			want:   []string{"spec.target.signingSecretRef: the key sign of shop"},
		},
		"a CA bundle without a certificate": {
			target: only(func(t *hookbayv1alpha1.Target) { t.CABundleRef = ref("ca") }),
			values: map[string]string{"app": "hunter2", "ca": "hunter2"},
			want:   []string{"spec.target.caBundleRef: the key ca of shop holds no certificate"},
		},
		"an app secret and a token that are too large": {
			target: only(func(t *hookbayv1alpha1.Target) { t.BearerTokenRef = ref("token") }),
			values: map[string]string{"app": strings.Repeat("hunter2", 1<<18), "token": strings.Repeat("hunter2", 1<<14)},
			want: []string{
				"read the app secrets: spec.source.lazada.appSecretRefs: the key app of shop holds 1835008 bytes, and a credential has 16384 at most: ",
				"spec.target.bearerTokenRef: the key token of shop holds 114688 bytes, and a credential has 16384 at most: ",
			},
		},
		"an app secret that is empty, and a target as bad": {
			target: all,
			values: map[string]string{"app": "", "sign": "hunter2", "ca": "hunter2", "token": "hunter2"},
			want:   []string{"read the app secrets: spec.source.lazada.appSecretRefs: the key app of shop is empty", "spec.target."},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := &hookbayv1alpha1.WebhookEndpoint{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "im"}}
			e.Spec.Source = hookbayv1alpha1.Source{Type: hookbayv1alpha1.SourceLazada, Lazada: &hookbayv1alpha1.LazadaSource{
				AppKey: "100132", AppSecretRefs: []hookbayv1alpha1.SecretKeyRef{*ref("app")},
			}}
			e.Spec.Target = tt.target
			values := config.Secrets{}
			for key, value := range tt.values {
				values[manifests.SecretFile("shop", *ref(key))] = value
			}
			c := manifests.ReceiverConfig([]hookbayv1alpha1.WebhookEndpoint{*e}).Endpoints[0]
			err := Check(e, &c, values, func(r manifests.SecretRef) string { return "the key " + r.Key + " of " + r.Name })
			var got []string
			if err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			begins := cmp.Comparer(func(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) })
			if diff := cmp.Diff(tt.want, got, begins); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if strings.Contains(strings.Join(got, ""), "hunter2") {
				t.Errorf("a value is told: %v", got)
			}
		})
	}
}
