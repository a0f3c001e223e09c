package config

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// toKafka has the endpoint deliver to a topic, changed by change.
func toKafka(change func(*KafkaTarget)) func(*Endpoint) {
	return func(e *Endpoint) {
		k := &KafkaTarget{Brokers: []string{"kafka.shop.svc:9092"}, Topic: "events"}
		change(k)
		e.Target = Target{Type: TargetKafka, Kafka: k}
	}
}

// toJetStream has the endpoint deliver to a stream, changed by change.
func toJetStream(change func(*JetStreamTarget)) func(*Endpoint) {
	return func(e *Endpoint) {
		j := &JetStreamTarget{NATS: NATS{URLs: []string{"nats://nats.shop.svc:4222"}}, Subject: "events.{type}"}
		change(j)
		e.Target = Target{Type: TargetJetStream, JetStream: j}
	}
}

func toSubject(template string) func(*Endpoint) {
	return toJetStream(func(j *JetStreamTarget) { j.Subject = template })
}

// inJetStream has the endpoint's events kept in a stream, changed by change.
func inJetStream(change func(*JetStream)) func(*Endpoint) {
	return func(e *Endpoint) {
		j := &JetStream{NATS: NATS{URLs: []string{"nats://nats.shop.svc:4222"}}}
		change(j)
		e.Buffer = Buffer{Type: BufferJetStream, JetStream: j}
	}
}

func reached(urls ...string) func(*Endpoint) {
	return inJetStream(func(j *JetStream) { j.URLs = urls })
}

func TestValidate_acceptsEngines(t *testing.T) {
	tests := map[string]func(*Endpoint){
		"a topic": toKafka(func(*KafkaTarget) {}),
		"a topic with all that there is": toKafka(func(k *KafkaTarget) {
			k.Brokers, k.Topic, k.ContentMode = []string{"[::1]:9093", "10.0.0.1:9093", "b.example.com:65535"}, "shop.Events_v1-2", ContentStructured
			k.SASL = &KafkaSASL{Mechanism: SASLScramSHA512, UserFile: "kafka/user", PasswordFile: "kafka/password"}
			k.TLS = &TLS{CABundleFile: "kafka/ca", CertificateFile: "kafka/tls.crt", KeyFile: "kafka/tls.key"}
		}),
		"a subject": toJetStream(func(*JetStreamTarget) {}),
		"a subject with all that there is": toJetStream(func(j *JetStreamTarget) {
			j.Subject, j.ContentMode = "shop.{namespace}.{name}.{type}.of-{subject}.{source}.{id}", ContentBinary
			j.CredentialsFile, j.CABundleFile = "nats/creds", "nats/ca"
		}),
		"a subject without a template": toSubject("events"),
		"a subject as long as may be":  toSubject("e." + strings.Repeat("x", 510)),
		"a stream":                     inJetStream(func(*JetStream) {}),
		"a stream with all that there is": inJetStream(func(j *JetStream) {
			j.Replicas, j.Storage, j.MaxAge = 5, StorageMemory, Duration(time.Hour)
			j.UserFile, j.PasswordFile, j.CertificateFile, j.KeyFile = "nats/user", "nats/password", "nats/tls.crt", "nats/tls.key"
		}),
		"a stream by its name":    inJetStream(func(j *JetStream) { j.Stream = "SHOP_events-1" }),
		"every kind of address":   reached("nats://a", "tls://a:4443", "nats://10.0.0.1:4222/"),
		"web sockets":             reached("ws://a:8080/nats", "wss://[::1]:443"),
		"a seed":                  inJetStream(func(j *JetStream) { j.NKeySeedFile = "nats/seed" }),
		"a token and a file's CA": inJetStream(func(j *JetStream) { j.TokenFile, j.CABundleFile = "nats/token", "nats/ca" }),
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			c := Config{Endpoints: []Endpoint{valid(change)}}
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

type refused struct {
	change  func(*Endpoint)
	wantErr string // what follows the path of the endpoint
}

func checkRefused(t *testing.T, tests map[string]refused) {
	t.Helper()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := Config{Endpoints: []Endpoint{valid(tt.change)}}
			err := c.Validate()
			if want := "endpoints[0]." + tt.wantErr; err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Fatalf("error is %v, want one that begins with %q", err, want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error quotes a secret: %v", err)
			}
		})
	}
}

