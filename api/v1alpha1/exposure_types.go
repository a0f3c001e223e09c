package v1alpha1

// Exposure says under which host and path the platform reaches the endpoint. What you enter in the platform's console is
// https://<host><path>.
type Exposure struct {
	// host that callbacks must be addressed to, such as hooks.example.com: lower case, without scheme and port. Default: any host. Calls to
	// another host are answered with 404. `hookbay run` ignores it: there, every endpoint answers on the local address.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$')`,message="write a host name in lower case, such as hooks.example.com: without https://, port or path"
	Host string `json:"host,omitempty"`

	// path that callbacks come in on, exactly. Default /<namespace>/<name> of the endpoint. No two endpoints may have the same
	// host and path.
	// +optional
	Path URLPath `json:"path,omitempty"`
}
