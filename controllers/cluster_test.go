package controllers

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookbay/hookbay/controllers/manifests"
	"github.com/hookbay/hookbay/receiver/admin"
	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/config"
)

// cluster plays what stands behind a real API server and is not in this test: the Deployment controller, the kubelet, the provisioner
// of volumes, and the receivers in the pods, whose admin port is the real one. It does so for one namespace, until the test ends.
type cluster struct {
	t         *testing.T
	client    client.Client
	namespace string

	mu        sync.Mutex
	receivers map[string]*pretendedReceiver // by the name of the pod
	number    int                           // of the cluster, so that no two have the same addresses
	nextIP    int
	// What goes wrong, by the names of Deployments and claims.
	backlog  map[string]int64  // events that wait on a replica
	notReady map[string]string // why a replica takes nothing
	noBuffer map[string]string // why a replica takes nothing, if that is its buffer
	refuses  map[string]string // why a replica takes no new configuration
	unbound  map[string]bool   // claims that get no volume
	silent   map[string]bool   // replicas whose admin port can't be reached
	away     map[string]bool   // replicas whose node is not heard of
	local    map[string]bool   // replicas whose volume only that node has, so that no other can take them
	noImage  string            // the image that no registry has
	stopped  map[string]int    // how often a ready, serving pod of an owner was stopped
	together int               // how often that was done while a serving pod beside it was not ready
}

// pretendedReceiver is a pod's process with the files that the kubelet gave it.
type pretendedReceiver struct {
	owner  string
	ip     string
	server *httptest.Server

	mu       sync.Mutex
	live     config.Config
	digest   string
	revision string
	refused  *admin.Refused
	secrets  map[string]string
}

// clusters counts them.
var clusters atomic.Int32