func TestValidate_refusesKafka(t *testing.T) {
	const at = "target.kafka"
	brokers := func(b ...string) func(*Endpoint) { return toKafka(func(k *KafkaTarget) { k.Brokers = b }) }
	topic := func(name string) func(*Endpoint) { return toKafka(func(k *KafkaTarget) { k.Topic = name }) }
	sasl := func(s KafkaSASL) func(*Endpoint) { return toKafka(func(k *KafkaTarget) { k.SASL = &s }) }
	tls := func(s TLS) func(*Endpoint) { return toKafka(func(k *KafkaTarget) { k.TLS = &s }) }
	also := func(change func(*Target)) func(*Endpoint) {
		return func(e *Endpoint) {
			toKafka(func(*KafkaTarget) {})(e)
			change(&e.Target)
		}
	}
	checkRefused(t, map[string]refused{
		"no member":             {func(e *Endpoint) { e.Target = Target{Type: TargetKafka} }, at + ": type is Kafka: set it"},
		"another type's member": {func(e *Endpoint) { e.Target.Kafka = &KafkaTarget{} }, at + ": type is not Kafka: remove it or set type: Kafka"},
		"a URL":                 {also(func(t *Target) { t.URL = "http://hunter2/" }), "target.url: it goes with type: HTTP: remove it"},
		"headers":               {also(func(t *Target) { t.Headers = []Header{{"X", "hunter2"}} }), "target.headers: it goes with type: HTTP"},
		"a bearer token":        {also(func(t *Target) { t.BearerTokenFile = "t" }), "target.bearerTokenFile: it goes with type: HTTP"},
		"HTTP's CA":             {also(func(t *Target) { t.CABundleFile = "t" }), "target.caBundleFile: it goes with type: HTTP"},
		"a signature":           {also(func(t *Target) { t.SigningSecretFile = "t" }), "target.signingSecretFile: it goes with type: HTTP"},
		"a negative timeout":    {also(func(t *Target) { t.Timeout = -1 }), "target.timeout: write a duration"},
		"no brokers":            {brokers(), at + ".brokers: list 1 to 32 brokers"},
		"too many brokers":      {brokers(slices.Repeat([]string{"a:1"}, 33)...), at + ".brokers: list 1 to 32 brokers"},
		"a broker without port": {brokers("a:1", "kafka"), at + ".brokers[1]: write a host and a port"},
		"a broker by its URL":   {brokers("kafka://u:hunter2@a:9092"), at + ".brokers[0]: write a host and a port"},
		"a port out of range":   {brokers("a:65536"), at + ".brokers[0]: write a host and a port"},
		"no topic":              {topic(""), at + ".topic: write a topic's name"},
		"a topic with a slash":  {topic("a/b"), at + ".topic: write a topic's name"},
		"a topic of dots":       {topic(".."), at + ".topic: write a topic's name"},
		"a long topic":          {topic(strings.Repeat("a", 250)), at + ".topic: write a topic's name of at most 249"},
		"an odd mode":           {toKafka(func(k *KafkaTarget) { k.ContentMode = "Batch" }), at + ".contentMode: write Binary or Structured, or leave it out for Binary"},
		"an odd mechanism": {sasl(KafkaSASL{Mechanism: "GSSAPI", UserFile: "u", PasswordFile: "p"}),
			at + ".sasl.mechanism: write PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"},
		"no user":               {sasl(KafkaSASL{Mechanism: SASLPlain, PasswordFile: "p"}), at + ".sasl.userFile: write a path"},
		"no password":           {sasl(KafkaSASL{Mechanism: SASLPlain, UserFile: "u"}), at + ".sasl.passwordFile: write a path"},
		"a password outside":    {sasl(KafkaSASL{Mechanism: SASLPlain, UserFile: "u", PasswordFile: "/p"}), at + ".sasl.passwordFile: write a path"},
		"a certificate alone":   {tls(TLS{CertificateFile: "c"}), at + ".tls.certificateFile: it goes with keyFile"},
		"a key alone":           {tls(TLS{KeyFile: "k"}), at + ".tls.certificateFile: it goes with keyFile"},
		"a CA's file elsewhere": {tls(TLS{CABundleFile: "../ca"}), at + ".tls.caBundleFile: write a path below the secrets directory"},
	})
}

