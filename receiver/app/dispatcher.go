package app

import (
	"context"

	"github.com/hookbay/hookbay/receiver/delivery"
	"github.com/hookbay/hookbay/receiver/delivery/target"
)

// dispatcher is a delivery.Dispatcher at work, in a goroutine of its own that ends with it.
type dispatcher struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when it and all its predecessors have ended
	state  func() delivery.TargetState
}

// dispatch starts delivering to a target, which it closes in the end. Its predecessor has been told to end: it leases nothing more, but
// its attempts under way may still take their time, and the endpoint's other events need not wait for them.
func dispatch(o delivery.Options, before *dispatcher) *dispatcher {
	ctx, cancel := context.WithCancel(context.Background())
	work := delivery.New(o)
	d := &dispatcher{cancel: cancel, done: make(chan struct{}), state: work.State}
	go func() {
		defer close(d.done)
		deliver(ctx, work, o.Target)
		if before != nil {
			<-before.done
		}
	}()
	return d
}

func deliver(ctx context.Context, work *delivery.Dispatcher, to target.Target) {
	defer to.Close()
	work.Run(ctx)
}