func newCluster(t *testing.T, c client.Client, namespace string) *cluster {
	t.Helper()
	k := &cluster{
		t: t, client: c, namespace: namespace, receivers: map[string]*pretendedReceiver{},
		backlog: map[string]int64{}, notReady: map[string]string{}, noBuffer: map[string]string{}, refuses: map[string]string{}, unbound: map[string]bool{},
		silent: map[string]bool{}, away: map[string]bool{}, local: map[string]bool{}, stopped: map[string]int{}, number: int(clusters.Add(1)),
	}
	ctx, cancel := context.WithCancel(context.Background())
	var loop sync.WaitGroup
	loop.Go(func() {
		for ctx.Err() == nil {
			if err := k.turn(ctx); err != nil && ctx.Err() == nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
				t.Errorf("the pretended cluster: %v", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		loop.Wait()
		for _, r := range k.receivers {
			_ = r.server.Config.Close()
		}
	})
	return k
}

// let changes what the cluster plays.
func (k *cluster) let(change func(*cluster)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change(k)
}

// turn takes everything one step further.
func (k *cluster) turn(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var claims corev1.PersistentVolumeClaimList
	var deployments appsv1.DeploymentList
	var pods corev1.PodList
	for _, list := range []client.ObjectList{&claims, &deployments, &pods} {
		if err := k.client.List(ctx, list, client.InNamespace(k.namespace)); err != nil {
			return err
		}
	}
	bound := map[string]bool{}
	for i := range claims.Items {
		if c := &claims.Items[i]; c.DeletionTimestamp != nil {
			if err := k.letGo(ctx, c, pods.Items); err != nil {
				return err
			}
			continue
		}
		if err := k.provision(ctx, &claims.Items[i]); err != nil {
			return err
		}
		bound[claims.Items[i].Name] = claims.Items[i].Status.Phase == corev1.ClaimBound
	}
	byOwner := map[string][]*corev1.Pod{}
	for i := range pods.Items {
		owner := pods.Items[i].Annotations["test/owner"]
		byOwner[owner] = append(byOwner[owner], &pods.Items[i])
	}
	for i := range deployments.Items {
		d := &deployments.Items[i]
		if d.DeletionTimestamp != nil {
			continue
		}
		mine := byOwner[d.Name]
		delete(byOwner, d.Name)
		if err := k.run(ctx, d, mine, bound); err != nil {
			return err
		}
	}
	for _, orphans := range byOwner { // the garbage collector's work
		for _, p := range orphans {
			if err := k.stop(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// provision binds a claim, and grows it.
func (k *cluster) provision(ctx context.Context, c *corev1.PersistentVolumeClaim) error {
	size := c.Spec.Resources.Requests[corev1.ResourceStorage]
	has := c.Status.Capacity[corev1.ResourceStorage]
	if k.unbound[c.Name] || c.Status.Phase == corev1.ClaimBound && has.Cmp(size) == 0 {
		return nil
	}
	c.Status.Phase = corev1.ClaimBound
	c.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: size}
	return k.client.Status().Update(ctx, c)
}

// letGo has a claim that is deleted be gone, when no pod on a node has it.
func (k *cluster) letGo(ctx context.Context, c *corev1.PersistentVolumeClaim, pods []corev1.Pod) error {
	if slices.ContainsFunc(pods, func(p corev1.Pod) bool { return p.Spec.NodeName != "" && p.Annotations["test/owner"] == c.Name }) {
		return nil
	}
	c.Finalizers = nil
	delete(k.local, c.Name) // the next one may be anywhere
	return k.client.Update(ctx, c)
}

// run plays the Deployment controller, which replaces a pod only when the old one is gone, and the kubelet.
func (k *cluster) run(ctx context.Context, d *appsv1.Deployment, pods []*corev1.Pod, bound map[string]bool) error {
	wanted := int32(1)
	if d.Spec.Replicas != nil {
		wanted = *d.Spec.Replicas
	}
	template := d.Spec.Template.Annotations[manifests.AnnotationTemplate]
	var updated, ready int32
	recreated := true // the strategy: no pod of another template before the old one is gone
	for _, p := range pods {
		if p.DeletionTimestamp != nil {
			if !k.away[d.Name] {
				return k.stop(ctx, p)
			}
			recreated = recreated && p.Annotations[manifests.AnnotationTemplate] == template
			continue
		}
		if updated >= wanted || p.Annotations[manifests.AnnotationTemplate] != template || p.Spec.Containers[0].Image != d.Spec.Template.Spec.Containers[0].Image {
			return k.stop(ctx, p)
		}
		if err := k.sync(ctx, d, p, bound); err != nil {
			return err
		}
		updated++
		if podReady(p) {
			ready++
		}
	}
	if updated < wanted && recreated {
		return k.start(ctx, d)
	}
	s := appsv1.DeploymentStatus{
		ObservedGeneration: d.Generation, Replicas: updated, UpdatedReplicas: updated, ReadyReplicas: ready, AvailableReplicas: ready,
		UnavailableReplicas: updated - ready,
	}
	if d.Status.ObservedGeneration == s.ObservedGeneration && d.Status.Replicas == s.Replicas && d.Status.AvailableReplicas == s.AvailableReplicas {
		return nil
	}
	d.Status = s
	return k.client.Status().Update(ctx, d)
}

// start makes a pod. The API server enforces Pod Security on it, as the test's namespace asks.
func (k *cluster) start(ctx context.Context, d *appsv1.Deployment) error {
	k.nextIP++
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: d.Namespace, Name: fmt.Sprintf("%s-%d", d.Name, k.nextIP), Labels: d.Spec.Template.Labels,
		Annotations: maps.Clone(d.Spec.Template.Annotations), OwnerReferences: ofReplicaSet(d.Name),
	}, Spec: *d.Spec.Template.Spec.DeepCopy()}
	p.Annotations["test/owner"] = d.Name
	p.Spec.NodeName = "node1"
	if k.away[d.Name] || k.local[d.Name] {
		p.Spec.NodeName = "" // see schedule
	}
	return k.client.Create(ctx, p)
}

// ofReplicaSet is what is on the pods of a Deployment.
func ofReplicaSet(deployment string) []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: deployment + "-7c9d8b6f5", UID: "a-replica-set", Controller: new(true)}}
}

