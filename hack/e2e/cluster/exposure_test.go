package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/e2e-framework/pkg/features"
	frame "sigs.k8s.io/e2e-framework/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/hack/e2e/control"
)

const (
	host       = "hooks.example.com" // of the samples
	tlsSecret  = "hooks-tls"
	gateway    = "public"
	noOnesName = "hookbay-e2e-nobody" // an IngressClass that nobody serves
)

// exposed leads callbacks in from outside, over TLS, by the endpoint's host name.
func (c *cluster) exposed() frame.Feature {
	var ca string
	f := features.New("callbacks come in over TLS by the endpoint's host name").
		WithSetup("a certificate", step(func(t *testing.T) {
			c.begin(t)
			ca = c.makeCertificate(t)
		})).
		WithTeardown("no exposure is left", step(func(t *testing.T) {
			c.expose(t, func(x *hookbayv1alpha1.Exposure) { x.Ingress, x.HTTPRoute = nil, nil })
			c.waitWell(t, c.lazada, 2, nil)
			c.waitWell(t, c.tencent, 2, nil)
		}))
	if *ingressClassFlag == "" {
		f = f.Assess("an Ingress is made, and the status says that nobody serves it", step(c.unservedIngress))
	} else {
		f = f.Assess("through an Ingress", step(func(t *testing.T) {
			c.expose(t, func(x *hookbayv1alpha1.Exposure) {
				x.Ingress, x.HTTPRoute = &hookbayv1alpha1.Ingress{ClassName: ingressClassFlag, TLSSecretName: tlsSecret}, nil
			})
			c.comeIn(t, *ingressAddressFlag, ca)
		}))
	}
	if *gatewayClassFlag != "" {
		f = f.Assess("through an HTTPRoute", step(func(t *testing.T) {
			c.makeGateway(t)
			c.expose(t, func(x *hookbayv1alpha1.Exposure) {
				x.Ingress, x.HTTPRoute = nil, &hookbayv1alpha1.HTTPRoute{ParentRefs: []hookbayv1alpha1.ParentRef{{Name: gateway}}}
			})
			c.comeIn(t, *gatewayAddressFlag, ca)
		}))
	}
	return f.Feature()
}

// expose changes the exposure of both endpoints.
func (c *cluster) expose(t *testing.T, mutate func(*hookbayv1alpha1.Exposure)) {
	t.Helper()
	for _, e := range c.samples() {
		c.change(t, e, func(s *hookbayv1alpha1.WebhookEndpointSpec) { mutate(&s.Exposure) })
	}
}

// comeIn sends callbacks to the endpoints' URLs, at the address where they are served.
func (c *cluster) comeIn(t *testing.T, address, ca string) {
	t.Helper()
	begin := time.Now()
	through := &callbacks{c: c, loads: map[string]string{}}
	for _, e := range c.samples() {
		c.waitWell(t, e, 2, nil)
		w, err := c.get(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		load := control.Load{URL: w.Status.URL, Dial: address, CA: ca, Subjects: *rateFlag, Interval: time.Second}
		// Whoever serves the host may say so before it does.
		c.waitServed(t, e, load, 1)
		through.start(t, e, load)
	}
	through.waitAnswered(t)
	t.Logf("From the change of spec to %d acknowledged callbacks: %s", *rateFlag, time.Since(begin).Round(time.Second))
	reports := through.end(t)
	noneFailed(t, reports)
	inOrder(t, reports)
}

// unservedIngress looks at the objects, where there is nobody to serve them.
func (c *cluster) unservedIngress(t *testing.T) {
	c.expose(t, func(x *hookbayv1alpha1.Exposure) {
		x.Ingress = &hookbayv1alpha1.Ingress{ClassName: new(noOnesName), TLSSecretName: tlsSecret}
	})
	for _, e := range c.samples() {
		want := networkingv1.IngressSpec{
			IngressClassName: new(noOnesName),
			TLS:              []networkingv1.IngressTLS{{Hosts: []string{host}, SecretName: tlsSecret}},
			Rules: []networkingv1.IngressRule{{Host: host, IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
				Paths: []networkingv1.HTTPIngressPath{{
					Path: "/" + shop + "/" + e.name, PathType: new(networkingv1.PathTypeExact),
					Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
						Name: e.name + "-receiver", Port: networkingv1.ServiceBackendPort{Name: "http"},
					}},
				}},
			}}}},
		}
		waitFor(t, "the Ingress of "+e.name+" is made", func(ctx context.Context) error {
			var i networkingv1.Ingress
			if err := c.Get(ctx, client.ObjectKey{Namespace: shop, Name: e.name + "-receiver"}, &i); err != nil {
				return err
			}
			if diff := cmp.Diff(want, i.Spec); diff != "" {
				return errors.New(diff)
			}
			w, err := c.get(ctx, e)
			if err != nil {
				return err
			}
			if is := condition(w, hookbayv1alpha1.ConditionExposed); is.Reason != hookbayv1alpha1.ReasonIngressNotAdmitted {
				return fmt.Errorf("condition Exposed: %s: %s: %s", is.Status, is.Reason, is.Message)
			}
			return nil
		})
	}
}

// makeGateway makes a Gateway that ends TLS for the host.
func (c *cluster) makeGateway(t *testing.T) {
	t.Helper()
	g := &gatewayv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: gateway},
		Spec: gatewayv1.GatewaySpec{
			GatewayClassName: gatewayv1.ObjectName(*gatewayClassFlag),
			Listeners: []gatewayv1.Listener{{
				Name: "https", Port: gatewayv1.PortNumber(*gatewayPortFlag), Protocol: gatewayv1.HTTPSProtocolType, Hostname: new(gatewayv1.Hostname(host)),
				TLS: &gatewayv1.ListenerTLSConfig{CertificateRefs: []gatewayv1.SecretObjectReference{{Name: tlsSecret}}},
			}},
		},
	}
	c.create(t, g)
	c.feature.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if err := c.Delete(ctx, g); client.IgnoreNotFound(err) != nil {
			c.feature.Error(err)
		}
	})
}

// makeCertificate makes a Secret with a certificate for the host, and returns what it is to be verified with.
func (c *cluster) makeCertificate(t *testing.T) (ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	crt := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	c.create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: tlsSecret}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{
			corev1.TLSCertKey: crt, corev1.TLSPrivateKeyKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		},
	})
	return string(crt)
}
