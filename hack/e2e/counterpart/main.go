// Command counterpart plays, in a pod, everybody that an endpoint deals with: the platforms that call it back and the service that its
// events are delivered to. As it is both in one process, it can tell which acknowledged callback was not delivered, came twice or came out of order.
//
//	counterpart                    serves the target and the tests' control, see package control
//	counterpart kill CONTAINER-ID  kills a container's main process, as the kernel would for want of memory; on the node, with its processes in view
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/hookbay/hookbay/hack/e2e/control"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(os.Args[1:], log); err != nil {
		log.Error("Counterpart ends", "error", err)
		os.Exit(1)
	}
}

func run(args []string, log *slog.Logger) error {
	switch {
	case len(args) == 0:
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return serve(ctx, log)
	case len(args) == 2 && args[0] == "kill":
		return killContainer("/proc", args[1], log)
	default:
		return errors.New("usage: counterpart, or counterpart kill CONTAINER-ID")
	}
}

// serve until ctx ends.
func serve(ctx context.Context, log *slog.Logger) error {
	books := newBooks()
	target := newTarget(":"+strconv.Itoa(control.TargetPort), books)
	if err := target.set(ctx, control.Target{}); err != nil {
		return err
	}
	loads := newLoads(ctx, books)
	server := &http.Server{Handler: newControl(target, loads, books, log), ReadHeaderTimeout: 10 * time.Second}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", ":"+strconv.Itoa(control.Port))
	if err != nil {
		return err
	}
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() }) // tests that wait for an answer are over as well
	defer stopped()
	log.Info("Counterpart is there", "target", control.TargetPort, "control", control.Port)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve control: %w", err)
	}
	return nil
}