func (k *cluster) stop(ctx context.Context, p *corev1.Pod) error {
	if r := k.receivers[p.Name]; r != nil {
		_ = r.server.Config.Close() // Close would wait for answers, which wait for us
		delete(k.receivers, p.Name)
	}
	if podReady(p) && p.Labels[manifests.LabelTraffic] == manifests.TrafficServe {
		k.stopped[p.Annotations["test/owner"]]++
		var pods corev1.PodList
		if err := k.client.List(ctx, &pods, client.InNamespace(p.Namespace), client.MatchingLabels{
			manifests.LabelInstance: p.Labels[manifests.LabelInstance], manifests.LabelTraffic: manifests.TrafficServe,
		}); err != nil {
			return err
		}
		if slices.ContainsFunc(pods.Items, func(other corev1.Pod) bool { return other.Name != p.Name && !podReady(&other) }) {
			k.together++
		}
	}
	if k.away[p.Annotations["test/owner"]] {
		return client.IgnoreNotFound(k.client.Delete(ctx, p)) // nobody ends it
	}
	return client.IgnoreNotFound(k.client.Delete(ctx, p, client.GracePeriodSeconds(0)))
}

// sync plays the kubelet: it starts the container once its volumes are there, writes its files when the pod's annotation changes, and
// probes it.
func (k *cluster) sync(ctx context.Context, d *appsv1.Deployment, p *corev1.Pod, bound map[string]bool) error {
	state := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
	var ready bool
	switch {
	case p.Spec.NodeName == "":
		return k.schedule(ctx, d, p)
	case k.away[d.Name]:
		return k.declareNotReady(ctx, p)
	case p.Spec.Containers[0].Image == k.noImage:
		ready, state = false, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "Back-off pulling image"}}
	case !volumesBound(p, bound):
		return nil // not scheduled
	default:
		r := k.receivers[p.Name]
		if r == nil {
			k.nextIP++
			r = k.newReceiver(d.Name, fmt.Sprintf("10.%d.%d.%d", k.number, k.nextIP/250, k.nextIP%250+1))
			k.receivers[p.Name] = r
		}
		if err := k.mount(ctx, r, p); err != nil {
			return err
		}
		ready = k.notReady[d.Name] == "" && k.noBuffer[d.Name] == ""
	}
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	ip := ""
	if r := k.receivers[p.Name]; r != nil {
		ip = r.ip
	}
	if p.Status.PodIP == ip && podReady(p) == ready && len(p.Status.ContainerStatuses) > 0 {
		return nil
	}
	p.Status.Phase = corev1.PodRunning
	p.Status.PodIP = ip
	p.Status.PodIPs = nil
	if ip != "" {
		p.Status.PodIPs = []corev1.PodIP{{IP: ip}}
	}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status}}
	if !ready {
		p.Status.Conditions[0].Reason = "ContainersNotReady"
	}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "receiver", Image: p.Spec.Containers[0].Image, State: state, Ready: ready}}
	return k.client.Status().Update(ctx, p)
}

// schedule plays the scheduler, for pods that are made while a node is away.
func (k *cluster) schedule(ctx context.Context, d *appsv1.Deployment, p *corev1.Pod) error {
	if !k.away[d.Name] && !k.local[d.Name] {
		return k.client.SubResource("binding").Create(ctx, p, &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: "node1"}})
	}
	if unscheduled(p) != nil {
		return nil
	}
	p.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
		Message: "0/2 nodes are available: 2 node(s) didn't match PersistentVolume's node affinity.",
	}}
	return k.client.Status().Update(ctx, p)
}

// declareNotReady plays the node controller, for the pods of a node that is away. The rest of their status stays as it was.
func (k *cluster) declareNotReady(ctx context.Context, p *corev1.Pod) error {
	if !podReady(p) {
		return nil
	}
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == corev1.PodReady {
			c.Status = corev1.ConditionFalse
		}
	}
	return k.client.Status().Update(ctx, p)
}

func volumesBound(p *corev1.Pod, bound map[string]bool) bool {
	return !slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && !bound[v.PersistentVolumeClaim.ClaimName]
	})
}

