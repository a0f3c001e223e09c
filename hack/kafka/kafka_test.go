package kafka

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// TestBroker: a broker that was killed has what it acknowledged, keeps the order of a key, and lets nobody in without the password.
func TestBroker(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts a program")
	}
	const user, password = "someone", "a-password"
	b, err := Start(t.Context(), Options{Dir: t.TempDir(), Topic: "t", Mechanism: "SCRAM-SHA-512", User: user, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Kill(); err != nil {
			t.Error(err)
		}
	})
	connect := func(password string, more ...kgo.Opt) *kgo.Client {
		t.Helper()
		login := kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism())
		c, err := kgo.NewClient(append(more, kgo.SeedBrokers(b.Addr), login, kgo.DefaultProduceTopic("t"))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	const each = 50
	c := connect(password)
	for life := range 2 {
		for i := range each {
			if err := c.ProduceSync(t.Context(), &kgo.Record{Key: []byte("k"), Value: fmt.Append(nil, life*each+i)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	reader := connect(password, kgo.ConsumeTopics("t"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for want := 0; want < 2*each; {
		fetches := reader.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d records are there, want %d", want, 2*each)
		}
		for records := fetches.RecordIter(); !records.Done(); want++ {
			if got := string(records.Next().Value); got != fmt.Sprint(want) {
				t.Fatalf("record %s, want %d", got, want)
			}
		}
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := connect("wrong").Ping(ctx); err == nil {
		t.Error("a wrong password lets in")
	}
}
