// Command sink is a target to try Hookbay with: it prints each event that is delivered to it on one line and answers
// as it is told.
//
//	go run ./hack/sink -status 500        # a target that is broken
//	curl -X POST 'localhost:8081/answer?status=200&delay=2s'   # now it is only slow
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		slog.New(slog.NewTextHandler(os.Stderr, nil)).Error("Sink ended", "err", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("sink", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:8081", "the address to listen on")
	status := flags.Int("status", http.StatusOK, "the status to answer with")
	delay := flags.Duration("delay", 0, "how long to wait before the answer")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s := &sink{out: os.Stdout, answer: answer{status: *status, delay: *delay}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /answer", s.setAnswer)
	mux.HandleFunc("/", s.receive)
	server := &http.Server{Addr: *listen, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() }) // whoever delivers tries again
	defer stopped()
	fmt.Fprintf(os.Stderr, "Listening on http://%s\n", *listen)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// answer is what the sink replies with.
type answer struct {
	status int
	delay  time.Duration
}

// sink prints events and answers them.
type sink struct {
	mu     sync.Mutex // guards answer, and keeps lines whole
	answer answer
	out    io.Writer
}

// receive prints time, type, subject, id, attempt and body of a CloudEvent in HTTP binary mode.
func (s *sink) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 2<<20))
	if err != nil {
		http.Error(w, "read the body: "+err.Error(), http.StatusBadRequest)
		return
	}
	h := r.Header
	s.mu.Lock()
	a := s.answer
	fmt.Fprintf(s.out, "%s  %d  %s  subject=%s  id=%s  attempt=%s  %q\n", time.Now().Format("15:04:05.000"), a.status,
		h.Get("Ce-Type"), h.Get("Ce-Subject"), h.Get("Ce-Id"), h.Get("Hookbay-Attempt"), body)
	s.mu.Unlock()
	select {
	case <-time.After(a.delay):
	case <-r.Context().Done():
	}
	w.WriteHeader(a.status)
}

// setAnswer changes the answer; what the query does not name stays as it is.
func (s *sink) setAnswer(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.answer
	if v := r.FormValue("status"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 200 || n > 599 {
			http.Error(w, "status: want a number from 200 to 599", http.StatusBadRequest)
			return
		}
		next.status = n
	}
	if v := r.FormValue("delay"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d < 0 {
			http.Error(w, `delay: want a duration such as "2s"`, http.StatusBadRequest)
			return
		}
		next.delay = d
	}
	s.answer = next
	w.WriteHeader(http.StatusNoContent)
}
