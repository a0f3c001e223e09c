package manifests

import (
	"bytes"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/receiver/config"
)

// configKey is the ConfigMap's key, and the file's name in the pod.
const configKey = "config.json"

// ConfigMap holds the configuration of the endpoint's receivers. It is mounted, not named by a digest: a change reaches receivers that
// run, and rolls none.
func ConfigMap(e *hookbayv1alpha1.WebhookEndpoint) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   typeMeta(corev1.SchemeGroupVersion, "ConfigMap"),
		ObjectMeta: child(e),
		Data:       map[string]string{configKey: document(endpointConfig(e))},
	}
}

// ConfigDigest is the digest that /configz of a receiver shows when it serves what ConfigMap holds.
func ConfigDigest(e *hookbayv1alpha1.WebhookEndpoint) string {
	c := endpointConfig(e)
	return c.Digest()
}

func endpointConfig(e *hookbayv1alpha1.WebhookEndpoint) config.Config {
	return ReceiverConfig([]hookbayv1alpha1.WebhookEndpoint{*e})
}

// document is the configuration as people like to read it: indented, and a "&" in an address stays one.
func document(c config.Config) string {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(c) // No field of a Config can fail to marshal, nor memory to be written.
	return out.String()
}
