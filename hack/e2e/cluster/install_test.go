package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/e2e-framework/pkg/features"
	frame "sigs.k8s.io/e2e-framework/pkg/types"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/hack/e2e/control"
)

// installed is what a new user sees.
func (c *cluster) installed() frame.Feature {
	return features.New("a new user gets callbacks").
		WithSetup("a failure is explained", step(c.watch)).
		Assess("helm test passes", step(func(t *testing.T) { c.helm(t, "test", release, "--namespace", system, "--timeout", patience.String()) })).
		Assess("both samples acknowledge and deliver their first callbacks", step(func(t *testing.T) {
			begin := time.Now()
			c.apply(t)
			well := time.Now()
			calls := c.startCallbacks(t, c.samples()...)
			t.Logf("From kubectl apply until both endpoints are Ready: %s; until %d callbacks are acknowledged: %s",
				well.Sub(begin).Round(time.Second), *rateFlag, time.Since(begin).Round(time.Second))
			reports := calls.end(t)
			noneFailed(t, reports)
			inOrder(t, reports)
		})).
		Assess("kubectl get shows what matters", step(c.columns)).
		Feature()
}

// columns are those of kubectl get whe, which asks for a table.
func (c *cluster) columns(t *testing.T) {
	waitFor(t, "the table has the last callback", func(ctx context.Context) error {
		table, err := c.table(ctx)
		if err != nil {
			return err
		}
		var got []string
		for _, d := range table.ColumnDefinitions {
			if d.Priority == 0 { // the others are those of -o wide
				got = append(got, d.Name)
			}
		}
		want := []string{"Name", "Source", "URL", "Ready", "Backlog", "Dead", "Last", "Age"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("columns (-want +got):\n%s", diff)
		}
		if len(table.Rows) != 2 {
			t.Fatalf("%d rows, want 2", len(table.Rows))
		}
		cells := map[string]any{}
		for i, d := range table.ColumnDefinitions {
			cells[d.Name] = table.Rows[0].Cells[i]
		}
		last := cells["Last"]
		for _, name := range []string{"Last", "Age", "Reason", "Rejected"} {
			delete(cells, name)
		}
		wantCells := map[string]any{
			"Name": c.lazada.name, "Source": control.Lazada, "URL": "https://hooks.example.com/shop/lazada-im", "Ready": "True",
			"Backlog": json.Number("0"), "Dead": json.Number("0"),
		}
		if diff := cmp.Diff(wantCells, cells); diff != "" {
			return errors.New(diff)
		}
		if last == nil || last == "" {
			return errors.New("LAST is empty")
		}
		return nil
	})
}

func (c *cluster) table(ctx context.Context) (*metav1.Table, error) {
	body, err := c.kube.Discovery().RESTClient().Get().
		AbsPath("/apis", hookbayv1alpha1.GroupVersion.Group, hookbayv1alpha1.GroupVersion.Version, "namespaces", shop, "webhookendpoints").
		SetHeader("Accept", "application/json;as=Table;g=meta.k8s.io;v=v1").Do(ctx).Raw()
	if err != nil {
		return nil, err
	}
	var table metav1.Table
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	return &table, d.Decode(&table)
}