// mount writes a pod's projected volume as the kubelet does: at the start, and when the pod has changed; all of it, or nothing if a Secret
// or key is missing. The receiver takes a good configuration and refuses a bad one.
func (k *cluster) mount(ctx context.Context, r *pretendedReceiver, p *corev1.Pod) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	revision := p.Annotations[manifests.AnnotationRevision]
	if r.digest != "" && r.revision == revision {
		return nil
	}
	var document string
	secrets := map[string]string{}
	for _, source := range p.Spec.Volumes[0].Projected.Sources {
		switch {
		case source.ConfigMap != nil:
			var m corev1.ConfigMap
			if err := k.client.Get(ctx, client.ObjectKey{Namespace: p.Namespace, Name: source.ConfigMap.Name}, &m); err != nil {
				return err
			}
			document = m.Data[source.ConfigMap.Items[0].Key]
		case source.Secret != nil:
			var s corev1.Secret
			if err := k.client.Get(ctx, client.ObjectKey{Namespace: p.Namespace, Name: source.Secret.Name}, &s); err != nil {
				return client.IgnoreNotFound(err) // a volume that can't be set up stays as it was
			}
			for _, item := range source.Secret.Items {
				secrets[strings.TrimPrefix(item.Path, "secrets/")] = string(s.Data[item.Key])
			}
		}
	}
	c, err := config.Parse([]byte(document))
	if err == nil && k.refuses[r.owner] != "" && r.digest != "" {
		err = fmt.Errorf("%s", k.refuses[r.owner])
	}
	for _, file := range c.SecretFiles() {
		if _, ok := secrets[string(file)]; !ok && err == nil {
			err = fmt.Errorf("secret file %q is missing", file)
		}
	}
	r.revision = revision
	if err != nil {
		r.refused = &admin.Refused{At: time.Now(), Reason: err.Error()}
		return nil
	}
	r.live, r.digest, r.refused, r.secrets = c, c.Digest(), nil, secrets
	return nil
}

func (k *cluster) newReceiver(owner, ip string) *pretendedReceiver {
	r := &pretendedReceiver{owner: owner, ip: ip}
	reg := prometheus.NewRegistry()
	stats := func() map[string]buffer.Stats {
		k.mu.Lock()
		defer k.mu.Unlock()
		r.mu.Lock()
		defer r.mu.Unlock()
		all := map[string]buffer.Stats{}
		for i := range r.live.Endpoints {
			all[r.live.Endpoints[i].Key()] = buffer.Stats{Pending: k.backlog[owner], Oldest: time.Now().Add(-time.Second)}
		}
		return all
	}
	reg.MustRegister(admin.NewBacklog(func() int64 { return 0 }, stats, time.Now))
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hookbay_buffer_ready", ConstLabels: prometheus.Labels{"endpoint": k.namespace + "/orders"},
	}, func() float64 {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.noBuffer[owner] != "" {
			return 0
		}
		return 1
	}))
	pages := admin.NewHandler(admin.Options{
		Ready: func() error {
			k.mu.Lock()
			defer k.mu.Unlock()
			if why := cmp.Or(k.notReady[owner], k.noBuffer[owner]); why != "" {
				return fmt.Errorf("%s", why)
			}
			return nil
		},
		Config: func() admin.Config {
			r.mu.Lock()
			defer r.mu.Unlock()
			c := admin.Config{Digest: r.digest, Revision: r.revision, Refused: r.refused, Endpoints: []admin.Endpoint{}}
			for i := range r.live.Endpoints {
				c.Endpoints = append(c.Endpoints, admin.EndpointOf(&r.live.Endpoints[i]))
			}
			return c
		},
		Metrics: reg, Log: slog.New(slog.DiscardHandler),
	})
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		k.mu.Lock()
		away := k.away[owner]
		k.mu.Unlock()
		if away { // connections that are open end with the node
			panic(http.ErrAbortHandler)
		}
		pages.ServeHTTP(w, req)
	}))
	return r
}

// dial leads the controller's questions for a pod's address to the pretended receiver.
func (k *cluster) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	to := ""
	for _, r := range k.receivers {
		if r.ip == host && !k.silent[r.owner] && !k.away[r.owner] {
			to = r.server.Listener.Addr().String()
		}
	}
	k.mu.Unlock()
	if to == "" {
		return nil, &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("no route to host")}
	}
	var d net.Dialer
	return d.DialContext(ctx, network, to)
}

// secretsOf returns the credentials that the receivers of an owner have, a map each.
func (k *cluster) secretsOf(owner string) []map[string]string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []map[string]string
	for _, r := range k.receivers {
		if r.owner == owner {
			r.mu.Lock()
			all = append(all, maps.Clone(r.secrets))
			r.mu.Unlock()
		}
	}
	return all
}

// configOf returns what the receivers of an owner serve.
func (k *cluster) configOf(owner string) []config.Config {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []config.Config
	for _, r := range k.receivers {
		if r.owner == owner {
			r.mu.Lock()
			all = append(all, r.live)
			r.mu.Unlock()
		}
	}
	return all
}
