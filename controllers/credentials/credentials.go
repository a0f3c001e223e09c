// Package credentials tells whether the Secrets that an endpoint names can be what the receiver needs them to be, by making the very source and
// target that the receiver will make. What is wrong is said in the words of the manifests.
package credentials

import (
	"errors"
	"fmt"
	"strings"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/delivery/target"
	"github.com/hookbay/hookbay/receiver/natsconn"
	"github.com/hookbay/hookbay/receiver/sources"
)

// fields gives the fields of the receiver's configuration the names that they have in the manifests.
var fields = strings.NewReplacer(
	"target.bearerTokenFile", "spec.target.bearerTokenRef", "target.caBundleFile", "spec.target.caBundleRef",
	"target.signingSecretFile", "spec.target.signingSecretRef", "target.", "spec.target.",
	"lazada.appSecretFiles", "spec.source.lazada.appSecretRefs", "tencentIM.tokenFiles", "spec.source.tencentIM.tokenRefs",
	"buffer.", "spec.buffer.", "jetStream.caBundleFile", "jetStream.tls.caBundleRef", "jetStream.certificateFile", "jetStream.tls.certificateRef",
	"jetStream.keyFile", "jetStream.tls.keyRef", "credentialsFile", "credentialsRef", "nkeySeedFile", "nkeySeedRef", "userFile", "userRef",
	"passwordFile", "passwordRef", "tokenFile", "tokenRef", "caBundleFile", "caBundleRef", "certificateFile", "certificateRef", "keyFile", "keyRef",
)

// Check returns what a receiver with configuration c would have against the values of the endpoint's Secrets: a signing secret that is none, a CA
// bundle without a certificate, NATS credentials without a key. The values are by manifests.SecretFile, and all there. words says where a reference's
// value is to be found, such as "Secret shop/lazada-app: the key app-secret". The error has a problem each line, and holds no value.
func Check(e *hookbayv1alpha1.WebhookEndpoint, c *config.Endpoint, values config.Secrets, words func(manifests.SecretRef) string) error {
	_, err := sources.New(c.Source, values)
	problems := []error{explain(e, err, words), explain(e, checkTarget(&c.Target, values), words)}
	if j := c.Buffer.JetStream; j != nil {
		problems = append(problems, explain(e, below("buffer.jetStream.", natsconn.Check(j.NATS, values)), words))
	}
	return errors.Join(problems...)
}

// checkTarget connects to nothing.
func checkTarget(t *config.Target, values config.Secrets) error {
	switch {
	case t.Kafka != nil:
		return checkKafka(t.Kafka, values)
	case t.JetStream != nil:
		return below("target.jetStream.", natsconn.Check(t.JetStream.NATS, values))
	}
	to, err := target.NewHTTP(*t, values, target.HTTPOptions{})
	if err != nil {
		return err
	}
	to.Close()
	return nil
}

func checkKafka(k *config.KafkaTarget, values config.Secrets) error {
	if s := k.SASL; s != nil {
		if _, err := values.Credential(s.UserFile); err != nil {
			return below("target.kafka.sasl.userFile: ", err)
		}
		if _, err := values.Credential(s.PasswordFile); err != nil {
			return below("target.kafka.sasl.passwordFile: ", err)
		}
	}
	if t := k.TLS; t != nil {
		if _, err := t.Roots(values); err != nil {
			return below("target.kafka.tls.", err)
		}
		if _, err := t.Certificate(values); err != nil {
			return below("target.kafka.tls.", err)
		}
	}
	return nil
}

// below has an error begin with the path of what it is about.
func below(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s%w", path, err)
}

func explain(e *hookbayv1alpha1.WebhookEndpoint, err error, words func(manifests.SecretRef) string) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, ref := range manifests.SecretRefs(e) {
		file := fmt.Sprintf("%q", manifests.SecretFile(e.Namespace, ref.SecretKeyRef))
		text = strings.ReplaceAll(text, "secret file "+file, words(ref))
		text = strings.ReplaceAll(text, " "+file, ": "+words(ref))
	}
	return errors.New(fields.Replace(text))
}
