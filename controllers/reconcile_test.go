package controllers

import (
	"context"
	"errors"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/defaults"
	"github.com/hookbay/hookbay/controllers/manifests"
	"github.com/hookbay/hookbay/controllers/receivers"
)

// answers is an Asker that knows what each pod says.
type answers map[string]receivers.Answer

func (a answers) AskAll(_ context.Context, pods []receivers.Pod, _ string) map[string]receivers.Answer {
	said := map[string]receivers.Answer{}
	for _, p := range pods {
		said[p.Name] = a[p.Name]
	}
	return said
}

// A replica that goes takes its volume's events with it, so whatever is not known for sure means that there are some.
func TestEmpty(t *testing.T) {
	holds := func(n int64) receivers.Answer { return receivers.Answer{Report: receivers.Report{Held: n}} }
	pod := func(name string, change ...func(*corev1.Pod)) corev1.Pod {
		p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			manifests.LabelReplica: "2", manifests.LabelTraffic: manifests.TrafficDrain,
		}}}
		p.Status.Phase, p.Status.PodIP = corev1.PodRunning, "10.0.0.1"
		for _, c := range change {
			c(&p)
		}
		return p
	}
	tests := map[string]struct {
		pods     []corev1.Pod
		beside   []corev1.Pod // which nothing of ours owns
		said     answers
		change   func(*replica)
		want     bool
		wantHeld int64
	}{
		"it says that it holds nothing":                  {pods: []corev1.Pod{pod("a")}, said: answers{"a": holds(0)}, want: true},
		"it holds events":                                {pods: []corev1.Pod{pod("a")}, said: answers{"a": holds(3)}, wantHeld: 3},
		"it holds nothing, and another pod of it events": {pods: []corev1.Pod{pod("a"), pod("b")}, said: answers{"a": holds(0), "b": holds(3)}, wantHeld: 3},
		"another pod says to be it, and holds events":    {pods: []corev1.Pod{pod("a")}, beside: []corev1.Pod{pod("b")}, said: answers{"a": holds(0), "b": holds(3)}, wantHeld: -1},
		"another pod says to be it, which has no say in how many": {
			pods: []corev1.Pod{pod("a")}, beside: []corev1.Pod{pod("b")}, said: answers{"a": holds(2), "b": holds(3)}, wantHeld: 2,
		},
		"another pod says to be it, and does not answer": {
			pods: []corev1.Pod{pod("a")}, beside: []corev1.Pod{pod("b")}, said: answers{"a": holds(0), "b": {Err: errors.New("no")}}, wantHeld: -1,
		},
		"another pod says to be it, and holds nothing": {
			pods: []corev1.Pod{pod("a")}, beside: []corev1.Pod{pod("b")}, said: answers{"a": holds(0), "b": holds(0)}, want: true,
		},
		"only another pod says to be it": {beside: []corev1.Pod{pod("b")}, said: answers{"b": holds(0)}, wantHeld: -1},
		"one does not answer":            {pods: []corev1.Pod{pod("a")}, said: answers{"a": {Err: errors.New("no")}}, wantHeld: -1},
		"one has no address": {
			pods: []corev1.Pod{pod("a"), pod("b", func(p *corev1.Pod) { p.Status.PodIP = "" })}, said: answers{"a": holds(0)}, wantHeld: -1,
		},
		"it still takes callbacks": {
			pods: []corev1.Pod{pod("a", func(p *corev1.Pod) { p.Labels[manifests.LabelTraffic] = manifests.TrafficServe })}, said: answers{"a": holds(0)}, wantHeld: -1,
		},
		"it has no pod": {wantHeld: -1},
		"its Deployment's own pod is not ready": {
			pods: []corev1.Pod{pod("a")}, said: answers{"a": holds(0)}, wantHeld: -1,
			change: func(r *replica) { r.deployment.Status.AvailableReplicas = 0 },
		},
		"its volume was never there":    {change: func(r *replica) { r.claim.Status.Phase = corev1.ClaimPending }, want: true},
		"its claim does not exist":      {change: func(r *replica) { r.claim = nil }, want: true, wantHeld: -1},
		"its claim has lost its labels": {change: func(r *replica) { r.claim, r.number = nil, 7 }, wantHeld: -1},
	}
	namespace := api.Namespace(t, nil)
	claim := manifests.VolumeClaim(&hookbayv1alpha1.WebhookEndpoint{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "orders"}}, 7)
	claim.Labels = nil
	if err := api.Client.Create(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := endpoint("orders")
			e.Namespace = namespace
			rep := &replica{number: 2, claim: &corev1.PersistentVolumeClaim{}, deployment: &appsv1.Deployment{}}
			rep.claim.Status.Phase = corev1.ClaimBound
			rep.deployment.Status = appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1}
			if tt.change != nil {
				tt.change(rep)
			}
			r := &Reconciler{Live: api.Client, Receivers: tt.said}
			got, held := r.empty(t.Context(), &round{endpoint: e, stored: e, pods: tt.pods, strangers: tt.beside}, rep)
			if got != tt.want || held != tt.wantHeld {
				t.Errorf("empty = %v, %d, want %v, %d", got, held, tt.want, tt.wantHeld)
			}
		})
	}
}