func TestValidate_refusesJetStreamTargets(t *testing.T) {
	const at = "target.jetStream"
	const words = at + `.subject: write a subject such as "events.{type}"`
	checkRefused(t, map[string]refused{
		"no member":               {func(e *Endpoint) { e.Target = Target{Type: TargetJetStream} }, at + ": type is JetStream: set it"},
		"another type's member":   {func(e *Endpoint) { e.Target.JetStream = &JetStreamTarget{} }, at + ": type is not JetStream: remove it"},
		"an odd mode":             {toJetStream(func(j *JetStreamTarget) { j.ContentMode = "binary" }), at + ".contentMode: write Binary or Structured"},
		"no servers":              {toJetStream(func(j *JetStreamTarget) { j.URLs = nil }), at + ".urls: list 1 to 32 addresses"},
		"no subject":              {toSubject(""), words},
		"a token of nothing":      {toSubject("a..b"), words},
		"a dot at the end":        {toSubject("a.{type}."), words},
		"a wildcard":              {toSubject("a.*"), words},
		"a wildcard for the rest": {toSubject("a.>"), words},
		"a space":                 {toSubject("a b"), words},
		"a brace that closes":     {toSubject("a.}"), words},
		"a brace that stays open": {toSubject("a.{type"), at + ".subject: write in braces one of type, subject, source, id, namespace, name"},
		"an unknown field":        {toSubject("a.{Type}"), at + ".subject: write in braces one of type"},
		"a field of nothing":      {toSubject("a.{}"), at + ".subject: write in braces one of type"},
		"the servers' subjects":   {toSubject("$JS.API.x"), at + `.subject: begin it with another character than "$"`},
		"an inbox":                {toSubject("_INBOX.{id}"), at + `.subject: begin it with another character than "$" and "_"`},
		"the buffers' subjects":   {toSubject("hookbay.{type}"), at + ".subject: begin it with another word"},
		"a value as first word":   {toSubject("{subject}.x"), at + ".subject: begin it with a word"},
		"a long subject":          {toSubject(strings.Repeat("a", 513)), at + ".subject: keep it within 512 bytes"},
	})
}

