package cluster

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"
	frame "sigs.k8s.io/e2e-framework/pkg/types"

	"github.com/hookbay/hookbay/hack/e2e/control"
)

// receiverKilled kills a receiver's container, which nothing can prepare for: connections to it break, until the Service leaves it out.
func (c *cluster) receiverKilled() frame.Feature {
	var (
		calls        *callbacks
		killed, back time.Time
		reports      map[string]control.Report
	)
	return features.New("a receiver that is killed costs the callbacks that were on their way to it").
		WithSetup("callbacks come", step(func(t *testing.T) {
			c.begin(t)
			calls = c.startCallbacks(t, c.samples()...)
		})).
		Assess("its container is killed and comes back", step(func(t *testing.T) {
			victim := c.receivers(t, c.lazada)[0]
			killed = calls.now(t)
			c.kill(t, &victim)
			c.waitRestarted(t, &victim)
			c.waitWell(t, c.lazada, 2, nil)
			back = calls.now(t)
			calls.waitAnswered(t)
		})).
		Assess("every event is delivered", step(func(t *testing.T) { reports = calls.end(t) })).
		Assess("nothing but connections failed, while it was away", step(func(t *testing.T) {
			lazada := reports[c.lazada.name]
			t.Logf("%d of %d callbacks failed; it was back %s after the kill was asked for", lazada.Failed, lazada.Sent, back.Sub(killed).Round(time.Second))
			for _, f := range lazada.Failures {
				if f.Kind != control.Dial && f.Kind != control.Cut || f.At.Before(killed) || f.Sent.After(back) {
					t.Errorf("failed otherwise than by a connection between %s and %s: %s", killed, back, f)
				}
			}
			delete(reports, c.lazada.name)
			noneFailed(t, reports)
		})).
		Assess("each subject's events came in order", step(func(t *testing.T) { inOrder(t, reports) })).
		Feature()
}

// kill sends SIGKILL to the main process of a pod's only container, from a pod that sees the node's processes.
func (c *cluster) kill(t *testing.T, victim *corev1.Pod) {
	t.Helper()
	_, id, ok := strings.Cut(victim.Status.ContainerStatuses[0].ContainerID, "://")
	if !ok {
		t.Fatalf("pod %s has no container: %+v", victim.Name, victim.Status)
	}
	killer := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: tools, GenerateName: "kill-"},
		Spec: corev1.PodSpec{
			NodeName: victim.Spec.NodeName, HostPID: true, RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{{
				Name: "kill", Image: counterpartImage(), ImagePullPolicy: corev1.PullIfNotPresent, Args: []string{"kill", id},
				SecurityContext: &corev1.SecurityContext{RunAsUser: new(int64(0)), Privileged: new(true)},
			}},
		},
	}
	if err := c.Create(t.Context(), killer); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the container of "+victim.Name+" is killed", func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(killer), killer); err != nil {
			return err
		}
		switch killer.Status.Phase {
		case corev1.PodSucceeded:
			return nil
		case corev1.PodFailed:
			t.Fatalf("it can't be killed: see the log of pod %s/%s", tools, killer.Name)
		default:
		}
		return fmt.Errorf("pod %s is %s", killer.Name, killer.Status.Phase)
	})
}

// waitRestarted waits until the pod's container has been started once more.
func (c *cluster) waitRestarted(t *testing.T, victim *corev1.Pod) {
	t.Helper()
	restarts := victim.Status.ContainerStatuses[0].RestartCount
	waitFor(t, victim.Name+" is restarted", func(ctx context.Context) error {
		var now corev1.Pod
		if err := c.Get(ctx, client.ObjectKeyFromObject(victim), &now); err != nil {
			return err
		}
		if n := now.Status.ContainerStatuses[0].RestartCount; n == restarts {
			return fmt.Errorf("%d restarts, as before", n)
		}
		return nil
	})
}
