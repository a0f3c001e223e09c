// Package controllers is the control plane: it makes of each WebhookEndpoint what takes its callbacks in a cluster.
//
//	WebhookEndpoint ──▶ credentials ──▶ children ──▶ rollout ──▶ exposure ──▶ convergence ──▶ status
//	                    are there?      manifests,   one replica  Ingress,     which config
//	                                    apply        at a time    HTTPRoute    do pods serve?
//
// One reconcile is one round through these steps, each in a file of its own. A step reads what there is, writes what is missing by server-side
// apply, and notes in the round what it saw. What it can't mend itself it returns as a problem, which knows its own fate. In the end
// status is computed from the notes, as a pure function, and written once, if it differs.
//
// Nothing is remembered between rounds but what saves work: whoever takes over as the leader comes to the same result.
package controllers