func TestValidate_refusesJetStreamBuffers(t *testing.T) {
	const at = "buffer.jetStream"
	stream := func(name string) func(*Endpoint) { return inJetStream(func(j *JetStream) { j.Stream = name }) }
	checkRefused(t, map[string]refused{
		"no member":             {func(e *Endpoint) { e.Buffer.Type = BufferJetStream }, at + ": type is JetStream: set it"},
		"another type's member": {func(e *Endpoint) { e.Buffer.JetStream = &JetStream{} }, at + ": type is not JetStream: remove it or set type: JetStream"},
		"no servers":            {reached(), at + ".urls: list 1 to 32 addresses"},
		"an odd scheme":         {reached("nats://a", "http://a"), at + ".urls[1]: write an address such as"},
		"no scheme":             {reached("nats.shop.svc:4222"), at + ".urls[0]: write an address such as"},
		"no host":               {reached("nats://:4222"), at + ".urls[0]: write an address such as"},
		"a broken address":      {reached("nats://u:hunter2@a%zz"), at + ".urls[0]: write an address such as"},
		"user information":      {reached("nats://u:hunter2@a"), at + ".urls[0]: remove the user information"},
		"a token as user":       {reached("nats://hunter2@a"), at + ".urls[0]: remove the user information"},
		"a path":                {reached("nats://a/hunter2"), at + ".urls[0]: remove what follows the port"},
		"two kinds of address":  {reached("ws://a", "nats://a"), at + ".urls: write ws or wss in all of them, or in none"},
		"a query":               {reached("ws://a/?hunter2"), at + ".urls[0]: remove what follows the port"},
		"a name with a dot":     {stream("a.b"), at + ".stream: write a stream's name"},
		"a name with a space":   {stream("a b"), at + ".stream: write a stream's name"},
		"a long name":           {stream(strings.Repeat("a", 256)), at + ".stream: write a stream's name"},
		"six replicas":          {inJetStream(func(j *JetStream) { j.Replicas = 6 }), at + ".replicas: write 1 to 5, or leave it out for 3"},
		"less than no replicas": {inJetStream(func(j *JetStream) { j.Replicas = -1 }), at + ".replicas: write 1 to 5"},
		"an odd storage":        {inJetStream(func(j *JetStream) { j.Storage = "Tape" }), at + ".storage: write File or Memory, or leave it out for File"},
		"a negative age":        {inJetStream(func(j *JetStream) { j.MaxAge = -1 }), at + ".maxAge: write a duration"},
		"two ways to log in":    {inJetStream(func(j *JetStream) { j.TokenFile, j.CredentialsFile = "a", "b" }), at + ": keep one way to log in"},
		"a user alone":          {inJetStream(func(j *JetStream) { j.UserFile = "u" }), at + ".userFile: it goes with passwordFile"},
		"a password alone":      {inJetStream(func(j *JetStream) { j.PasswordFile = "p" }), at + ".userFile: it goes with passwordFile"},
		"a key alone":           {inJetStream(func(j *JetStream) { j.KeyFile = "k" }), at + ".certificateFile: it goes with keyFile"},
		"a seed elsewhere":      {inJetStream(func(j *JetStream) { j.NKeySeedFile = "/etc/seed" }), at + ".nkeySeedFile: write a path below"},
	})
}

func TestEndpoint_SecretFilesOfEngines(t *testing.T) {
	nats := NATS{CredentialsFile: "1", NKeySeedFile: "2", UserFile: "3", PasswordFile: "4", TokenFile: "5", CABundleFile: "6", CertificateFile: "7", KeyFile: "8"}
	kafka := valid(toKafka(func(k *KafkaTarget) {
		k.SASL = &KafkaSASL{UserFile: "a", PasswordFile: "b"}
		k.TLS = &TLS{CABundleFile: "c", CertificateFile: "d", KeyFile: "e"}
	}))
	kafka.Buffer = Buffer{Type: BufferJetStream, JetStream: &JetStream{NATS: nats}}
	if diff := cmp.Diff([]SecretFile{"lazada-app/app-secret", "a", "b", "c", "d", "e", "1", "2", "3", "4", "5", "6", "7", "8"}, kafka.SecretFiles()); diff != "" {
		t.Errorf("files of a Kafka target and a buffer (-want +got):\n%s", diff)
	}
	stream := valid(toJetStream(func(j *JetStreamTarget) { j.NATS = nats }))
	if diff := cmp.Diff([]SecretFile{"1", "2", "3", "4", "5", "6", "7", "8"}, stream.Target.SecretFiles()); diff != "" {
		t.Errorf("files of a JetStream target (-want +got):\n%s", diff)
	}
	snap := Snapshot{Unreadable: map[SecretFile]string{"5": "is missing"}}
	if err := snap.Check(&kafka); err == nil || err.Error() != "buffer.jetStream.tokenFile: is missing" {
		t.Errorf("Check says %v, want the field of the file that is missing", err)
	}
}

func TestParse_namesTheFieldsOfNATS(t *testing.T) {
	const document = `{"endpoints": [{"buffer": {"jetStream": {"urls": 5}}}]}`
	const want = "read config: endpoints.buffer.jetStream.urls: write a list"
	if _, err := Parse([]byte(document)); err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}
