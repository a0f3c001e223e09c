package main

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// maxEndpoints leaves the machine enough ports and files.
const maxEndpoints = 5000

// endpoints knows which generation of each endpoint has been reached, and when.
type endpoints struct {
	mu      sync.Mutex
	reached map[types.NamespacedName]int64
	last    time.Time
}

// note takes what the watch tells of an endpoint. A generation is reached when both conditions tell that it is.
func (e *endpoints) note(o any) {
	endpoint, ok := o.(*hookbayv1alpha1.WebhookEndpoint)
	if !ok {
		return
	}
	generation := endpoint.Generation
	for _, kind := range []string{hookbayv1alpha1.ConditionReady, hookbayv1alpha1.ConditionProgrammed} {
		c := meta.FindStatusCondition(endpoint.Status.Conditions, kind)
		if c == nil || c.Status != metav1.ConditionTrue || c.ObservedGeneration != generation {
			return
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.reached == nil {
		e.reached = map[types.NamespacedName]int64{}
	}
	key := client.ObjectKeyFromObject(endpoint)
	if e.reached[key] < generation {
		e.reached[key], e.last = generation, time.Now()
	}
}

// at says how many endpoints have reached a generation, and when the last of them did.
func (e *endpoints) at(generation int64) (int, time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, g := range e.reached {
		if g >= generation {
			n++
		}
	}
	return n, e.last
}

// index finds the receiver of a pod.
type index struct {
	mu    sync.Mutex
	byPod map[types.NamespacedName]*receiver
}

func newIndex() *index { return &index{byPod: map[types.NamespacedName]*receiver{}} }

// get returns the receiver of a pod, which it starts if there is none.
func (x *index) get(pod types.NamespacedName, start func() (*receiver, error)) (*receiver, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if r := x.byPod[pod]; r != nil {
		return r, nil
	}
	r, err := start()
	if err == nil {
		x.byPod[pod] = r
	}
	return r, err
}

// take removes the receiver of a pod and returns it, nil if there is none.
func (x *index) take(pod types.NamespacedName) *receiver {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.byPod[pod]
	delete(x.byPod, pod)
	return r
}
