package apply

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hookbay/hookbay/controllers/manifests"
)

func TestApply_refused(t *testing.T) {
	w := newWorld(t)
	w.apply(w.deployment())
	before := get(w, w.deployment())
	for name, test := range map[string]struct {
		set        func(*appsv1.Deployment)
		wantReason string
	}{
		"an immutable field": {
			set: func(d *appsv1.Deployment) {
				d.Spec.Selector.MatchLabels["a"], d.Spec.Template.Labels["a"] = "b", "b"
			},
			wantReason: `spec.selector: Invalid value: field is immutable`,
		},
		"a value that is none": {
			set:        func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Ports[0].ContainerPort = 70000 },
			wantReason: `spec.template.spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive`,
		},
		"many of them": {
			set: func(d *appsv1.Deployment) {
				d.Labels["a b"], d.Labels["c d"], d.Labels["e f"], d.Labels["g h"] = "", "", "", ""
			},
			wantReason: "; and 1 more",
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := w.deployment()
			test.set(want)
			_, err := w.applier.Apply(t.Context(), w.endpoint, want)
			refused, ok := errors.AsType[*RefusedError](err)
			if !ok {
				t.Fatalf("error %v, want a RefusedError", err)
			}
			if !strings.HasSuffix(refused.Reason, test.wantReason) || strings.Contains(refused.Reason, "\n") || len(refused.Reason) > maxReason+20 {
				t.Errorf("reason %q, want … %q", refused.Reason, test.wantReason)
			}
			if refused.Resize || !apierrors.IsInvalid(err) {
				t.Errorf("resize %v; the API server's error is not within: %v", refused.Resize, err)
			}
			if want := "Deployment " + w.endpoint.Namespace + "/orders-receiver is refused: " + refused.Reason; err.Error() != want {
				t.Errorf("message %q, want %q", err, want)
			}
			wantUntouched(w, before)
		})
	}
}

func TestRefusal(t *testing.T) {
	status := func(code int32, reason metav1.StatusReason) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Reason: reason, Message: "a policy\nsays no"}}
	}
	for name, test := range map[string]struct {
		err         error
		wantRefused bool
	}{
		"no rights, or a policy":         {err: status(http.StatusForbidden, metav1.StatusReasonForbidden), wantRefused: true},
		"invalid":                        {err: status(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid), wantRefused: true},
		"a webhook's own code":           {err: status(http.StatusTeapot, ""), wantRefused: true},
		"too large":                      {err: status(http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge), wantRefused: true},
		"somebody was faster":            {err: status(http.StatusConflict, metav1.StatusReasonConflict)},
		"the namespace is gone":          {err: status(http.StatusNotFound, metav1.StatusReasonNotFound)},
		"too many requests":              {err: status(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests)},
		"the credentials have expired":   {err: status(http.StatusUnauthorized, metav1.StatusReasonUnauthorized)},
		"a webhook that does not answer": {err: status(http.StatusInternalServerError, metav1.StatusReasonInternalError)},
		"the API server does not answer": {err: errors.New("connection refused")},
	} {
		t.Run(name, func(t *testing.T) {
			err := refusal(&child{ref: Ref{Kind: "Service", Namespace: "shop", Name: "x"}}, nil, test.err)
			refused, ok := errors.AsType[*RefusedError](err)
			if ok != test.wantRefused || !errors.Is(err, test.err) {
				t.Fatalf("%T %v, want refused %v", err, err, test.wantRefused)
			}
			if ok && refused.Reason != "a policy" {
				t.Errorf("reason %q", refused.Reason)
			}
		})
	}
}

func TestReasonOf(t *testing.T) {
	invalid := func(message string) metav1.Status {
		return metav1.Status{Message: "all of it", Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Field: "spec.x", Message: message}}}}
	}
	for name, test := range map[string]struct {
		status metav1.Status
		want   string
	}{
		"no causes":      {status: metav1.Status{Message: "quota exceeded"}, want: "quota exceeded"},
		"a plain value":  {status: invalid(`Invalid value: "a": must be b`), want: `spec.x: Invalid value: "a": must be b`},
		"an object":      {status: invalid(`Invalid value: {"a":{"b":": "}}: field is immutable`), want: "spec.x: Invalid value: field is immutable"},
		"a list":         {status: invalid(`Invalid value: [{"a":1}]: too many`), want: "spec.x: Invalid value: too many"},
		"Go's notation":  {status: invalid(`Invalid value: core.Spec{A:(*string)(0xc00012)}: no: really`), want: "spec.x: Invalid value: no: really"},
		"an open brace":  {status: invalid(`Invalid value: "{": must be b`), want: `spec.x: Invalid value: "{": must be b`},
		"several lines":  {status: invalid("Forbidden: spec is immutable\n@@ -1 +1 @@\n-0xc0001"), want: "spec.x: Forbidden: spec is immutable"},
		"a long message": {status: metav1.Status{Message: strings.Repeat("ä", 400)}, want: strings.Repeat("ä", 250) + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, reasonOf(test.status)); diff != "" {
				t.Errorf("reason (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWrites(t *testing.T) {
	registry := prometheus.NewRegistry()
	w := newWorld(t)
	w.applier = New(w.client, w.client, NewWrites(registry))
	w.apply(manifests.Service(w.endpoint))
	w.apply(manifests.Service(w.endpoint))
	service := w.apply(manifests.Service(w.endpoint)).(*corev1.Service)
	change(w, service, func(s *corev1.Service) { s.Spec.Selector = map[string]string{"app": "mine"} })
	w.apply(manifests.Service(w.endpoint))
	w.prune()
	const want = `
# HELP hookbay_api_writes_total Requests to the Kubernetes API server that write, by kind of object and verb (apply, delete, …).
# TYPE hookbay_api_writes_total counter
hookbay_api_writes_total{kind="Service",verb="apply"} 2
hookbay_api_writes_total{kind="Service",verb="delete"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	NewWrites(nil).Count("Service", "apply") // registered nowhere
}
