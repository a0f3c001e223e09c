package v1alpha1

// Exposure says under which host and path the platform reaches the endpoint. What you enter in the platform's console is
// https://<host><path>; status.url shows it.
//
// Callbacks come in through an Ingress if ingress is set, through an HTTPRoute if httpRoute is set, and through both if both are. With
// neither there is only the Service <name>-receiver on port 80, for whatever you put in front of it.
//
// +kubebuilder:validation:XValidation:rule=`has(self.host) || !has(self.ingress)`,message="ingress needs a host: add host, such as hooks.example.com"
// +kubebuilder:validation:XValidation:rule=`has(self.host) || !has(self.httpRoute)`,message="httpRoute needs a host: add host, such as hooks.example.com"
// +kubebuilder:validation:XValidation:rule=`!has(self.host) || (!has(self.ingress) && !has(self.httpRoute)) || !isIP(self.host)`,message="host is an IP address, which an Ingress or HTTPRoute can't be for: write a host name, such as hooks.example.com",fieldPath=".host"
type Exposure struct {
	// host that callbacks must be addressed to, such as hooks.example.com: lower case, without scheme and port. Default: any host. Calls to
	// another host are answered with 404. Required with ingress or httpRoute. `hookbay run` ignores it: there, every endpoint
	// answers on the local address.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$')`,message="write a host name in lower case, such as hooks.example.com: without https://, port or path"
	Host string `json:"host,omitempty"`

	// path that callbacks come in on, exactly. Default /<namespace>/<name> of the endpoint. Of the endpoints that have the same host and
	// path, in whatever namespaces they are, one gets its Ingress or HTTPRoute: the one that has it already, else the oldest. The
	// others say so in their condition Exposed.
	// +optional
	Path URLPath `json:"path,omitempty"`

	// ingress asks for an Ingress; write {} for one that leaves all to the cluster's default class. Default: none.
	// +optional
	Ingress *Ingress `json:"ingress,omitempty"`

	// httpRoute asks for an HTTPRoute of the Gateway API. Default: none.
	// +optional
	HTTPRoute *HTTPRoute `json:"httpRoute,omitempty"`
}

// Ingress says how the endpoint's Ingress is made. `hookbay run` ignores it.
type Ingress struct {
	// className names the IngressClass. Default: the cluster's default class.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')`,message="write the name of an IngressClass, as kubectl get ingressclass shows it"
	ClassName *string `json:"className,omitempty"`

	// tlsSecretName names a Secret of type kubernetes.io/tls in the endpoint's namespace with the certificate of host. Default: the
	// certificate that the Ingress controller has for that host. Both platforms call HTTPS only.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')`,message="write the name of a Secret: lower-case letters, digits, hyphens and dots"
	TLSSecretName string `json:"tlsSecretName,omitempty"`

	// annotations of the Ingress, such as cert-manager.io/cluster-issuer. Those that begin with hookbay.dev/ are Hookbay's.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule=`self.all(k, !k.startsWith('hookbay.dev/'))`,message="choose another key: annotations that begin with hookbay.dev/ are set by Hookbay"
	Annotations map[string]string `json:"annotations,omitempty"`
}

// HTTPRoute says how the endpoint's HTTPRoute is made. The Gateway API must be installed in the cluster. `hookbay run` ignores it.
type HTTPRoute struct {
	// parentRefs name the Gateways, or listeners of them, that callbacks come in through. A Gateway must admit routes from the endpoint's
	// namespace, and end TLS.
	// +required
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule=`self.all(p, self.exists_one(o, o.name == p.name && has(o.__namespace__) == has(p.__namespace__) && (!has(o.__namespace__) || o.__namespace__ == p.__namespace__) && has(o.sectionName) == has(p.sectionName) && (!has(o.sectionName) || o.sectionName == p.sectionName)))`,message="name each Gateway and sectionName once"
	// +listType=atomic
	ParentRefs []ParentRef `json:"parentRefs"`
}

// ParentRef names a Gateway, or one listener of it.
type ParentRef struct {
	// name of the Gateway.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')`,message="write the name of a Gateway, as kubectl get gateway shows it"
	Name string `json:"name"`

	// namespace of the Gateway. Default: the endpoint's.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')`,message="write the name of a namespace: lower-case letters, digits and hyphens"
	Namespace string `json:"namespace,omitempty"`

	// sectionName names a listener of the Gateway. Default: every listener that admits the route.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')`,message="write the name of a listener, as the Gateway's spec.listeners has it"
	SectionName string `json:"sectionName,omitempty"`
}
