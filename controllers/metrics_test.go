package controllers

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// fakeReader is a cache with these endpoints, or one that can't be read.
type fakeReader struct {
	client.Reader
	endpoints []hookbayv1alpha1.WebhookEndpoint
	err       error
}

func (f *fakeReader) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	list.(*hookbayv1alpha1.WebhookEndpointList).Items = f.endpoints
	return f.err
}

func TestEndpointMetrics(t *testing.T) {
	with := func(conditions ...string) hookbayv1alpha1.WebhookEndpoint {
		return hookbayv1alpha1.WebhookEndpoint{Status: hookbayv1alpha1.WebhookEndpointStatus{Conditions: said(t, conditions...)}}
	}
	const help = `
# HELP hookbay_endpoints WebhookEndpoints, by the status of their condition Ready.
# TYPE hookbay_endpoints gauge
`
	tests := map[string]struct {
		reader     fakeReader
		notElected bool
		want       string
	}{
		"endpoints in all states": {
			reader: fakeReader{endpoints: []hookbayv1alpha1.WebhookEndpoint{
				with("Delivering=False TargetFailing", "Ready=True Ready"), with("Ready=True Ready"), with("Ready=True Ready"),
				with("Ready=False SecretMissing"), with("Ready=False SecretMissing"), with("Ready=Unknown ReceiversUnreachable"), with(),
			}},
			want: help + `hookbay_endpoints{ready="false"} 2
hookbay_endpoints{ready="true"} 3
hookbay_endpoints{ready="unknown"} 2
# HELP hookbay_endpoints_not_ready WebhookEndpoints whose condition Ready is not True, by its reason; a reason that no endpoint has is left out.
# TYPE hookbay_endpoints_not_ready gauge
hookbay_endpoints_not_ready{reason="NotObserved"} 1
hookbay_endpoints_not_ready{reason="ReceiversUnreachable"} 1
hookbay_endpoints_not_ready{reason="SecretMissing"} 2
`,
		},
		"none at all": {
			want: help + `hookbay_endpoints{ready="false"} 0
hookbay_endpoints{ready="true"} 0
hookbay_endpoints{ready="unknown"} 0
`,
		},
		"a manager that is not the leader": {notElected: true, reader: fakeReader{endpoints: []hookbayv1alpha1.WebhookEndpoint{with()}}},
		"a cache that can't be read":       {reader: fakeReader{err: errors.New("not synced")}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			elected := make(chan struct{})
			if !tt.notElected {
				close(elected)
			}
			reg := prometheus.NewPedanticRegistry()
			if err := registerEndpointMetrics(reg, &tt.reader, elected, logr.Discard()); err != nil {
				t.Fatal(err)
			}
			if err := testutil.GatherAndCompare(reg, strings.NewReader(tt.want)); err != nil {
				t.Error(err)
			}
			if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
				t.Errorf("lint: %v %v", problems, err)
			}
		})
	}
}
