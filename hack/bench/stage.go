//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hookbay/hookbay/hack/bench/server"
	"github.com/hookbay/hookbay/hack/kafka"
	"github.com/hookbay/hookbay/hack/nats"
	"github.com/hookbay/hookbay/receiver/config"
)

// stage is the servers that section buffers measures with: they run for the whole section, and lose what they hold before each turn.
type stage struct {
	scratch string
	// cluster has three servers that sync every two minutes, as is their default; single is one that syncs whatever it acknowledges.
	cluster, single *nats.Cluster
	broker          *kafka.Broker // while a turn has one
	versions        string
}

func newStage(ctx context.Context, scratch string) (_ *stage, err error) {
	st := &stage{scratch: scratch}
	defer func() {
		if err != nil {
			err = errors.Join(err, st.close())
		}
	}()
	binary, err := nats.Binary(ctx)
	if err != nil {
		return nil, err
	}
	version, err := nats.Version(ctx, binary)
	if err != nil {
		return nil, err
	}
	for _, c := range []struct {
		into    **nats.Cluster
		name    string
		options nats.Options
	}{{&st.cluster, "cluster", nats.Options{}}, {&st.single, "single", nats.Options{Nodes: 1, SyncAlways: true}}} {
		c.options.Dir, c.options.Binary = filepath.Join(scratch, c.name), binary
		if err := os.MkdirAll(c.options.Dir, 0o750); err != nil {
			return nil, err
		}
		if *c.into, err = nats.Start(ctx, c.options); err != nil {
			return nil, err
		}
	}
	st.versions = "nats-server " + version + "; Kafka: kfake, a stand-in, that syncs what it acknowledges"
	if kafka.Real() != "" {
		st.versions = "nats-server " + version + "; Kafka: the broker at " + kafka.Real()
	}
	return st, nil
}

func (st *stage) close() error {
	var errs []error
	for _, c := range []*nats.Cluster{st.cluster, st.single} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// jetStream is a buffer in a stream of the receiver's own.
func (st *stage) jetStream(c *nats.Cluster, replicas int) config.Buffer {
	return config.Buffer{Type: config.BufferJetStream, JetStream: &config.JetStream{NATS: config.NATS{URLs: c.URLs()}, Replicas: replicas}}
}

// clear removes all streams.
func (st *stage) clear(ctx context.Context) error {
	for _, c := range []*nats.Cluster{st.cluster, st.single} {
		err := with(ctx, c, func(ctx context.Context, js jetstream.JetStream) error {
			list := js.StreamNames(ctx)
			for name := range list.Name() {
				if err := js.DeleteStream(ctx, name); err != nil {
					return fmt.Errorf("remove stream %s: %w", name, err)
				}
			}
			return list.Err()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// with has something done with a connection to a cluster.
func with(ctx context.Context, c *nats.Cluster, do func(context.Context, jetstream.JetStream) error) error {
	conn, err := client.Connect(strings.Join(c.URLs(), ","))
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	return do(ctx, js)
}

// cpu is what all servers have taken so far.
func (st *stage) cpu() (time.Duration, error) {
	var sum time.Duration
	pids := []int{}
	for _, c := range []*nats.Cluster{st.cluster, st.single} {
		for _, n := range c.Nodes {
			pids = append(pids, n.Pid())
		}
	}
	if st.broker != nil {
		pids = append(pids, st.broker.Pid())
	}
	for _, pid := range pids {
		u, err := server.UsageOf(pid)
		if err != nil {
			return 0, err
		}
		sum += u.CPU
	}
	return sum, nil
}

// stored is how many bytes all NATS servers together have on their disks.
func (st *stage) stored() int64 {
	var sum int64
	for _, c := range []*nats.Cluster{st.cluster, st.single} {
		for _, n := range c.Nodes {
			_ = filepath.WalkDir(n.StoreDir(), func(_ string, d fs.DirEntry, err error) error { // files come and go
				if err == nil && d.Type().IsRegular() {
					if info, err := d.Info(); err == nil {
						sum += info.Size()
					}
				}
				return nil
			})
		}
	}
	return sum
}

// kafkaTarget is a topic of a broker of its own, or of the real one.
func kafkaTarget(ctx context.Context, st *stage) (config.Target, func() error, error) {
	topic := "bench-" + strings.ToLower(rand.Text())
	address, end := kafka.Real(), func() error { return nil }
	if address == "" {
		dir, err := os.MkdirTemp(st.scratch, "broker-")
		if err != nil {
			return config.Target{}, nil, err
		}
		b, err := kafka.Start(ctx, kafka.Options{Dir: dir, Topic: topic})
		if err != nil {
			return config.Target{}, nil, err
		}
		st.broker, address = b, b.Addr
		end = func() error {
			st.broker = nil
			return errors.Join(b.Kill(), os.RemoveAll(dir))
		}
	}
	return config.Target{Type: config.TargetKafka, Kafka: &config.KafkaTarget{Brokers: []string{address}, Topic: topic}}, end, nil
}

// jetStreamTarget is a stream of three replicas.
func jetStreamTarget(ctx context.Context, st *stage) (config.Target, func() error, error) {
	err := with(ctx, st.cluster, func(ctx context.Context, js jetstream.JetStream) error {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "events", Subjects: []string{"events.>"}, Replicas: 3})
		return err
	})
	target := config.Target{
		Type:      config.TargetJetStream,
		JetStream: &config.JetStreamTarget{NATS: config.NATS{URLs: st.cluster.URLs()}, Subject: "events.{type}.{subject}"},
	}
	return target, func() error { return nil }, err
}