func TestDecideBuffer(t *testing.T) {
	deployment := func(name string) appsv1.Deployment {
		return appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	const disk, none, stream = hookbayv1alpha1.BufferDisk, hookbayv1alpha1.BufferNone, hookbayv1alpha1.BufferJetStream
	noted := deployment("orders-receiver")
	noted.Annotations = map[string]string{manifests.AnnotationBuffer: "JetStream"}
	tests := map[string]struct {
		asked, seen hookbayv1alpha1.BufferType
		running     []appsv1.Deployment
		byDefault   hookbayv1alpha1.BufferType
		want        hookbayv1alpha1.BufferType
		wantFrozen  bool
	}{
		"nothing said":                                 {want: disk},
		"nothing said, another default":                {byDefault: none, want: none},
		"said":                                         {asked: none, want: none},
		"nothing said, and volumes run":                {byDefault: none, running: []appsv1.Deployment{deployment("orders-0")}, want: disk},
		"nothing said, and none run":                   {byDefault: disk, running: []appsv1.Deployment{deployment("orders-receiver")}, want: none},
		"nothing said, another default than what runs": {byDefault: stream, running: []appsv1.Deployment{deployment("orders-receiver")}, want: none},
		"nothing said, and a stream is used":           {byDefault: disk, running: []appsv1.Deployment{noted}, want: stream},
		"a stream by default":                          {byDefault: stream, want: stream},
		"a stream is used, and nothing is asked for":   {asked: none, running: []appsv1.Deployment{noted}, want: stream, wantFrozen: true},
		"the note deleted by hand":                     {seen: stream, running: []appsv1.Deployment{deployment("orders-receiver")}, want: stream},
		"both run, as after a mistake":                 {running: []appsv1.Deployment{deployment("orders-receiver"), deployment("orders-1")}, want: disk},
		"all Deployments deleted by hand":              {byDefault: none, seen: disk, want: disk},
		"said otherwise than what runs":                {asked: none, running: []appsv1.Deployment{deployment("orders-0")}, want: disk, wantFrozen: true},
		"a Deployment of somebody else's, by its name": {asked: none, running: []appsv1.Deployment{deployment("orders-x")}, want: none},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := endpoint("orders")
			e.Spec.Buffer.Type, e.Status.BufferType = tt.asked, tt.seen
			round := &round{stored: e, endpoint: e.DeepCopy(), deployments: tt.running}
			r := &Reconciler{Defaults: defaults.Buffer{Type: tt.byDefault, JetStreamURLs: []string{"nats://nats"}}}
			err := r.decideBuffer(round)
			if got := round.endpoint.Spec.Buffer.Type; got != tt.want || round.frozen != tt.wantFrozen || (err != nil) != tt.wantFrozen {
				t.Errorf("type is %s, frozen %v (%v), want %s, %v", got, round.frozen, err, tt.want, tt.wantFrozen)
			}
		})
	}
}
