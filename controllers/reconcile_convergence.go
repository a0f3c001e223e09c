package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookbay/hookbay/controllers/manifests"
	"github.com/hookbay/hookbay/controllers/receivers"
)

// reconcileConvergence asks the receivers what they serve and hold, and has the kubelet write changed files at once.
func (r *Reconciler) reconcileConvergence(ctx context.Context, round *round) error {
	round.digest = manifests.ConfigDigest(round.endpoint)
	var pods []*corev1.Pod
	for i := range round.pods {
		pods = append(pods, &round.pods[i])
	}
	// A few that don't answer must not hold up the endpoints of others.
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	round.asked = r.Receivers.AskAll(asking, podsToAsk(pods), client.ObjectKeyFromObject(round.endpoint).String())
	if round.frozen {
		return nil
	}
	var errs []error
	for i := range round.pods {
		pod := &round.pods[i]
		if touched := round.touch(pod); touched != "" {
			errs = append(errs, r.write(ctx, pod, touched))
		}
	}
	return errors.Join(errs...)
}

// askTimeout bounds the time that all receivers of an endpoint together get for their answers.
const askTimeout = 3 * time.Second

// touches is how often a running pod is touched for one revision. The kubelet may look at its own copy of a Secret or ConfigMap a moment before
// the change gets there; the second touch comes when the pod has seen the first.
const touches = 2

// maxTouches bounds it: a receiver that has seen the files so often and does not have the wanted configuration won't get it by one more.
const maxTouches = 6

// touch says what to write onto a pod as its revision, "" if it is to stay: the round's revision and a number, which grows until the receiver
// says that it has the wanted configuration.
func (r *round) touch(pod *corev1.Pod) string {
	revision, n := parseTouch(pod.Annotations[manifests.AnnotationRevision])
	answer, asked := r.asked[pod.Name]
	switch {
	case revision == "": // a new pod has started with what there was
		n = touches
	case revision != r.revision:
		n = 1
	case !asked || answer.Err != nil || answer.Revision != pod.Annotations[manifests.AnnotationRevision]:
		return "" // it has not got there yet
	case n < touches || n < maxTouches && answer.Digest != r.digest && answer.Refused == "":
		n++
	default:
		return ""
	}
	return r.revision + "." + strconv.Itoa(n)
}

// parseTouch takes apart what touch has made.
func parseTouch(s string) (revision string, n int) {
	revision, count, _ := strings.Cut(s, ".")
	n, _ = strconv.Atoi(count) // what isn't ours is 0, and written anew
	return revision, n
}

// serves says whether a receiver's answer is that of one with the wanted configuration and credentials.
func (r *round) serves(a receivers.Answer) bool {
	revision, n := parseTouch(a.Revision)
	seen := revision == r.revision && n >= touches
	return a.Err == nil && a.Digest == r.digest && a.Broken == "" && (seen || r.frozen) // in a frozen round no pod is touched
}

// write has the kubelet look at a pod's volumes, which it does when the pod changes, and else only about once a minute. The annotation is
// itself one of the mounted files, so the receiver can say which one it has seen.
func (r *Reconciler) write(ctx context.Context, pod *corev1.Pod, revision string) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{
			"uid":         pod.UID, // not a pod that has taken its name
			"annotations": map[string]string{manifests.AnnotationRevision: revision},
		},
	})
	if err != nil {
		return fmt.Errorf("encode a revision: %w", err)
	}
	r.Writes.Count("Pod", "patch")
	// The result is not read into pod, which is the cache's.
	target := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}}
	if err := r.Client.Patch(ctx, target, client.RawPatch(types.MergePatchType, patch)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("write the revision onto pod %s: %w", pod.Name, err)
	}
	return nil
}
