// Package manifests renders what a WebhookEndpoint stands for, as pure functions of its spec: no client, no clock, no context. One file
// holds one thing that is rendered; golden files in testdata show the results.
//
// Children are applied by server-side apply: what is set here is ours, and what is left out is the API server's or somebody else's. So only
// what Hookbay has an opinion on is set. Inside lists that are owned as a whole, though, whatever the API server would fill in is
// written out: else what is stored would never equal what is rendered, and every round would write it again.
package manifests
