// Package crd holds the CustomResourceDefinition that controller-gen makes from package api, for those who apply its schema, defaults
// and rules without an API server.
package crd

import _ "embed"

//go:embed bases/hookbay.dev_webhookendpoints.yaml
var webhookEndpoints string

// WebhookEndpoints is the CustomResourceDefinition of the WebhookEndpoint, as YAML.
func WebhookEndpoints() []byte { return []byte(webhookEndpoints) }
