package v1alpha1

// RateLimit bounds how many callbacks each receiver takes. It guards the buffer and your service from a platform that runs wild, or from one of
// its tenants; it is not needed against overload: a receiver refuses by itself what it can't store in time. What is refused is answered with
// 429 and a Retry-After in the platform's own words, and counted as `rate_limited` in hookbay_callbacks_total.
//
// A refusal has a price. To Lazada it is a failed push: it repeats the push after 30 minutes, up to 12 times, and stops calling an
// address that fails more than half. Tencent by default never repeats it: the callback is lost. So choose limits that only a flood reaches.
//
// The limits are those of one receiver: with receiver.replicas: 2, both together take up to twice as many, and a platform that sends more
// to one of them is refused there while the other has room. Callbacks that fail verification, and those that messageTypes or commands leave
// out, don't count; repeats do. A callback counts once, however many events it holds.
//
// +kubebuilder:validation:XValidation:rule=`has(self.requestsPerSecond) || has(self.perTenant)`,message="write requestsPerSecond, perTenant or both, such as requestsPerSecond: 500; or remove rateLimit for no limit"
// +kubebuilder:validation:XValidation:rule=`has(self.requestsPerSecond) || !has(self.burst)`,message="burst goes with requestsPerSecond: add requestsPerSecond, or remove burst",fieldPath=".burst"
// +kubebuilder:validation:XValidation:rule=`!has(self.requestsPerSecond) || !has(self.perTenant) || self.perTenant.requestsPerSecond <= self.requestsPerSecond`,message="perTenant.requestsPerSecond must not be higher than requestsPerSecond, which bounds all tenants together: lower the first or raise the second",fieldPath=".perTenant.requestsPerSecond"
type RateLimit struct {
	// requestsPerSecond is how many callbacks a second each receiver takes over a longer time, all tenants together. No default: without it
	// there is no such limit. 1 to 1000000.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	RequestsPerSecond *int32 `json:"requestsPerSecond,omitempty"`

	// burst is how many callbacks may come at once after a quiet time. Default: twice requestsPerSecond. 1 to 2000000.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2000000
	Burst *int32 `json:"burst,omitempty"`

	// perTenant bounds each tenant by itself, so that one of them can't use up what the others need. A tenant is, with Lazada, the seller
	// (seller_id); with Tencent IM, the account that acts, such as the sender of a message. Callbacks that name none share one limit. A receiver
	// remembers the 5,000 to 10,000 tenants that it last heard of; one that it forgot starts with a full burst. Metrics don't tell tenants apart.
	// +optional
	PerTenant *TenantRateLimit `json:"perTenant,omitempty"`
}

// TenantRateLimit bounds the callbacks of each tenant of a platform.
type TenantRateLimit struct {
	// requestsPerSecond is how many callbacks a second each receiver takes of one tenant over a longer time. 1 to 1000000.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	RequestsPerSecond int32 `json:"requestsPerSecond"`

	// burst is how many callbacks of one tenant may come at once after a quiet time. Default: twice requestsPerSecond. 1 to 2000000.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2000000
	Burst *int32 `json:"burst,omitempty"`
}
