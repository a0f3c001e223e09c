package manifests

import (
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// containerName is that of the receiver, the pod's only container.
const containerName = "receiver"

const (
	// drainDelay is how long a stopping receiver still takes callbacks, while it says that it is not ready: until the last proxy and load
	// balancer in front of the Service has heard of it.
	drainDelay = 10 * time.Second
	// drainTimeout is how long callbacks under way, and then deliveries under way, may take to end: more than the default timeout of
	// one delivery.
	drainTimeout = 15 * time.Second
)

// container runs the image's own command. Its arguments say all that the pod decides, so that the binary's defaults may change.
func container(s Settings, r hookbayv1alpha1.Resources) corev1.Container {
	return corev1.Container{
		Name:  containerName,
		Image: s.Image,
		Args: []string{
			"--config=" + configDir + "/" + configKey,
			"--secrets-dir=" + configDir + "/" + secretsPath,
			"--revision-file=" + configDir + "/" + revisionPath,
			fmt.Sprintf("--listen=:%d", PortCallbacks),
			fmt.Sprintf("--admin=:%d", PortAdmin),
			"--drain-delay=" + drainDelay.String(),
			"--ready-while-draining", // a pod that stops is out of the Service anyway, unless it is the last one
			"--drain-timeout=" + drainTimeout.String(),
		},
		Ports: []corev1.ContainerPort{
			{Name: portCallbacksName, ContainerPort: PortCallbacks, Protocol: corev1.ProtocolTCP},
			{Name: portAdminName, ContainerPort: PortAdmin, Protocol: corev1.ProtocolTCP},
		},
		Resources: corev1.ResourceRequirements{
			Requests: requests(r),
			Limits:   limits(r),
		},
		// A store that was not closed in order is read again before it serves: five minutes for that, and a start is seen within 2 s.
		StartupProbe: probe("/healthz", corev1.Probe{PeriodSeconds: 2, TimeoutSeconds: 2, FailureThreshold: 150}),
		// A restart helps a process that hangs, and nobody else: a minute without an answer is no busy node and no slow disk.
		LivenessProbe: probe("/healthz", corev1.Probe{PeriodSeconds: 10, TimeoutSeconds: 5, FailureThreshold: 6}),
		// A receiver that can't store must be out of the Service soon, as every callback it is sent fails: after 2 to 4 s. Two failures,
		// because leaving for one late answer would put its load onto the others.
		ReadinessProbe: probe("/readyz", corev1.Probe{PeriodSeconds: 2, TimeoutSeconds: 2, FailureThreshold: 2}),
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false),
			ReadOnlyRootFilesystem:   new(true),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		// The pod's status tells why a receiver could not start.
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		VolumeMounts:             []corev1.VolumeMount{{Name: configVolumeName, MountPath: configDir, ReadOnly: true}},
	}
}

func probe(path string, p corev1.Probe) *corev1.Probe {
	p.HTTPGet = &corev1.HTTPGetAction{Path: path, Port: intstr.FromString(portAdminName)}
	return &p
}

// defaultRequests and defaultLimits are what a receiver gets without being asked. There is no limit of CPU: a receiver that is
// throttled answers late.
func defaultRequests() corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("100m"),
		corev1.ResourceMemory: resource.MustParse("128Mi"),
	}
}

func defaultLimits() corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")}
}

// requests are the wanted ones, and the defaults for what is not wanted otherwise. A default gives way to a lower limit that is wanted: a
// pod with a request above its limit is refused.
func requests(wanted hookbayv1alpha1.Resources) corev1.ResourceList {
	list := defaultRequests()
	for name, request := range list {
		if limit, ok := wanted.Limits[name]; ok && limit.Cmp(request) < 0 {
			list[name] = limit
		}
	}
	maps.Copy(list, wanted.Requests)
	return list
}

// limits are the wanted ones, and the defaults for what is not wanted otherwise. A default gives way to a higher request that is wanted.
func limits(wanted hookbayv1alpha1.Resources) corev1.ResourceList {
	list := defaultLimits()
	for name, limit := range list {
		if request, ok := wanted.Requests[name]; ok && request.Cmp(limit) > 0 {
			list[name] = request
		}
	}
	maps.Copy(list, wanted.Limits)
	return list
}
