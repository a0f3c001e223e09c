package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// FieldManager is the name that our fields are ours by.
const FieldManager = "hookbay"

// Applier writes the children of endpoints. It may be used for many endpoints at once, but not at once for the same one.
type Applier struct {
	client client.Client
	live   client.Reader
	writes *Writes
	memory memory
	kinds  kinds
	index  string
}

// New returns an Applier that reads from and writes by c, which may read from a cache of the objects with our labels, and reads from live
// what must not be missed; live asks the API server itself. Writes are counted in writes; nil: they are not counted.
func New(c client.Client, live client.Reader, writes *Writes) *Applier {
	return &Applier{client: c, live: live, writes: writes, kinds: kinds{now: time.Now}}
}

// UseIndex has an endpoint's children found by a field index of the client's cache, which must hold the value of manifests.LabelInstance of every
// kind that is pruned. Without it all objects of their namespace are gone through.
func (a *Applier) UseIndex(field string) { a.index = field }

// Forget frees what is remembered of an endpoint that is gone.
func (a *Applier) Forget(endpoint types.NamespacedName) { a.memory.forget(endpoint) }

// Apply makes a child be what desired says, and returns it as it is then: an object of desired's type, never older than our own last write
// of it, which may be the cache's and must not be changed. It writes only if the live object differs in what is ours. Fields that desired
// leaves out are not touched, unless we set them before.
//
// Errors that people can do something about are a *NameTakenError, a *RefusedError or a *BeingDeletedError. A conflict (apierrors.IsConflict)
// means that somebody else was faster: try again. If the cluster does not know the kind, meta.IsNoMatchError holds for the error.
func (a *Applier) Apply(ctx context.Context, owner *hookbayv1alpha1.WebhookEndpoint, desired client.Object) (client.Object, error) {
	c, err := a.newChild(owner, desired)
	if err != nil {
		return nil, err
	}
	found, err := a.find(ctx, c)
	if err != nil {
		return nil, err
	}
	if found {
		if err := belongs(c, owner); err != nil {
			return nil, err
		}
		if a.memory.agrees(c) {
			return c.live, nil
		}
		c.live = c.live.DeepCopyObject().(client.Object) // writes read their result into it
	}
	if c.want, err = toApply(desired, c.gvk); err != nil {
		return nil, fmt.Errorf("encode %s: %w", c.ref, err)
	}
	if !found {
		return a.write(ctx, c, nil)
	}
	return a.change(ctx, c)
}

// change writes a child that exists, if it differs.
func (a *Applier) change(ctx context.Context, c *child) (client.Object, error) {
	live, err := runtime.DefaultUnstructuredConverter.ToUnstructured(c.live)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", c.ref, err)
	}
	owned, err := ownedFields(c.live, c.gvk.GroupVersion().String())
	if err != nil {
		return nil, fmt.Errorf("read the managed fields of %s: %w", c.ref, err)
	}
	where, differ := differs(owned, live, c.managed())
	if !differ {
		a.memory.note(c, c.live.GetResourceVersion())
		return c.live, nil
	}
	ctrl.LoggerFrom(ctx).V(1).Info("Applying what differs", "kind", c.ref.Kind, "name", c.ref.Name, "field", where)
	if err := a.handOver(ctx, c, owned, live); err != nil {
		return nil, err
	}
	result, err := a.write(ctx, c, live)
	if isRefused(err) {
		return a.reclaim(ctx, c, live, err)
	}
	return result, err
}

// child is one object on its way.
type child struct {
	endpoint types.NamespacedName
	gvk      schema.GroupVersionKind
	ref      Ref
	digest   digest         // of what is wanted
	want     map[string]any // as it is sent; not before it is needed
	live     client.Object  // as it was found, of the type that is wanted
}

func (a *Applier) newChild(owner *hookbayv1alpha1.WebhookEndpoint, desired client.Object) (*child, error) {
	gvk, err := apiutil.GVKForObject(desired, a.client.Scheme())
	if err != nil {
		return nil, fmt.Errorf("find the kind of what to apply: %w", err)
	}
	c := &child{
		endpoint: client.ObjectKeyFromObject(owner),
		gvk:      gvk,
		ref:      Ref{Kind: gvk.Kind, Namespace: desired.GetNamespace(), Name: desired.GetName()},
	}
	if c.digest, err = digestOf(desired); err != nil {
		return nil, fmt.Errorf("encode %s: %w", c.ref, err)
	}
	if c.live, err = a.empty(gvk); err != nil {
		return nil, err
	}
	return c, nil
}

// empty returns a new object of a kind, for reading into.
func (a *Applier) empty(gvk schema.GroupVersionKind) (client.Object, error) {
	o, err := a.client.Scheme().New(gvk)
	if err != nil {
		return nil, fmt.Errorf("make an empty %s: %w", gvk.Kind, err)
	}
	object, ok := o.(client.Object)
	if !ok {
		return nil, fmt.Errorf("make an empty %s: it is no object but a %T", gvk.Kind, o)
	}
	return object, nil
}

// find reads the live object. The cache may lack what is there: it holds objects with our labels only, of kinds that are watched, and may be
// behind. What it does not have, or has in a state from before our last write, is read from the API server.
func (a *Applier) find(ctx context.Context, c *child) (bool, error) {
	key := types.NamespacedName{Namespace: c.ref.Namespace, Name: c.ref.Name}
	err := a.client.Get(ctx, key, c.live, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) || isNotCached(err) || err == nil && a.memory.behind(c) {
		if c.live, err = a.empty(c.gvk); err != nil {
			return false, err
		}
		err = a.live.Get(ctx, key, c.live)
	}
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", c.ref, err)
	}
	c.live.GetObjectKind().SetGroupVersionKind(c.gvk)
	return true, nil
}

// isNotCached says whether a cache refused to be asked for a kind that is not watched, as one is that the cluster did not have.
func isNotCached(err error) bool {
	_, ok := errors.AsType[*cache.ErrResourceNotCached](err)
	return ok
}

// write applies the child. Live is the object as it was found; nil: there was none.
func (a *Applier) write(ctx context.Context, c *child, live map[string]any) (client.Object, error) {
	u := &unstructured.Unstructured{Object: c.want}
	options := []client.ApplyOption{client.FieldOwner(FieldManager)}
	if live != nil {
		// The object that was looked at, and no other one that has got its name since.
		u.SetUID(c.live.GetUID())
		options = append(options, client.ForceOwnership)
	}
	// Without force what does not exist is made, too; but if somebody has made an object of that name since, with other values, it is a conflict.
	a.writes.Count(c.ref.Kind, "apply")
	if err := a.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), options...); err != nil {
		return nil, refusal(c, live, err)
	}
	result, err := a.empty(c.gvk)
	if err != nil {
		return nil, err
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, result); err != nil {
		return nil, fmt.Errorf("read %s: %w", c.ref, err)
	}
	a.memory.note(c, result.GetResourceVersion())
	return result, nil
}
