package apply

import (
	"context"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// BenchmarkApply_nothingToDo measures what a child costs that is as it is wanted, read from memory as from a cache.
func BenchmarkApply_nothingToDo(b *testing.B) {
	for name, forget := range map[string]bool{"remembered": false, "compared": true} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			want := w.deployment()
			live := w.apply(want).(*appsv1.Deployment)
			w.applier.client = interceptor.NewClient(w.client, interceptor.Funcs{
				Get: func(_ context.Context, _ client.WithWatch, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
					live.DeepCopyInto(o.(*appsv1.Deployment))
					return nil
				},
			})
			w.requests.reset()
			b.ReportAllocs()
			for b.Loop() {
				if forget {
					w.applier.Forget(client.ObjectKeyFromObject(w.endpoint))
				}
				w.apply(want)
			}
			if writes := w.requests.writes(); len(writes) > 0 {
				b.Errorf("it wrote %d times", len(writes))
			}
		})
	}
}
