package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// probesTimeout bounds the wait for probes under way; nobody loses anything when one breaks off.
const probesTimeout = time.Second

// Run serves until ctx ends, then stops in the order that the package's comment gives. It returns nil after such a stop, else what broke:
// a server that fails, or a part that could not stop in order. It must be called once.
func (a *App) Run(ctx context.Context) error {
	polling, stopPolling := context.WithCancel(ctx)
	defer stopPolling()
	failed := make(chan error, 2) // one for each server
	var probes, callbacks, poll sync.WaitGroup
	a.reload.start()
	probes.Go(func() { serve(a.probes, "probes", failed) })
	callbacks.Go(func() { serve(a.callbacks, "callbacks", failed) })
	poll.Go(func() { a.reload.poll(polling) })
	a.state.Store(nil)
	a.log.Info("Receiver takes callbacks", "listen", a.ListenAddr().String(), "admin", a.AdminAddr().String())

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed: // it would look alive and hear nothing
	}
	a.log.Info("Receiver stops")
	if !a.o.ReadyWhileDraining {
		a.notReady("the receiver stops")
	}
	a.ingest.Drain()
	stopPolling()
	poll.Wait()
	if a.o.DrainDelay > 0 {
		<-time.After(a.o.DrainDelay)
	}
	a.notReady("the receiver stops")
	err = errors.Join(err, shutdown(a.callbacks, a.o.DrainTimeout))
	callbacks.Wait()
	err = errors.Join(err, a.endpoints.stop(a.o.DrainTimeout, a.buffers.close))
	err = errors.Join(err, shutdown(a.probes, probesTimeout))
	probes.Wait()
	a.log.Info("Receiver has stopped")
	return err
}

// serve runs a server until it is shut down, or tells why it failed.
func serve(s server, name string, failed chan<- error) {
	if err := s.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		failed <- fmt.Errorf("serve %s: %w", name, err)
	}
}

// shutdown closes a server's port and waits for what is under way, then breaks off what is left.
func shutdown(s server, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests under way did not end within %s", timeout), s.Close())
	}
	return nil
}

// giveBack closes what New had opened when it fails.
func (a *App) giveBack() error {
	var errs []error
	for _, s := range []server{a.callbacks, a.probes} {
		if s.listener != nil {
			errs = append(errs, s.listener.Close())
		}
	}
	return errors.Join(append(errs, a.buffers.close())...)
}
