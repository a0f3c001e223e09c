package target

import (
	"strings"
	"testing"

	"github.com/hookbay/hookbay/receiver/config"
)

func TestNew(t *testing.T) {
	nats := config.NATS{URLs: []string{"nats://127.0.0.1:1"}}
	tests := map[string]struct {
		config  config.Target
		wantErr string // "": there is none
	}{
		"HTTP":       {config: config.Target{Type: config.TargetHTTP, URL: "http://127.0.0.1:1/"}},
		"Kafka":      {config: config.Target{Type: config.TargetKafka, Kafka: &config.KafkaTarget{Brokers: []string{"127.0.0.1:1"}, Topic: "t"}}},
		"JetStream":  {config: config.Target{Type: config.TargetJetStream, JetStream: &config.JetStreamTarget{NATS: nats, Subject: "e"}}},
		"no type":    {config.Target{}, "target.type: write HTTP, Kafka or JetStream"},
		"no URL":     {config.Target{Type: config.TargetHTTP}, "target.url is not"},
		"no topic":   {config.Target{Type: config.TargetKafka}, "target.kafka: set it"},
		"no subject": {config.Target{Type: config.TargetJetStream}, "target.jetStream: set it"},
		"no password": {config.Target{Type: config.TargetKafka, Kafka: &config.KafkaTarget{Brokers: []string{"a:1"}, Topic: "t", SASL: &config.KafkaSASL{
			Mechanism: config.SASLPlain, UserFile: "user", PasswordFile: "password",
		}}}, `target.kafka.sasl.passwordFile: secret file "password" is missing`},
		"no CA": {config.Target{Type: config.TargetKafka, Kafka: &config.KafkaTarget{Brokers: []string{"a:1"}, Topic: "t", TLS: &config.TLS{CABundleFile: "user"}}},
			`target.kafka.tls.caBundleFile "user" holds no certificate`},
		"no seed": {config.Target{Type: config.TargetJetStream, JetStream: &config.JetStreamTarget{
			NATS: config.NATS{URLs: nats.URLs, NKeySeedFile: "user"}, Subject: "e",
		}}, `target.jetStream.nkeySeedFile "user" holds no user's NKey seed`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := New(tt.config, config.Secrets{"user": "hunter2"}, 0, Common{})
			if tt.wantErr == "" {
				if err != nil {
					t.Fatal(err)
				}
				got.Close()
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), tt.wantErr) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error is %v, want %s… without any secret", err, tt.wantErr)
			}
			if got != nil {
				t.Errorf("there is a target, %v, beside the error", got)
			}
		})
	}
}
