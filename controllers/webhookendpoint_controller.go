package controllers

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/apply"
	"github.com/hookbay/hookbay/controllers/defaults"
	"github.com/hookbay/hookbay/controllers/manifests"
	"github.com/hookbay/hookbay/controllers/receivers"
)

// Reconciler makes and keeps what each WebhookEndpoint stands for. All fields but Writes and Now are required.
type Reconciler struct {
	// Client reads from the cache and writes; Live reads what must not be cached: the contents of Secrets.
	Client client.Client
	Live   client.Reader
	// Apply writes the children.
	Apply *apply.Applier
	// Writes counts what is written beside the children; nil: it is not counted.
	Writes *apply.Writes
	// Receivers asks the pods.
	Receivers Asker
	// Events tells people.
	Events Publisher
	// Settings are what the administrator decided for all receivers, Defaults for the endpoints that don't say.
	Settings manifests.Settings
	Defaults defaults.Buffer
	// Now is the clock of the conditions; nil: time.Now.
	Now func() time.Time

	verdicts verdicts
	routes   *routeWatch
}

// Asker asks receivers what they serve and hold.
type Asker interface {
	AskAll(ctx context.Context, pods []receivers.Pod, endpoint string) map[string]receivers.Answer
}

// Publisher publishes Kubernetes Events about what changed between two states of an endpoint.
type Publisher interface {
	Publish(before, after *hookbayv1alpha1.WebhookEndpoint)
}

// A step is one part of the way from spec to callbacks. Its error holds problems, which end only what depends on them, or is
// transient and ends the round.
type step struct {
	name string
	run  func(context.Context, *round) error
}

// steps in their order: each stands on those before it.
func (r *Reconciler) steps() []step {
	return []step{
		{"observe", r.observe},                  // what is there
		{"credentials", r.reconcileCredentials}, // CredentialsReady
		{"volumes", r.reconcileVolumes},         // a claim for each replica
		{"children", r.reconcileChildren},       // the configuration and what all receivers share
		{"rollout", r.reconcileRollout},         // WorkloadReady: the Deployments, one replica after another
		{"exposure", r.reconcileExposure},       // Exposed: Ingress, HTTPRoute
		{"prune", r.prune},                      // what is no longer wanted
		{"convergence", r.reconcileConvergence}, // Programmed, Delivering: what the receivers say
	}
}

// Reconcile takes one endpoint a round further.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, err error) {
	var endpoint hookbayv1alpha1.WebhookEndpoint
	if err := r.Client.Get(ctx, req.NamespacedName, &endpoint); err != nil {
		r.verdicts.forget(req.NamespacedName)
		r.Apply.Forget(req.NamespacedName)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !endpoint.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil // the children have it as their owner, and go with it
	}
	round := &round{stored: &endpoint, endpoint: endpoint.DeepCopy()}
	defer func() {
		after, patchErr := r.conclude(ctx, round, err)
		result.RequeueAfter = after
		err = errors.Join(err, patchErr)
		if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) { // the cache was behind
			result.RequeueAfter, err = soon, nil
		}
	}()
	for _, s := range r.steps() {
		if err := round.note(s.run(ctx, round)); err != nil {
			return ctrl.Result{}, &stepError{step: s.name, err: err}
		}
	}
	return ctrl.Result{}, nil
}

// stepError says which step an error is of.
type stepError struct {
	step string
	err  error
}

func (e *stepError) Error() string { return e.step + ": " + e.err.Error() }

func (e *stepError) Unwrap() error { return e.err }

// conclude writes the status that the round comes to, if it differs, and says when to come back. After a transient error the observations
// are not complete: then only the fact is told, and only if spec's newest generation has not been reached before.
func (r *Reconciler) conclude(ctx context.Context, round *round, failed error) (time.Duration, error) {
	after := round.stored.DeepCopy()
	pause := time.Duration(0) // an error has a pause of its own
	if failed == nil {
		after.Status = round.status(r.now())
		pause = round.pause()
	} else {
		markFailed(after, failed, r.now())
	}
	if equality.Semantic.DeepEqual(round.stored.Status, after.Status) {
		return pause, nil
	}
	// With the version that was read: from a cache that is behind, the same news would be told twice.
	patch := client.MergeFromWithOptions(round.stored, client.MergeFromWithOptimisticLock{})
	r.Writes.Count(hookbayv1alpha1.Kind, "patch")
	if err := r.Client.Status().Patch(ctx, after, patch, client.FieldOwner(apply.FieldManager)); err != nil {
		return 0, client.IgnoreNotFound(err)
	}
	r.Events.Publish(round.stored, after)
	return pause, nil
}

func (r *Reconciler) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}
