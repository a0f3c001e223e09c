package controllers

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/receivers"
)

// round is what one reconcile knows. The steps fill it in, in their order, and status is computed from it.
type round struct {
	// stored is the endpoint as the API server has it.
	stored *hookbayv1alpha1.WebhookEndpoint
	// endpoint is a copy in which all is decided that spec leaves open: the buffer's type, and the disk size that can be had.
	endpoint *hookbayv1alpha1.WebhookEndpoint
	// frozen: the children stay as they are, because what spec asks for can't be had. They are still looked at.
	frozen bool
	// problems are what the steps could not mend.
	problems []*problem
	// keep holds the children that are wanted: the others are pruned.
	keep []client.Object

	// revision changes whenever a Secret that the endpoint names does, or its configuration.
	revision string
	// digest is that of the configuration that the receivers should serve.
	digest string

	deployments []appsv1.Deployment
	pods        []corev1.Pod // of these Deployments
	leaving     []corev1.Pod // of these Deployments as well, were told to end, and are there until their nodes say that they have
	strangers   []corev1.Pod // only say to be receivers: anybody can make them, so they are neither asked nor believed. See empty
	claims      []corev1.PersistentVolumeClaim
	// replicas are those with volumes, by their number; wanted ones first, then those that are too many. None for a stateless endpoint.
	replicas []replica
	ingress  *networkingv1.Ingress
	route    *gatewayv1.HTTPRoute
	// asked is what the receivers say, by the names of their pods.
	asked map[string]receivers.Answer
}

// replica is one receiver with a volume of its own.
type replica struct {
	number     int
	deployment *appsv1.Deployment            // nil: not there yet
	claim      *corev1.PersistentVolumeClaim // nil: not there yet
	wanted     *appsv1.Deployment            // what it should be with traffic, once that has been asked
	traffic    string
	current    bool  // its Deployment has the template that is wanted
	held       int64 // events on its volume, if it is one too many and can be asked
	decision   decision
}

// disk says whether the endpoint's receivers have volumes.
func (r *round) disk() bool {
	return r.stores() && r.endpoint.Spec.Buffer.Type != hookbayv1alpha1.BufferJetStream
}

// stores says whether callbacks are answered before they are delivered.
func (r *round) stores() bool { return r.endpoint.Spec.Buffer.Type != hookbayv1alpha1.BufferNone }

// want notes that children are wanted.
func (r *round) want(objects ...client.Object) { r.keep = append(r.keep, objects...) }
