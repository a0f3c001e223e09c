package controllers

// What the manager may do. make generate writes config/rbac from this; the tests run the manager with exactly these rights.
//
// Everything of hookbay-manager is in namespaces, so that an installation for some of them needs no ClusterRole; hookbay-metrics-auth only
// protects the metrics. Secrets are listed and watched by their metadata alone, and read one by one; the API server knows no such
// difference in rights. finalizers are for clusters in which an owner must be one that its child's maker may change.
//
// +kubebuilder:rbac:groups=hookbay.dev,resources=webhookendpoints,verbs=get;list;watch
// +kubebuilder:rbac:groups=hookbay.dev,resources=webhookendpoints/status,verbs=patch
// +kubebuilder:rbac:groups=hookbay.dev,resources=webhookendpoints/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups="",resources=configmaps;persistentvolumeclaims;serviceaccounts;services,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=autoscaling,resources=horizontalpodautoscalers,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=httproutes,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=ingresses;networkpolicies,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:roleName=hookbay-metrics-auth,groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:roleName=hookbay-metrics-auth,groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create
//
// The lease of the leader, and the events about it, are in the manager's own namespace.
//
// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=hookbay-system,resources=leases,verbs=get;create;update
// +kubebuilder:rbac:groups="",namespace=hookbay-system,resources=events,verbs=create;patch
