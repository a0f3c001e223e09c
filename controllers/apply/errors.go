package apply

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Ref names a child. It reads "Service shop/orders-receiver".
type Ref struct {
	Kind, Namespace, Name string
}

// String returns kind, namespace and name.
func (r Ref) String() string { return r.Kind + " " + r.Namespace + "/" + r.Name }

// NameTakenError says that an object which is not the endpoint's has the name that a child needs. It was not touched.
type NameTakenError struct {
	Ref
}

// Error says what is in the way, and what to do.
func (e *NameTakenError) Error() string {
	return fmt.Sprintf("%s exists and is not this endpoint's: delete or rename it, or give the endpoint another name", e.Ref)
}

// BeingDeletedError says that a child can't be made yet, because one of its name, or its whole namespace, is being deleted. Try again soon.
type BeingDeletedError struct {
	Ref
	// WithNamespace: the namespace is.
	WithNamespace bool
}

// Error says what is waited for.
func (e *BeingDeletedError) Error() string {
	if e.WithNamespace {
		return fmt.Sprintf("namespace %s is being deleted: %s can't be made in it", e.Namespace, e.Ref)
	}
	return fmt.Sprintf("%s is being deleted: it is made anew when it is gone", e.Ref)
}

// RefusedError says that the API server, or an admission policy of the cluster, refuses a child as it is wanted. The same request would be
// refused again.
type RefusedError struct {
	Ref
	// Reason is the server's, on one line, and the same for the same refusal.
	Reason string
	// Resize: the child is a volume claim that exists, and its size was to change.
	Resize bool

	err error
}

// Error says what is refused, and why.
func (e *RefusedError) Error() string { return fmt.Sprintf("%s is refused: %s", e.Ref, e.Reason) }

// Unwrap returns the API server's own error.
func (e *RefusedError) Unwrap() error { return e.err }

// refusal turns the error of a write into what it means. Live is the object that was to be changed; nil: there was none.
func refusal(c *child, live map[string]any, err error) error {
	var status apierrors.APIStatus
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &status):
		return fmt.Errorf("apply %s: %w", c.ref, err)
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return &BeingDeletedError{Ref: c.ref, WithNamespace: true}
	case isOther(status.Status()):
		return fmt.Errorf("apply %s: %w", c.ref, apierrors.NewConflict(resourceOf(status.Status()), c.ref.Name, errReplaced))
	case isFinal(int(status.Status().Code)):
		return &RefusedError{Ref: c.ref, Reason: reasonOf(status.Status()), Resize: live != nil && isClaim(c.live) && sizeOf(live) != sizeOf(c.want), err: err}
	}
	return fmt.Errorf("apply %s: %w", c.ref, err)
}

// isRefused says whether the API server found a child invalid.
func isRefused(err error) bool {
	_, refused := errors.AsType[*RefusedError](err)
	return refused && apierrors.IsInvalid(err)
}

var errReplaced = errors.New("another object has got the name since it was read")

// isOther says whether an object was refused because the one that was meant, by its UID, has made room for another. The API server does not
// call this a conflict.
func isOther(s metav1.Status) bool {
	return s.Details != nil && slices.ContainsFunc(s.Details.Causes, func(c metav1.StatusCause) bool { return c.Field == "metadata.uid" })
}

func resourceOf(s metav1.Status) schema.GroupResource {
	return schema.GroupResource{Group: s.Details.Group, Resource: s.Details.Kind}
}

// isFinal says whether a status code means that the same request would get the same answer. Admission webhooks may choose any code.
func isFinal(code int) bool {
	switch code {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return false
	}
	return code >= 400 && code < 500
}

func sizeOf(claim map[string]any) string {
	size, _, _ := unstructured.NestedString(claim, "spec", "resources", "requests", "storage") // no string is no size
	return size
}

// The bounds of a reason: it goes into a condition, which people read in a table.
const (
	maxCauses = 3
	maxCause  = 200
	maxReason = 500
)

// reasonOf shortens what the API server says. A cause names a field; the values that it shows may be whole objects, and are left out.
func reasonOf(s metav1.Status) string {
	if s.Details == nil || len(s.Details.Causes) == 0 {
		return oneLine(s.Message, maxReason)
	}
	texts := make([]string, 0, len(s.Details.Causes))
	for _, cause := range s.Details.Causes {
		text := oneLine(withoutObject(cause.Message), maxCause)
		if cause.Field != "" {
			text = cause.Field + ": " + text
		}
		texts = append(texts, text)
	}
	slices.Sort(texts) // causes within a map come in any order, and some twice
	texts = slices.Compact(texts)
	more := ""
	if n := len(texts) - maxCauses; n > 0 {
		texts, more = texts[:maxCauses], fmt.Sprintf("; and %d more", n)
	}
	return oneLine(strings.Join(texts, "; "), maxReason) + more
}

// withoutObject cuts an object in JSON or Go's notation out of a message such as `Invalid value: {"a":"b"}: field is immutable`.
func withoutObject(message string) string {
	start, end := strings.IndexAny(message, "{["), strings.LastIndex(message, "}: ")
	if end2 := strings.LastIndex(message, "]: "); end2 > end {
		end = end2
	}
	if start < 0 || end < start {
		return message
	}
	if colon := strings.LastIndex(message[:start], ": "); colon >= 0 {
		start = colon
	}
	return message[:start] + message[end+1:]
}

// oneLine keeps the first line of a text, and no more than limit bytes of it.
func oneLine(text string, limit int) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	text = strings.TrimSpace(text)
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}
