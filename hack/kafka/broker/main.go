// Command broker speaks Kafka's protocol and keeps what it takes on disk, synced before it is acknowledged, so that it can be killed and started again. It is kfake, the broker
// of franz-go's own tests, as a process: the protocol is Kafka's, the broker behind it is not.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "broker:", err)
		os.Exit(1) // what stop would release goes with the process
	}
}

func run(ctx context.Context) error {
	dir := flag.String("dir", "", "the `directory` for what is stored; empty: it stays in memory")
	port := flag.Int("port", 0, "the port on 127.0.0.1")
	topic := flag.String("topic", "events", "the topic to create")
	partitions := flag.Int("partitions", 8, "how many partitions it has")
	mechanism := flag.String("sasl", "", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512: as whom to log in, with the password in BROKER_PASSWORD")
	user := flag.String("user", "", "the user's name, with -sasl")
	sync := flag.Bool("sync", true, "sync what is stored before it is acknowledged")
	flag.Parse()
	options := []kfake.Opt{
		kfake.NumBrokers(1), kfake.Ports(*port), kfake.SeedTopics(int32(*partitions), *topic), //nolint:gosec // few
		kfake.WithLogger(kfake.BasicLogger(os.Stderr, kfake.LogLevelWarn)),
	}
	if *dir != "" {
		options = append(options, kfake.DataDir(*dir))
		if *sync {
			options = append(options, kfake.SyncWrites())
		}
	}
	if *mechanism != "" {
		options = append(options, kfake.EnableSASL(), kfake.Superuser(*mechanism, *user, os.Getenv("BROKER_PASSWORD")))
	}
	c, err := kfake.NewCluster(options...)
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Println(c.ListenAddrs()[0])
	<-ctx.Done()
	return nil
}
