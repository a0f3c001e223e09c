package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
)

// players is how many Deployments are worked on at once.
const players = 8

// cluster plays what stands behind an API server, for the Deployments of replicas with volumes: one pod and one claim each. It is itself a
// controller, so that it costs nothing while nothing happens.
type cluster struct {
	client    client.Client // reads from a cache
	cache     cache.Cache
	receivers *receivers
	endpoints endpoints
	running   *index
	done      chan error
}

// startCluster runs it until ctx ends; stop waits for that.
func startCluster(ctx context.Context, s *apiServer) (*cluster, error) {
	mgr, err := ctrl.NewManager(s.admin, ctrl.Options{
		Scheme: s.scheme, Logger: logr.Discard(), Metrics: metricsserver.Options{BindAddress: "0"},
		Cache: cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
	})
	if err != nil {
		return nil, fmt.Errorf("set up the cluster: %w", err)
	}
	k := &cluster{client: mgr.GetClient(), cache: mgr.GetCache(), running: newIndex(), done: make(chan error, 1)}
	if k.receivers, err = newReceivers(); err != nil {
		return nil, fmt.Errorf("set up the receivers: %w", err)
	}
	ofReplica := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []ctrl.Request {
		l := o.GetLabels()
		return []ctrl.Request{{NamespacedName: types.NamespacedName{
			Namespace: o.GetNamespace(), Name: l[manifests.LabelInstance] + "-" + l[manifests.LabelReplica],
		}}}
	})
	err = ctrl.NewControllerManagedBy(mgr).Named("cluster").
		WithOptions(controller.Options{MaxConcurrentReconciles: players, SkipNameValidation: new(true)}).
		For(&appsv1.Deployment{}).Watches(&corev1.Pod{}, ofReplica).Watches(&corev1.PersistentVolumeClaim{}, ofReplica).
		Complete(k)
	if err != nil {
		return nil, fmt.Errorf("set up the cluster: %w", err)
	}
	informer, err := k.cache.GetInformer(ctx, &hookbayv1alpha1.WebhookEndpoint{})
	if err != nil {
		return nil, fmt.Errorf("watch endpoints: %w", err)
	}
	if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { k.endpoints.note(o) },
		UpdateFunc: func(_, o any) { k.endpoints.note(o) },
	}); err != nil {
		return nil, fmt.Errorf("watch endpoints: %w", err)
	}
	if _, err := k.cache.GetInformer(ctx, &corev1.ConfigMap{}); err != nil {
		return nil, fmt.Errorf("watch ConfigMaps: %w", err)
	}
	go func() { k.done <- mgr.Start(ctx) }() // until ctx ends
	if !k.cache.WaitForCacheSync(ctx) {
		return nil, errors.New("the cluster's cache is not filled")
	}
	return k, nil
}

func (k *cluster) stop() error { return errors.Join(<-k.done, k.receivers.close()) }

// Reconcile takes one Deployment, its claim and its pod a step further.
func (k *cluster) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var d appsv1.Deployment
	var claim corev1.PersistentVolumeClaim
	for _, o := range []client.Object{&d, &claim} { // of one name; the claim comes first
		if err := k.client.Get(ctx, req.NamespacedName, o); err != nil {
			return ctrl.Result{}, client.IgnoreNotFound(err)
		}
	}
	err := errors.Join(k.provision(ctx, &claim), k.run(ctx, &d))
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err) { // the cache was behind
		return ctrl.Result{RequeueAfter: 50 * time.Millisecond}, nil
	}
	return ctrl.Result{}, err
}

// provision binds a claim.
func (k *cluster) provision(ctx context.Context, c *corev1.PersistentVolumeClaim) error {
	if c.Status.Phase == corev1.ClaimBound {
		return nil
	}
	c.Status.Phase = corev1.ClaimBound
	c.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: c.Spec.Resources.Requests[corev1.ResourceStorage]}
	return k.client.Status().Update(ctx, c)
}

// run plays the Deployment controller with the strategy Recreate. A pod is named by its template, so that a cache that is behind makes no second
// one.
func (k *cluster) run(ctx context.Context, d *appsv1.Deployment) error {
	template := &d.Spec.Template
	name := d.Name + "-" + template.Annotations[manifests.AnnotationTemplate][:8]
	var pods corev1.PodList
	if err := k.client.List(ctx, &pods, client.InNamespace(d.Namespace), client.MatchingLabels(d.Spec.Selector.MatchLabels)); err != nil {
		return err
	}
	var pod *corev1.Pod
	for i := range pods.Items {
		if p := &pods.Items[i]; p.Name == name {
			pod = p
		} else {
			if r := k.running.take(client.ObjectKeyFromObject(p)); r != nil {
				k.receivers.stop(r)
			}
			return client.IgnoreNotFound(k.client.Delete(ctx, p, client.GracePeriodSeconds(0)))
		}
	}
	if pod == nil {
		pod = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Namespace: d.Namespace, Name: name, Labels: template.Labels, Annotations: template.Annotations,
			// By which the manager knows its own pods. Nobody looks for the ReplicaSet.
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "ReplicaSet", Name: name, UID: types.UID(name), Controller: new(true),
			}},
		}, Spec: *template.Spec.DeepCopy()}
		pod.Spec.NodeName = "node1"
		return k.client.Create(ctx, pod)
	}
	if err := k.runPod(ctx, pod); err != nil {
		return err
	}
	if d.Status.ObservedGeneration == d.Generation && d.Status.AvailableReplicas == 1 {
		return nil
	}
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1}
	return k.client.Status().Update(ctx, d)
}

// runPod plays the kubelet. Of a pod's files only the configuration and the revision matter to its receiver here.
func (k *cluster) runPod(ctx context.Context, p *corev1.Pod) error {
	r, err := k.running.get(client.ObjectKeyFromObject(p), func() (*receiver, error) { return k.receivers.start(ctx) })
	if err != nil {
		return err
	}
	for _, source := range p.Spec.Volumes[0].Projected.Sources {
		if source.ConfigMap != nil {
			var m corev1.ConfigMap
			if err := k.client.Get(ctx, client.ObjectKey{Namespace: p.Namespace, Name: source.ConfigMap.Name}, &m); err != nil {
				return err
			}
			r.mount(m.Data[source.ConfigMap.Items[0].Key], p.Annotations[manifests.AnnotationRevision])
		}
	}
	if p.Status.PodIP == r.ip {
		return nil
	}
	p.Status.Phase = corev1.PodRunning
	p.Status.PodIP, p.Status.PodIPs = r.ip, []corev1.PodIP{{IP: r.ip}}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "receiver", Image: p.Spec.Containers[0].Image, Ready: true,
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}},
	}}
	return k.client.Status().Update(ctx, p)
}
