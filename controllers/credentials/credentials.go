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
	"github.com/hookbay/hookbay/receiver/sources"
)

// fields gives the fields of the receiver's configuration the names that they have in the manifests.
var fields = strings.NewReplacer(
	"target.bearerTokenFile", "spec.target.bearerTokenRef", "target.caBundleFile", "spec.target.caBundleRef",
	"target.signingSecretFile", "spec.target.signingSecretRef", "target.", "spec.target.",
	"lazada.appSecretFiles", "spec.source.lazada.appSecretRefs", "tencentIM.tokenFiles", "spec.source.tencentIM.tokenRefs",
)

// Check returns what a receiver with configuration c would have against the values of the endpoint's Secrets: a signing secret that is none, a CA
// bundle without a certificate. The values are by manifests.SecretFile, and all there. words says where a reference's value is to be
// found, such as "Secret shop/lazada-app: the key app-secret". The error has a problem each line, and holds no value.
func Check(e *hookbayv1alpha1.WebhookEndpoint, c *config.Endpoint, values config.Secrets, words func(manifests.SecretRef) string) error {
	_, err := sources.New(c.Source, values)
	problems := []error{explain(e, err, words)}
	to, err := target.NewHTTP(c.Target, values, target.HTTPOptions{})
	if err != nil {
		problems = append(problems, explain(e, err, words))
	} else {
		to.Close()
	}
	return errors.Join(problems...)
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
