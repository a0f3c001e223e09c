package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// NATS as the tests need it: three servers that keep streams together, on whatever nodes there are.
const (
	nats        = "nats" // its StatefulSet and Service
	natsServers = 3
	natsPort    = 4222
	routePort   = 6222
	monitorPort = 8222
)

// natsImage is that of nats-server, built from its Go module.
func natsImage() string { return "ghcr.io/hookbay/nats:" + *versionFlag }

// natsURL is where receivers find it.
func natsURL() string { return fmt.Sprintf("nats://%s.%s.svc:%d", nats, tools, natsPort) }

// startNATS starts the servers and waits until all are ready. They go when the feature ends.
func (c *cluster) startNATS(t *testing.T) {
	t.Helper()
	labels := map[string]string{"app": nats}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: tools, Name: nats},
		Spec: corev1.ServiceSpec{
			ClusterIP: corev1.ClusterIPNone, Selector: labels, PublishNotReadyAddresses: true, // they find each other before they are ready
			Ports: []corev1.ServicePort{{Name: "clients", Port: natsPort}, {Name: "routes", Port: routePort}},
		},
	}
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: tools, Name: nats},
		Spec: appsv1.StatefulSetSpec{
			ServiceName: nats, Replicas: new(int32(natsServers)), PodManagementPolicy: appsv1.ParallelPodManagement,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: natsPod(labels)},
		},
	}
	for _, o := range []client.Object{service, set} {
		c.create(t, o)
		c.feature.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
			defer cancel()
			if err := c.Delete(ctx, o); client.IgnoreNotFound(err) != nil {
				c.feature.Error(err)
			}
		})
	}
	c.waitServers(t, nil)
}

// waitServers waits until all are ready, which includes that each has all that it is to keep, and as wanted.
func (c *cluster) waitServers(t *testing.T, wanted func(*corev1.Pod) error) {
	t.Helper()
	waitFor(t, "the servers of NATS are ready", func(ctx context.Context) error {
		pods, err := c.pods(ctx, tools, map[string]string{"app": nats})
		if err != nil {
			return err
		}
		return allReady(pods, natsServers, wanted)
	})
}

// loseServers deletes each server's pod without a word to it, and with what it keeps, and waits until another is in its place, and has it again.
func (c *cluster) loseServers(t *testing.T, calls *callbacks) {
	t.Helper()
	for i := range natsServers {
		lost := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: tools, Name: fmt.Sprintf("%s-%d", nats, i)}}
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(lost), lost); err != nil {
			t.Fatal(err)
		}
		if err := c.Delete(t.Context(), lost, client.GracePeriodSeconds(0)); err != nil {
			t.Fatal(err)
		}
		c.waitServers(t, func(p *corev1.Pod) error {
			if p.UID == lost.UID {
				return errors.New("is the one that is to go")
			}
			return nil
		})
		calls.waitAnswered(t)
	}
}

// stopNATS ends all servers, and what they keep.
func (c *cluster) stopNATS(t *testing.T) {
	t.Helper()
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: tools, Name: nats}}
	if err := c.Patch(t.Context(), set, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":0}}`))); err != nil {
		t.Fatal(err)
	}
}

// natsPod has one server. What it keeps goes with it: as long as two of three are there, nothing is lost.
func natsPod(labels map[string]string) corev1.PodSpec {
	var routes []string
	for i := range natsServers {
		routes = append(routes, fmt.Sprintf("nats://%s-%d.%s.%s.svc:%d", nats, i, nats, tools, routePort))
	}
	return corev1.PodSpec{
		AutomountServiceAccountToken: new(false),
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway,
			LabelSelector: &metav1.LabelSelector{MatchLabels: labels},
		}},
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: new(true), FSGroup: new(int64(65532)), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name: nats, Image: natsImage(), ImagePullPolicy: corev1.PullIfNotPresent,
			Args: []string{
				"--name=$(POD_NAME)", fmt.Sprintf("--port=%d", natsPort), fmt.Sprintf("--http_port=%d", monitorPort), "--jetstream", "--store_dir=/data",
				"--cluster_name=e2e", fmt.Sprintf("--cluster=nats://0.0.0.0:%d", routePort), "--routes=" + strings.Join(routes, ","),
			},
			Env: []corev1.EnvVar{{Name: "POD_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}}},
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
			ReadinessProbe: &corev1.Probe{
				ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(monitorPort)}},
				PeriodSeconds: 1, TimeoutSeconds: 5,
			},
			VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
		}},
		Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
	}
}
