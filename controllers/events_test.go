package controllers

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// said is a condition as a test writes it: "CredentialsReady=False SecretMissing", with "type: reason" as its message.
func said(t *testing.T, lines ...string) []metav1.Condition {
	t.Helper()
	var all []metav1.Condition
	for _, line := range lines {
		kind, rest, _ := strings.Cut(line, "=")
		status, reason, ok := strings.Cut(rest, " ")
		if !ok {
			t.Fatalf("write %q as Type=Status Reason", line)
		}
		all = append(all, metav1.Condition{Type: kind, Status: metav1.ConditionStatus(status), Reason: reason, Message: kind + ": " + reason})
	}
	return all
}

func TestTransitions(t *testing.T) {
	starting := []string{
		"Ready=False ReceiversStarting", "CredentialsReady=True CredentialsFound", "WorkloadReady=False ReceiversStarting",
		"Exposed=False IngressNotAdmitted", "Programmed=Unknown NoReceivers", "Delivering=Unknown NoReceivers",
	}
	ready := []string{
		"Ready=True Ready", "CredentialsReady=True CredentialsFound", "WorkloadReady=True ReceiversReady",
		"Exposed=True IngressAdmitted", "Programmed=True ConfigServed", "Delivering=True Delivered",
	}
	// but replaces conditions of ready.
	but := func(lines ...string) []string {
		all := append([]string(nil), ready...)
		for _, line := range lines {
			kind, _, _ := strings.Cut(line, "=")
			replaced := false
			for i := range all {
				if strings.HasPrefix(all[i], kind+"=") {
					all[i], replaced = line, true
				}
			}
			if !replaced {
				all = append(all, line)
			}
		}
		return all
	}
	tests := map[string]struct {
		before, after []string
		want          []string // kind, reason, action, of the condition that the note is of
	}{
		"a new endpoint whose receivers start": {after: starting},
		"it becomes ready":                     {before: starting, after: ready, want: []string{"Normal Ready Reconcile Ready"}},
		"it is ready at the first look":        {after: ready, want: []string{"Normal Ready Reconcile Ready"}},
		"nothing changes":                      {before: ready, after: ready},
		"a new endpoint whose Secret is missing": {
			after: []string{"Ready=False SecretMissing", "CredentialsReady=False SecretMissing", "WorkloadReady=False WaitingForCredentials", "Exposed=False WaitingForCredentials"},
			want:  []string{"Warning SecretMissing CheckCredentials CredentialsReady"},
		},
		"the Secret appears": {
			before: []string{"Ready=False SecretMissing", "CredentialsReady=False SecretMissing", "WorkloadReady=False WaitingForCredentials"},
			after:  []string{"Ready=False ReceiversStarting", "CredentialsReady=True CredentialsFound", "WorkloadReady=False ReceiversStarting"},
			want:   []string{"Normal CredentialsFound CheckCredentials CredentialsReady"},
		},
		"another failure in place of the first": {
			before: but("Ready=False SecretMissing", "CredentialsReady=False SecretMissing"),
			after:  but("Ready=False KeyMissing", "CredentialsReady=False KeyMissing"),
			want:   []string{"Warning KeyMissing CheckCredentials CredentialsReady"},
		},
		"a Secret is deleted": {
			before: ready,
			after:  but("Ready=False SecretMissing", "CredentialsReady=False SecretMissing"),
			want:   []string{"Warning SecretMissing CheckCredentials CredentialsReady"},
		},
		"a second failure behind the first": {
			before: but("Ready=False SecretMissing", "CredentialsReady=False SecretMissing"),
			after:  but("Ready=False SecretMissing", "CredentialsReady=False SecretMissing", "Delivering=False TargetFailing"),
			want:   []string{"Warning TargetFailing Deliver Delivering"},
		},
		"the first of two failures is mended, Ready now has the reason of the second": {
			before: but("Ready=False SecretMissing", "CredentialsReady=False SecretMissing", "Exposed=False AddressTaken"),
			after:  but("Ready=False AddressTaken", "Exposed=False AddressTaken"),
			want:   []string{"Normal CredentialsFound CheckCredentials CredentialsReady"},
		},
		"a failure that stalls is told once": {
			before: ready,
			after:  but("Ready=False AddressTaken", "Exposed=False AddressTaken", "Stalled=True AddressTaken"),
			want:   []string{"Warning AddressTaken Expose Exposed"},
		},
		"it stalls for a reason of its own": {
			before: ready,
			after:  but("Stalled=True ChildRefused"),
			want:   []string{"Warning ChildRefused Reconcile Stalled"},
		},
		"it is stalled no longer": {before: but("Stalled=True AddressTaken"), after: ready},
		"receivers are replaced": {
			before: ready,
			after:  but("Ready=False RollingOut", "WorkloadReady=False RollingOut"),
			want:   []string{"Normal RollingOut Reconcile Ready"},
		},
		"and are ready again": {
			before: but("Ready=False RollingOut", "WorkloadReady=False RollingOut"),
			after:  ready,
			want:   []string{"Normal Ready Reconcile Ready"},
		},
		"a step of a rollout": {
			before: but("Ready=False RollingOut", "WorkloadReady=False RollingOut"),
			after:  but("Ready=False ReceiversStarting", "WorkloadReady=False ReceiversStarting"),
		},
		"a new generation is on its way": {
			before: ready,
			after:  but("Ready=False Programming", "Programmed=False Programming"),
			want:   []string{"Normal Programming Reconcile Ready"},
		},
		"a receiver refuses it": {
			before: but("Ready=False Programming", "Programmed=False Programming"),
			after:  but("Ready=False ConfigRefused", "Programmed=False ConfigRefused"),
			want:   []string{"Warning ConfigRefused Program Programmed"},
		},
		"the image can't be pulled, from the start": {
			before: starting,
			after:  []string{"Ready=False ImagePullFailed", "WorkloadReady=False ImagePullFailed"},
			want:   []string{"Warning ImagePullFailed RunReceivers WorkloadReady"},
		},
		"a volume is not bound yet": {
			before: starting,
			after:  []string{"Ready=False VolumePending", "WorkloadReady=False VolumePending"},
		},
		"an Ingress that was admitted no longer is": {
			before: ready,
			after:  but("Ready=False IngressNotAdmitted", "Exposed=False IngressNotAdmitted"),
			want:   []string{"Warning IngressNotAdmitted Expose Exposed"},
		},
		"a receiver can't be asked any more": {
			before: ready,
			after:  but("Ready=Unknown ReceiversUnreachable", "Programmed=Unknown ReceiversUnreachable"),
			want:   []string{"Warning ReceiversUnreachable Program Programmed"},
		},
		"a receiver can't be asked yet": {
			before: but("Ready=False Programming", "Programmed=False Programming"),
			after:  but("Ready=Unknown ReceiversUnreachable", "Programmed=Unknown ReceiversUnreachable"),
		},
		"the target fails":                               {before: ready, after: but("Delivering=False TargetFailing"), want: []string{"Warning TargetFailing Deliver Delivering"}},
		"the target recovers":                            {before: but("Delivering=False TargetFailing"), after: ready, want: []string{"Normal Delivered Deliver Delivering"}},
		"deliveries are suspended, as the spec wants it": {before: ready, after: but("Delivering=False Suspended")},
		"the API server fails at the first round": {
			after: []string{"Ready=Unknown ReconcileFailed"}, want: []string{"Warning ReconcileFailed Reconcile Ready"},
		},
		"the API server still fails": {before: []string{"Ready=Unknown ReconcileFailed"}, after: []string{"Ready=Unknown ReconcileFailed"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			after := said(t, tt.after...)
			for i := range after {
				after[i].Message += ", and more" // that a message differs is no news
			}
			var got []string
			for _, e := range transitions(said(t, tt.before...), after) {
				of, _, _ := strings.Cut(e.note, ":")
				got = append(got, strings.Join([]string{e.kind, e.reason, e.action, of}, " "))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// recorded is what an EventPublisher handed on.
type recorded struct{ kind, reason, action, format, note string }

type fakeRecorder struct{ all []recorded }

func (f *fakeRecorder) Eventf(_, _ runtime.Object, kind, reason, action, format string, args ...any) {
	f.all = append(f.all, recorded{kind, reason, action, format, args[0].(string)})
}

func TestEventPublisher(t *testing.T) {
	before, after := &hookbayv1alpha1.WebhookEndpoint{}, &hookbayv1alpha1.WebhookEndpoint{}
	after.Status.Conditions = said(t, "CredentialsReady=False SecretMissing")
	after.Status.Conditions[0].Message = "100% ä\x1b[31m\n" + strings.Repeat("ä", maxNote)
	recorder := &fakeRecorder{}
	NewEventPublisher(recorder).Publish(before, after)
	want := []recorded{{"Warning", "SecretMissing", "CheckCredentials", "%s", "100% ä [31m " + strings.Repeat("ä", (maxNote-12-3)/2) + "…"}}
	if diff := cmp.Diff(want, recorder.all, cmp.AllowUnexported(recorded{})); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
	if n := len(recorder.all[0].note); n > maxNote {
		t.Errorf("a note of %d bytes, more than the API server takes", n)
	}
}
