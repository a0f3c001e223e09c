package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/credentials"
	"github.com/hookbay/hookbay/controllers/manifests"
	"github.com/hookbay/hookbay/receiver/config"
)

// reconcileCredentials looks whether each named key is there and can be what it should be. If not, the children stay as they are: receivers
// that run go on with the credentials that they have.
//
// Which Secrets there are is known from their metadata, which is watched. Their contents are read one by one, only when a Secret changed,
// and not kept: what is kept is the verdict.
func (r *Reconciler) reconcileCredentials(ctx context.Context, round *round) error {
	e := round.endpoint
	versions := make(map[string]string)
	for _, ref := range manifests.SecretRefs(e) {
		if _, known := versions[ref.Name]; known {
			continue
		}
		version, err := r.secretVersion(ctx, e.Namespace, ref.Name)
		if err != nil {
			return err
		}
		versions[ref.Name] = version
	}
	sum := sha256.New()
	fmt.Fprintln(sum, e.UID, e.Generation)
	for _, ref := range manifests.SecretRefs(e) {
		fmt.Fprintln(sum, ref.Field, ref.Name, ref.Key, versions[ref.Name])
	}
	round.revision = hex.EncodeToString(sum.Sum(nil)[:8])

	key := client.ObjectKeyFromObject(e)
	found, ok := r.verdicts.get(key, round.revision)
	if !ok {
		var err error
		if found, err = r.judge(ctx, e); err != nil {
			return err
		}
		r.verdicts.put(key, round.revision, found)
	}
	if found == nil {
		return nil
	}
	round.frozen = true
	return found
}

// secretVersion is another one whenever a Secret is, "" if there is none.
func (r *Reconciler) secretVersion(ctx context.Context, namespace, name string) (string, error) {
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	switch err := r.Client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, secret); {
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("look up Secret %s/%s: %w", namespace, name, err)
	}
	return string(secret.UID) + "/" + secret.ResourceVersion, nil
}

// judge reads the Secrets and says what is wrong with them, nil if nothing.
func (r *Reconciler) judge(ctx context.Context, e *hookbayv1alpha1.WebhookEndpoint) (*problem, error) {
	const condition = hookbayv1alpha1.ConditionCredentialsReady
	secrets := map[string]*corev1.Secret{}
	values := config.Secrets{}
	var found []*problem
	for _, ref := range manifests.SecretRefs(e) {
		secret, read := secrets[ref.Name]
		if !read {
			var err error
			if secret, err = r.readSecret(ctx, e.Namespace, ref.Name); err != nil {
				return nil, err
			}
			secrets[ref.Name] = secret
		}
		if secret == nil {
			found = append(found, wait(condition, hookbayv1alpha1.ReasonSecretMissing,
				"%s: Secret %s/%s does not exist: create it, with the key %s", ref.Field, e.Namespace, ref.Name, ref.Key))
			continue
		}
		value, ok := secret.Data[ref.Key]
		switch {
		case !ok:
			found = append(found, wait(condition, hookbayv1alpha1.ReasonKeyMissing,
				"%s: Secret %s/%s has no key %s: add it", ref.Field, e.Namespace, ref.Name, ref.Key))
		case len(value) == 0:
			found = append(found, wait(condition, hookbayv1alpha1.ReasonCredentialInvalid,
				"%s: Secret %s/%s: the key %s is empty: put the credential into it", ref.Field, e.Namespace, ref.Name, ref.Key))
		case !utf8.Valid(value):
			found = append(found, wait(condition, hookbayv1alpha1.ReasonCredentialInvalid,
				"%s: Secret %s/%s: the key %s is not text: write plain text under stringData, or text in base64 under data",
				ref.Field, e.Namespace, ref.Name, ref.Key))
		default:
			values[manifests.SecretFile(e.Namespace, ref.SecretKeyRef)] = config.TrimLineBreak(string(value))
		}
	}
	if len(found) == 0 {
		c := manifests.ReceiverConfig([]hookbayv1alpha1.WebhookEndpoint{*e}).Endpoints[0]
		if err := credentials.Check(e, &c, values, keyOf(e.Namespace)); err != nil {
			return wait(condition, hookbayv1alpha1.ReasonCredentialInvalid, "%s", strings.ReplaceAll(err.Error(), "\n", "; ")), nil
		}
		return nil, nil
	}
	if more := len(found) - 1; more > 0 {
		found[0].message = fmt.Sprintf("%s (and %d more like this)", found[0].message, more)
	}
	return found[0], nil
}

// readSecret returns a Secret, nil if there is none.
func (r *Reconciler) readSecret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	var secret corev1.Secret
	err := r.Live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read Secret %s/%s: %w", namespace, name, err)
	}
	return &secret, nil
}

func keyOf(namespace string) func(manifests.SecretRef) string {
	return func(ref manifests.SecretRef) string {
		return fmt.Sprintf("Secret %s/%s: the key %s", namespace, ref.Name, ref.Key)
	}
}

// verdicts remembers what was found in the Secrets of an endpoint, for as long as they are the same.
type verdicts struct {
	mu sync.Mutex
	by map[types.NamespacedName]verdict
}

type verdict struct {
	revision string
	found    *problem
}

func (v *verdicts) get(key types.NamespacedName, revision string) (*problem, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	known, ok := v.by[key]
	return known.found, ok && known.revision == revision
}

func (v *verdicts) put(key types.NamespacedName, revision string, found *problem) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.by == nil {
		v.by = make(map[types.NamespacedName]verdict)
	}
	v.by[key] = verdict{revision: revision, found: found}
}

// forget lets go of what is remembered of an endpoint that is gone.
func (v *verdicts) forget(key types.NamespacedName) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.by, key)
}
