package manifests

import (
	"fmt"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/receiver/config"
)

func receiverTarget(namespace string, t *hookbayv1alpha1.Target) config.Target {
	out := config.Target{
		Type:              config.TargetHTTP,
		URL:               t.URL,
		Timeout:           duration(t.Timeout),
		BearerTokenFile:   secretFile(namespace, t.BearerTokenRef),
		CABundleFile:      secretFile(namespace, t.CABundleRef),
		SigningSecretFile: secretFile(namespace, t.SigningSecretRef),
	}
	if s := t.Service; s != nil {
		path := string(s.Path)
		if path == "" {
			path = "/"
		}
		out.URL = fmt.Sprintf("http://%s.%s.svc:%d%s", s.Name, namespace, s.Port, path)
	}
	for _, h := range t.Headers {
		out.Headers = append(out.Headers, config.Header{Name: h.Name, Value: h.Value})
	}
	switch t.Type {
	case hookbayv1alpha1.TargetKafka:
		out.Type, out.Kafka = config.TargetKafka, receiverKafka(namespace, t.Kafka)
	case hookbayv1alpha1.TargetJetStream:
		j := t.JetStream
		out.Type, out.JetStream = config.TargetJetStream, &config.JetStreamTarget{
			NATS: receiverNATS(namespace, &j.NATS), Subject: j.Subject, ContentMode: string(j.ContentMode),
		}
	}
	return out
}

func receiverKafka(namespace string, k *hookbayv1alpha1.KafkaTarget) *config.KafkaTarget {
	out := &config.KafkaTarget{Brokers: k.Brokers, Topic: k.Topic, ContentMode: string(k.ContentMode)}
	if s := k.SASL; s != nil {
		out.SASL = &config.KafkaSASL{
			Mechanism:    string(s.Mechanism),
			UserFile:     SecretFile(namespace, s.UserRef),
			PasswordFile: SecretFile(namespace, s.PasswordRef),
		}
	}
	if t := k.TLS; t != nil {
		out.TLS = &config.TLS{
			CABundleFile:    secretFile(namespace, t.CABundleRef),
			CertificateFile: secretFile(namespace, t.CertificateRef),
			KeyFile:         secretFile(namespace, t.KeyRef),
		}
	}
	return out
}

func receiverNATS(namespace string, n *hookbayv1alpha1.NATS) config.NATS {
	out := config.NATS{
		URLs:            n.URLs,
		CredentialsFile: secretFile(namespace, n.CredentialsRef),
		NKeySeedFile:    secretFile(namespace, n.NKeySeedRef),
		UserFile:        secretFile(namespace, n.UserRef),
		PasswordFile:    secretFile(namespace, n.PasswordRef),
		TokenFile:       secretFile(namespace, n.TokenRef),
	}
	if t := n.TLS; t != nil {
		out.CABundleFile = secretFile(namespace, t.CABundleRef)
		out.CertificateFile = secretFile(namespace, t.CertificateRef)
		out.KeyFile = secretFile(namespace, t.KeyRef)
	}
	return out
}
