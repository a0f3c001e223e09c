// Package manifests renders what a WebhookEndpoint stands for, as pure functions of its spec: no client, no clock, no context. One file
// holds one thing that is rendered; golden files in testdata show the results.
package manifests
