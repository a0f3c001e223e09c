package manifests

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

const (
	// nonRoot is the user and group of the receiver, and the group that owns its volumes.
	nonRoot = 65532
	// terminationGrace is more than a receiver takes to stop: drainDelay, twice drainTimeout, for callbacks and then for deliveries, and what
	// closing the store takes. Killed before that, it would lose no event, but deliver some again.
	terminationGrace = 45
)

// podTemplate is what all receivers of an endpoint have in common. Whatever is in it costs a restart of every receiver when it changes, so
// only what can't reach a running one is: never the configuration, nor what a Secret holds.
func podTemplate(e *hookbayv1alpha1.WebhookEndpoint, s Settings, own map[string]string) corev1.PodTemplateSpec {
	r := e.Spec.Receiver.DeepCopy()
	labels := map[string]string{}
	maps.Copy(labels, r.PodLabels)
	maps.Copy(labels, own)
	annotations := map[string]string{}
	maps.Copy(annotations, r.PodAnnotations)
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: annotations},
		Spec: corev1.PodSpec{
			ServiceAccountName:           Name(e),
			AutomountServiceAccountToken: new(false), // nothing in the pod talks to the API server
			// Variables for each Service of the namespace: of no use, and with many Services a process can't be started with them.
			EnableServiceLinks:            new(false),
			TerminationGracePeriodSeconds: new(int64(terminationGrace)),
			SecurityContext:               podSecurity(),
			Containers:                    []corev1.Container{container(s, r.Resources)},
			Volumes:                       []corev1.Volume{configVolume(e)},
			NodeSelector:                  r.NodeSelector,
			Tolerations:                   r.Tolerations,
			Affinity:                      r.Affinity,
			TopologySpreadConstraints:     spread(e, r.TopologySpreadConstraints),
			PriorityClassName:             r.PriorityClassName,
			ImagePullSecrets:              pullSecrets(r.ImagePullSecrets),
		},
	}
}

// podSecurity is, with the container's own, what the Pod Security Standard "restricted" asks for.
func podSecurity() *corev1.PodSecurityContext {
	return &corev1.PodSecurityContext{
		RunAsNonRoot: new(true),
		RunAsUser:    new(int64(nonRoot)),
		RunAsGroup:   new(int64(nonRoot)),
		FSGroup:      new(int64(nonRoot)),
		// Not file by file at each start: with a full volume, a restart would take minutes.
		FSGroupChangePolicy: new(corev1.FSGroupChangeOnRootMismatch),
		SeccompProfile:      &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

// spread completes the wanted constraints: without a selector they count this endpoint's serving receivers. Without any, receivers are spread
// over nodes, but run side by side on one rather than not at all.
func spread(e *hookbayv1alpha1.WebhookEndpoint, wanted []corev1.TopologySpreadConstraint) []corev1.TopologySpreadConstraint {
	if len(wanted) == 0 {
		constraint := corev1.TopologySpreadConstraint{
			MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway,
		}
		if stateless(e) {
			// In an update the old receivers don't count: they go, and the new ones would be left where they made them be. Receivers
			// with volumes are a Deployment each, so this label would keep each from counting the others.
			constraint.MatchLabelKeys = []string{appsv1.DefaultDeploymentUniqueLabelKey}
		}
		wanted = append(wanted, constraint)
	}
	for i := range wanted {
		if wanted[i].LabelSelector == nil {
			wanted[i].LabelSelector = &metav1.LabelSelector{MatchLabels: ServingLabels(e)}
		}
	}
	return wanted
}

func pullSecrets(secrets []hookbayv1alpha1.ImagePullSecret) []corev1.LocalObjectReference {
	var refs []corev1.LocalObjectReference
	for _, s := range secrets {
		refs = append(refs, corev1.LocalObjectReference{Name: s.Name})
	}
	return refs
}

// templateDigest is short, as it is compared with those of one endpoint's few templates only.
func templateDigest(t *corev1.PodTemplateSpec) string {
	data, err := json.Marshal(t)
	if err != nil { // no field of a pod template can fail to marshal
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}
