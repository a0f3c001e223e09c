package manifests

import (
	"fmt"
	"maps"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// Where the receiver finds its files.
const (
	configVolumeName = "config"
	configDir        = "/etc/hookbay"
	secretsPath      = "secrets"  // below configDir
	revisionPath     = "revision" // below configDir

	dataVolumeName = "data"
	dataDir        = "/var/lib/hookbay"
)

// configMode lets the receiver's group read, which the pod's fsGroup makes it a member of, and nobody write.
const configMode = 0o440

// configVolume holds all that a receiver reads: its configuration, the named keys of the named Secrets and nothing else of them, and
// the revision. It is one volume so that the kubelet puts all of it in place at once: a new configuration never meets old credentials.
//
// Nothing in it is optional: the kubelet starts no receiver without its credentials, and goes on with what was there when a Secret is
// deleted.
func configVolume(e *hookbayv1alpha1.WebhookEndpoint) corev1.Volume {
	sources := []corev1.VolumeProjection{{ConfigMap: &corev1.ConfigMapProjection{
		LocalObjectReference: corev1.LocalObjectReference{Name: Name(e)},
		Items:                []corev1.KeyToPath{{Key: configKey, Path: configKey}},
	}}}
	sources = append(sources, secretSources(e)...)
	sources = append(sources, corev1.VolumeProjection{DownwardAPI: &corev1.DownwardAPIProjection{
		Items: []corev1.DownwardAPIVolumeFile{{
			Path: revisionPath,
			FieldRef: &corev1.ObjectFieldSelector{
				APIVersion: "v1",
				FieldPath:  fmt.Sprintf("metadata.annotations['%s']", AnnotationRevision),
			},
		}},
	}})
	return corev1.Volume{Name: configVolumeName, VolumeSource: corev1.VolumeSource{
		Projected: &corev1.ProjectedVolumeSource{Sources: sources, DefaultMode: new(int32(configMode))},
	}}
}

// secretSources name each Secret and key once, by their names: the order of spec's fields, such as which of two app secrets is tried
// first, is a matter of the configuration alone, and rolls nothing.
func secretSources(e *hookbayv1alpha1.WebhookEndpoint) []corev1.VolumeProjection {
	secrets := map[string]map[string]corev1.KeyToPath{}
	for _, ref := range SecretRefs(e) {
		if secrets[ref.Name] == nil {
			secrets[ref.Name] = map[string]corev1.KeyToPath{}
		}
		file := path.Join(secretsPath, string(SecretFile(e.Namespace, ref.SecretKeyRef)))
		secrets[ref.Name][ref.Key] = corev1.KeyToPath{Key: ref.Key, Path: file}
	}
	var sources []corev1.VolumeProjection
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		projection := &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: name}}
		for _, key := range slices.Sorted(maps.Keys(secrets[name])) {
			projection.Items = append(projection.Items, secrets[name][key])
		}
		sources = append(sources, corev1.VolumeProjection{Secret: projection})
	}
	return sources
}

// addDataVolume gives the receiver a volume to store events on.
func addDataVolume(spec *corev1.PodSpec, claim string) {
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: dataVolumeName, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
	}})
	receiver := &spec.Containers[0]
	// When a pod is deleted, the next one starts beside it, and waits for as long as that one may take to stop.
	receiver.Args = append(receiver.Args, "--data-dir="+dataDir, fmt.Sprintf("--data-dir-wait=%ds", terminationGrace))
	receiver.VolumeMounts = append(receiver.VolumeMounts, corev1.VolumeMount{Name: dataVolumeName, MountPath: dataDir})
}
