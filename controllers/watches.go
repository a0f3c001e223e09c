package controllers

import (
	"cmp"
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
)

// The indexes of what is cached.
const (
	// indexInstance holds the name of the endpoint that a child or pod has as a label.
	indexInstance = "metadata.labels.instance"
	// indexSecret holds the names of the Secrets that an endpoint names.
	indexSecret = "spec.secrets"
	// indexAddress holds the host and path of an endpoint that something leads callbacks to by its host.
	indexAddress = "spec.address"
)

// SetupWithManager has the manager run the reconciler, at most concurrency rounds at a time, on whatever concerns an endpoint.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, concurrency int) error {
	for field, values := range map[string]client.IndexerFunc{
		indexSecret:  func(o client.Object) []string { return r.secretNames(o.(*hookbayv1alpha1.WebhookEndpoint)) },
		indexAddress: func(o client.Object) []string { return addresses(o.(*hookbayv1alpha1.WebhookEndpoint)) },
	} {
		if err := mgr.GetFieldIndexer().IndexField(ctx, &hookbayv1alpha1.WebhookEndpoint{}, field, values); err != nil {
			return fmt.Errorf("index endpoints by %s: %w", field, err)
		}
	}
	for _, child := range watched() {
		if err := mgr.GetFieldIndexer().IndexField(ctx, child, indexInstance, instanceName); err != nil {
			return fmt.Errorf("index %T by their endpoint: %w", child, err)
		}
	}
	r.Apply.UseIndex(indexInstance)
	secretNamed := handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []ctrl.Request {
		return r.with(ctx, client.InNamespace(o.GetNamespace()), client.MatchingFields{indexSecret: o.GetName()})
	})
	sameAddress := handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []ctrl.Request {
		var all []ctrl.Request
		for _, a := range addresses(o.(*hookbayv1alpha1.WebhookEndpoint)) {
			all = append(all, r.with(ctx, client.MatchingFields{indexAddress: a})...)
		}
		return all
	})
	specChanged := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	b := ctrl.NewControllerManagedBy(mgr).
		Named("webhookendpoint").
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrency}).
		For(&hookbayv1alpha1.WebhookEndpoint{}, specChanged).
		Watches(&hookbayv1alpha1.WebhookEndpoint{}, sameAddress, specChanged).
		WatchesMetadata(&corev1.Secret{}, secretNamed, builder.WithPredicates(predicate.ResourceVersionChangedPredicate{}))
	for _, child := range watched() {
		b = b.Watches(child, handler.EnqueueRequestsFromMapFunc(instance), builder.WithPredicates(predicate.ResourceVersionChangedPredicate{}))
	}
	c, err := b.Build(r)
	if err != nil {
		return fmt.Errorf("set up the controller: %w", err)
	}
	r.routes = &routeWatch{controller: c, cache: mgr.GetCache(), mapper: mgr.GetRESTMapper()}
	_, err = r.routes.known(ctx)
	return err
}

// watched lists the kinds of children, and the pods. HTTPRoutes come on top, where the cluster has them: see routeWatch.
func watched() []client.Object {
	return []client.Object{
		&appsv1.Deployment{}, &corev1.Pod{}, &corev1.ConfigMap{}, &corev1.Service{}, &corev1.ServiceAccount{}, &corev1.PersistentVolumeClaim{},
		&networkingv1.Ingress{}, &networkingv1.NetworkPolicy{}, &policyv1.PodDisruptionBudget{}, &autoscalingv2.HorizontalPodAutoscaler{},
	}
}

// instance leads from a child or pod to its endpoint: pods and retained claims are not owned by it, but all have its name as a label.
func instance(_ context.Context, o client.Object) []ctrl.Request {
	l := o.GetLabels()
	if l[manifests.LabelManagedBy] != manifests.ManagedBy || l[manifests.LabelInstance] == "" {
		return nil
	}
	return []ctrl.Request{{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: l[manifests.LabelInstance]}}}
}

// instanceName is what indexInstance holds.
func instanceName(o client.Object) []string { return []string{o.GetLabels()[manifests.LabelInstance]} }

// with lists the endpoints that match.
func (r *Reconciler) with(ctx context.Context, opts ...client.ListOption) []ctrl.Request {
	var list hookbayv1alpha1.WebhookEndpointList
	if err := r.Client.List(ctx, &list, opts...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing endpoints failed")
		return nil
	}
	requests := make([]ctrl.Request, 0, len(list.Items))
	for i := range list.Items {
		requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return requests
}

// secretNames are those of the Secrets that an endpoint names, or that the administrator has it use.
func (r *Reconciler) secretNames(e *hookbayv1alpha1.WebhookEndpoint) []string {
	var names []string
	complete := e.DeepCopy()
	complete.Spec.Buffer.Type = cmp.Or(e.Spec.Buffer.Type, e.Status.BufferType)
	_ = r.Defaults.Complete(complete) // without servers there is no Secret for them either
	for _, ref := range manifests.SecretRefs(complete) {
		names = append(names, ref.Name)
	}
	if ingress := e.Spec.Exposure.Ingress; ingress != nil && ingress.TLSSecretName != "" {
		names = append(names, ingress.TLSSecretName)
	}
	return names
}

func addresses(e *hookbayv1alpha1.WebhookEndpoint) []string {
	if !exposes(e) {
		return nil
	}
	return []string{address(e)}
}

// address is host and path of an endpoint that has a host.
func address(e *hookbayv1alpha1.WebhookEndpoint) string {
	return e.Spec.Exposure.Host + manifests.EndpointPath(e)
}
