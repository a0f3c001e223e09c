package controllers

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// scrapeTimeout bounds the wait for the cache: Prometheus gives up after 10 s by default, and then has no metric at all.
const scrapeTimeout = 5 * time.Second

// endpointCollector counts the endpoints when Prometheus asks. Numbers that are kept up to date at each change could be wrong for ever
// after a single mistake; these are right by construction, and cost a walk through the cache.
type endpointCollector struct {
	reader  client.Reader
	elected <-chan struct{}
	log     logr.Logger

	endpoints, notReady *prometheus.Desc
}

var _ prometheus.Collector = (*endpointCollector)(nil)

// registerEndpointMetrics registers the numbers of endpoints, read from reader, a cache. Nothing is shown before elected is closed: if each
// manager that waits to become the leader told the same, sums would be wrong.
func registerEndpointMetrics(reg prometheus.Registerer, reader client.Reader, elected <-chan struct{}, log logr.Logger) error {
	return reg.Register(&endpointCollector{
		reader: reader, elected: elected, log: log,
		endpoints: prometheus.NewDesc("hookbay_endpoints",
			"WebhookEndpoints, by the status of their condition Ready.", []string{"ready"}, nil),
		notReady: prometheus.NewDesc("hookbay_endpoints_not_ready",
			"WebhookEndpoints whose condition Ready is not True, by its reason; a reason that no endpoint has is left out.", []string{"reason"}, nil),
	})
}

// Describe implements prometheus.Collector.
func (c *endpointCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.endpoints
	ch <- c.notReady
}

// Collect implements prometheus.Collector. If the cache can't be read it is logged, and all other metrics are shown.
func (c *endpointCollector) Collect(ch chan<- prometheus.Metric) {
	select {
	case <-c.elected:
	default:
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	var list hookbayv1alpha1.WebhookEndpointList
	if err := c.reader.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil { // nothing of it is changed here
		c.log.Error(err, "Counting endpoints failed")
		return
	}
	byStatus := map[string]int{"true": 0, "false": 0, "unknown": 0}
	byReason := map[string]int{}
	for i := range list.Items {
		status, reason := readiness(&list.Items[i])
		byStatus[status]++
		if status != "true" {
			byReason[reason]++
		}
	}
	for status, n := range byStatus {
		ch <- prometheus.MustNewConstMetric(c.endpoints, prometheus.GaugeValue, float64(n), status)
	}
	for reason, n := range byReason {
		ch <- prometheus.MustNewConstMetric(c.notReady, prometheus.GaugeValue, float64(n), reason)
	}
}

// readiness is the status of the condition Ready as a label, and its reason. An endpoint that no round has come to is unknown.
func readiness(e *hookbayv1alpha1.WebhookEndpoint) (status, reason string) {
	c := meta.FindStatusCondition(e.Status.Conditions, hookbayv1alpha1.ConditionReady)
	switch {
	case c == nil:
		return "unknown", "NotObserved"
	case c.Status == metav1.ConditionTrue:
		return "true", c.Reason
	case c.Status == metav1.ConditionFalse:
		return "false", c.Reason
	}
	return "unknown", c.Reason
}
