package controllers

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// routeWatch watches HTTPRoutes from the moment that the cluster has them, which may be after the manager has started: many clusters never do,
// and a watch of a kind that isn't there would keep the manager from starting.
type routeWatch struct {
	controller controller.Controller
	cache      cache.Cache
	mapper     meta.RESTMapper

	mu      sync.Mutex
	indexed bool
	started bool
}

// known says whether the cluster has HTTPRoutes, and if so sees to it that they are watched, and indexed as all children are.
func (w *routeWatch) known(ctx context.Context) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.started {
		return true, nil
	}
	_, err := w.mapper.RESTMapping(schema.GroupKind{Group: gatewayv1.GroupName, Kind: "HTTPRoute"}, gatewayv1.GroupVersion.Version)
	switch {
	case meta.IsNoMatchError(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look up the kind HTTPRoute: %w", err)
	}
	if !w.indexed {
		if err := w.cache.IndexField(ctx, &gatewayv1.HTTPRoute{}, indexInstance, instanceName); err != nil {
			return false, fmt.Errorf("index HTTPRoutes by their endpoint: %w", err)
		}
		w.indexed = true
	}
	err = w.controller.Watch(source.Kind(w.cache, &gatewayv1.HTTPRoute{},
		handler.TypedEnqueueRequestsFromMapFunc(func(ctx context.Context, route *gatewayv1.HTTPRoute) []ctrl.Request { return instance(ctx, route) }),
		predicate.TypedResourceVersionChangedPredicate[*gatewayv1.HTTPRoute]{}))
	if err != nil {
		return false, fmt.Errorf("watch HTTPRoutes: %w", err)
	}
	w.started = true
	return true, nil
}
