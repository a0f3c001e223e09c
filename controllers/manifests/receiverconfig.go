package manifests

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/receiver/config"
)

// ReceiverConfig renders the configuration of a receiver that serves these endpoints, which have passed the rules of their
// definition. What they leave out is left to the receiver's defaults, which are the same as the API's.
func ReceiverConfig(endpoints []hookbayv1alpha1.WebhookEndpoint) config.Config {
	c := config.Config{Endpoints: make([]config.Endpoint, 0, len(endpoints))}
	for i := range endpoints {
		e := &endpoints[i]
		c.Endpoints = append(c.Endpoints, config.Endpoint{
			Namespace:  e.Namespace,
			Name:       e.Name,
			Generation: e.Generation,
			Host:       e.Spec.Exposure.Host,
			Path:       EndpointPath(e),
			Source:     receiverSource(e.Namespace, &e.Spec.Source),
			Target:     receiverTarget(e.Namespace, &e.Spec.Target),
			Delivery:   receiverDelivery(&e.Spec.Delivery),
			Buffer:     receiverBuffer(e.Namespace, &e.Spec.Buffer),
			RateLimit:  receiverRateLimit(e.Spec.RateLimit),
		})
	}
	return c
}

// EndpointPath is the path that callbacks of an endpoint come in on.
func EndpointPath(e *hookbayv1alpha1.WebhookEndpoint) string {
	if p := e.Spec.Exposure.Path; p != "" {
		return string(p)
	}
	return "/" + e.Namespace + "/" + e.Name
}

func receiverSource(namespace string, s *hookbayv1alpha1.Source) config.Source {
	out := config.Source{Type: string(s.Type)}
	if l := s.Lazada; l != nil {
		out.Lazada = &config.Lazada{
			AppKey:         l.AppKey,
			AppSecretFiles: secretFiles(namespace, l.AppSecretRefs),
			MessageTypes:   l.MessageTypes,
		}
	}
	if t := s.TencentIM; t != nil {
		out.TencentIM = &config.TencentIM{
			SDKAppID:             t.SDKAppID,
			TokenFiles:           secretFiles(namespace, t.TokenRefs),
			RequestTimeTolerance: duration(t.RequestTimeTolerance),
			Commands:             t.Commands,
			Unsigned:             string(t.Unsigned),
		}
	}
	return out
}

func receiverDelivery(d *hookbayv1alpha1.Delivery) config.Delivery {
	return config.Delivery{
		Ordering:    string(d.Ordering),
		MaxInFlight: int(d.MaxInFlight),
		Retry: config.Retry{
			InitialInterval: duration(d.Retry.InitialInterval),
			MaxInterval:     duration(d.Retry.MaxInterval),
			MaxAge:          duration(d.Retry.MaxAge),
		},
		Suspend: d.Suspend,
	}
}

func receiverRateLimit(r *hookbayv1alpha1.RateLimit) *config.RateLimit {
	if r == nil {
		return nil
	}
	out := &config.RateLimit{RequestsPerSecond: number(r.RequestsPerSecond), Burst: number(r.Burst)}
	if t := r.PerTenant; t != nil {
		out.PerTenant = &config.TenantRateLimit{RequestsPerSecond: int(t.RequestsPerSecond), Burst: number(t.Burst)}
	}
	return out
}

// number is n, or 0 for what is left out.
func number(n *int32) int {
	if n == nil {
		return 0
	}
	return int(*n)
}

func duration(d *metav1.Duration) config.Duration {
	if d == nil {
		return 0
	}
	return config.Duration(d.Duration)
}

func secretFile(namespace string, ref *hookbayv1alpha1.SecretKeyRef) config.SecretFile {
	if ref == nil {
		return ""
	}
	return SecretFile(namespace, *ref)
}

func secretFiles(namespace string, refs []hookbayv1alpha1.SecretKeyRef) []config.SecretFile {
	var files []config.SecretFile
	for _, r := range refs {
		files = append(files, SecretFile(namespace, r))
	}
	return files
}
