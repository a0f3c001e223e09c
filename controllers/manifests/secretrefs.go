package manifests

import (
	"fmt"
	"path"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/receiver/config"
)

// SecretRef is one place of an endpoint that names a key of a Secret.
type SecretRef struct {
	// Field is the path of the reference in the WebhookEndpoint, such as spec.target.bearerTokenRef.
	Field string
	hookbayv1alpha1.SecretKeyRef
}

// SecretRefs lists the keys of Secrets that an endpoint names, in the order of the fields of the receiver's configuration.
func SecretRefs(e *hookbayv1alpha1.WebhookEndpoint) []SecretRef {
	var refs []SecretRef
	list := func(field string, l []hookbayv1alpha1.SecretKeyRef) {
		for i, r := range l {
			refs = append(refs, SecretRef{Field: fmt.Sprintf("%s[%d]", field, i), SecretKeyRef: r})
		}
	}
	one := func(field string, r *hookbayv1alpha1.SecretKeyRef) {
		if r != nil {
			refs = append(refs, SecretRef{Field: field, SecretKeyRef: *r})
		}
	}
	if l := e.Spec.Source.Lazada; l != nil {
		list("spec.source.lazada.appSecretRefs", l.AppSecretRefs)
	}
	if t := e.Spec.Source.TencentIM; t != nil {
		list("spec.source.tencentIM.tokenRefs", t.TokenRefs)
	}
	one("spec.target.bearerTokenRef", e.Spec.Target.BearerTokenRef)
	one("spec.target.caBundleRef", e.Spec.Target.CABundleRef)
	one("spec.target.signingSecretRef", e.Spec.Target.SigningSecretRef)
	if k := e.Spec.Target.Kafka; k != nil {
		if k.SASL != nil {
			one("spec.target.kafka.sasl.userRef", &k.SASL.UserRef)
			one("spec.target.kafka.sasl.passwordRef", &k.SASL.PasswordRef)
		}
		tlsRefs("spec.target.kafka.tls", k.TLS, one)
	}
	if j := e.Spec.Target.JetStream; j != nil {
		natsRefs("spec.target.jetStream", &j.NATS, one)
	}
	if j := e.Spec.Buffer.JetStream; j != nil {
		natsRefs("spec.buffer.jetStream", &j.NATS, one)
	}
	return refs
}

func natsRefs(at string, n *hookbayv1alpha1.NATS, one func(string, *hookbayv1alpha1.SecretKeyRef)) {
	one(at+".credentialsRef", n.CredentialsRef)
	one(at+".nkeySeedRef", n.NKeySeedRef)
	one(at+".userRef", n.UserRef)
	one(at+".passwordRef", n.PasswordRef)
	one(at+".tokenRef", n.TokenRef)
	tlsRefs(at+".tls", n.TLS, one)
}

func tlsRefs(at string, t *hookbayv1alpha1.TLS, one func(string, *hookbayv1alpha1.SecretKeyRef)) {
	if t != nil {
		one(at+".caBundleRef", t.CABundleRef)
		one(at+".certificateRef", t.CertificateRef)
		one(at+".keyRef", t.KeyRef)
	}
}

// SecretFile is where the receiver finds a key of a Secret: <namespace>/<secret>/<key> below its secrets directory.
func SecretFile(namespace string, ref hookbayv1alpha1.SecretKeyRef) config.SecretFile {
	return config.SecretFile(path.Join(namespace, ref.Name, ref.Key))
}
