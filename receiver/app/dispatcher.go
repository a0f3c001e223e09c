package app

import (
	"context"

	"github.com/hookbay/hookbay/receiver/delivery"
)

// dispatcher is a delivery.Dispatcher at work, in a goroutine of its own that ends with it.
type dispatcher struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when it and all its predecessors have ended
}

// dispatch starts delivering to a target, which it closes in the end. Its predecessor has been told to end: it leases nothing more, but
// its attempts under way may still take their time, and the endpoint's other events need not wait for them.
func dispatch(o delivery.Options, before *dispatcher) *dispatcher {
	ctx, cancel := context.WithCancel(context.Background())
	d := &dispatcher{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(d.done)
		deliver(ctx, o)
		if before != nil {
			<-before.done
		}
	}()
	return d
}

func deliver(ctx context.Context, o delivery.Options) {
	defer o.Target.Close()
	delivery.New(o).Run(ctx)
}
