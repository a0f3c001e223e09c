package apply

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// reclaim puts back what somebody has changed so that it and what is wanted can't both be. Who changes a port's number, for one, has taken our port
// away and added one of their own with the same name; who changes a probe from HTTP to TCP has added a second way to probe. Apply would
// leave theirs beside ours, which is invalid, and refused.
//
// So their fields of spec are made ours, and the next apply lets them go. All of them: the API server does not tell which of them is in the way. If
// the child is refused even so, they were not, and get them back.
func (a *Applier) reclaim(ctx context.Context, c *child, live map[string]any, refused error) (client.Object, error) {
	if isClaim(c.live) { // its spec is the API server's and the provisioner's as much as ours
		return nil, refused
	}
	before := c.live.GetManagedFields()
	after, theirs, err := takeSpec(before, c.gvk.GroupVersion().String())
	if err != nil {
		return nil, fmt.Errorf("read the managed fields of %s: %w", c.ref, err)
	}
	attempt, err := c.attempt(theirs)
	if err != nil {
		return nil, fmt.Errorf("encode the managed fields of %s: %w", c.ref, err)
	}
	if theirs.Empty() || a.memory.wasInVain(c, attempt) {
		return nil, refused
	}
	ctrl.LoggerFrom(ctx).Info("Putting back fields that were changed by hand", "kind", c.ref.Kind, "name", c.ref.Name, "fields", theirs.String())
	if err := a.setManagedFields(ctx, c, after); err != nil {
		return nil, err
	}
	result, err := a.write(ctx, c, live)
	if !isRefused(err) {
		return result, err
	}
	a.memory.noteInVain(c, attempt)
	if err := a.setManagedFields(ctx, c, before); err != nil {
		return nil, err
	}
	return nil, refused
}

// attempt stands for what is tried: what is wanted, against these fields of others.
func (c *child) attempt(theirs *fieldpath.Set) (digest, error) {
	fields, err := theirs.ToJSON()
	if err != nil {
		return digest{}, err
	}
	return sha256.Sum256(append(bytes.Clone(c.digest[:]), fields...)), nil
}

// setManagedFields writes who owns what, which changes nothing else.
func (a *Applier) setManagedFields(ctx context.Context, c *child, entries []metav1.ManagedFieldsEntry) error {
	patch := client.MergeFromWithOptions(c.live.DeepCopyObject().(client.Object), client.MergeFromWithOptimisticLock{})
	c.live.SetManagedFields(entries)
	a.writes.Count(c.ref.Kind, "patch")
	if err := a.client.Patch(ctx, c.live, patch, client.FieldOwner(FieldManager)); err != nil {
		return fmt.Errorf("patch the managed fields of %s: %w", c.ref, err)
	}
	return nil
}

// takeSpec returns the entries with all fields of spec in ours, and which of them were not. Subresources stay as they are, and so does the number
// of replicas: whoever scales is never in the way.
func takeSpec(entries []metav1.ManagedFieldsEntry, apiVersion string) ([]metav1.ManagedFieldsEntry, *fieldpath.Set, error) {
	ours, theirs := &fieldpath.Set{}, &fieldpath.Set{}
	var out []metav1.ManagedFieldsEntry
	for i := range entries {
		e := entries[i]
		if e.Subresource != "" || e.APIVersion != apiVersion || e.FieldsV1 == nil {
			out = append(out, e)
			continue
		}
		fields := &fieldpath.Set{}
		if err := fields.FromJSON(e.FieldsV1.GetRawReader()); err != nil {
			return nil, nil, err
		}
		if e.Manager == FieldManager && e.Operation == metav1.ManagedFieldsOperationApply {
			ours = fields
			continue
		}
		taken := specOf(fields)
		theirs = theirs.Union(taken)
		if rest := fields.Difference(taken); !rest.Empty() {
			if err := setFields(&e, rest); err != nil {
				return nil, nil, err
			}
			out = append(out, e)
		}
	}
	entry := metav1.ManagedFieldsEntry{
		Manager: FieldManager, Operation: metav1.ManagedFieldsOperationApply, APIVersion: apiVersion, FieldsType: "FieldsV1",
		Time: new(metav1.NewTime(time.Now())),
	}
	if err := setFields(&entry, ours.Union(theirs)); err != nil {
		return nil, nil, err
	}
	return append(out, entry), theirs, nil
}

// specOf returns the fields of spec but replicas.
func specOf(fields *fieldpath.Set) *fieldpath.Set {
	spec := &fieldpath.Set{}
	element := fieldpath.FieldNameElement("spec")
	*spec.Children.Descend(element) = *fields.WithPrefix(element)
	return spec.Difference(fieldpath.NewSet(fieldpath.MakePathOrDie("spec", "replicas")))
}

func setFields(e *metav1.ManagedFieldsEntry, fields *fieldpath.Set) error {
	data, err := fields.ToJSON()
	if err != nil {
		return err
	}
	e.FieldsV1 = &metav1.FieldsV1{}
	e.FieldsV1.SetRawBytes(data)
	return nil
}
