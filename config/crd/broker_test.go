package crd_test

import (
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What buffers and targets of NATS and Kafka may be, beside the least that an endpoint needs; see endpoint.
const (
	aKafka = `{brokers: ["k:9092"], topic: events}`
	aNATS  = `{urls: ["nats://n"], subject: events}`
)

// kafka and jetStream are targets with what is given added to the least that they need.
func kafka(more string) string {
	return "target: {type: Kafka, service: null, kafka: " + aKafka + "}\n---\ntarget: {kafka: {" + more + "}}"
}

func jetStream(more string) string {
	return "target: {type: JetStream, service: null, jetStream: " + aNATS + "}\n---\ntarget: {jetStream: {" + more + "}}"
}

// stream is a buffer.
func stream(fields string) string { return `buffer: {type: JetStream, jetStream: {` + fields + `}}` }

func TestAccepted_brokers(t *testing.T) {
	namespace := api.Namespace(t, nil)
	const tls = `tls: {caBundleRef: {name: t, key: ca}, certificateRef: {name: t, key: crt}, keyRef: {name: t, key: key}}`
	tests := map[string]string{
		"a stream of the administrator's servers": `buffer: {type: JetStream}`,
		"a member without its type":               `buffer: {jetStream: {maxBytes: 1Gi}}`,
		"every field of a stream that is made":    stream(`urls: ["nats://a:4222", "tls://[2001:db8::1]:4222/", "nats://n.messaging.svc"], credentialsRef: {name: nats, key: creds}, replicas: 5, storage: Memory, maxAge: 24h, maxBytes: 128Mi, ` + tls),
		"a stream that is there":                  stream(`urls: ["wss://n/nats", "ws://m:80"], stream: HOOKS-_1, nkeySeedRef: {name: nats, key: seed}`),
		"user and password":                       stream(`userRef: {name: nats, key: user}, passwordRef: {name: nats, key: password}`),
		"a token":                                 stream(`tokenRef: {name: nats, key: token}`),
		"a stream of one server":                  stream(`replicas: 1, maxAge: 8760h`),
		"autoscaling of a stream's receivers":     `{buffer: {type: JetStream}, receiver: {autoscaling: {maxReplicas: 256}}}`,
		"autoscaling with a member alone":         `{buffer: {jetStream: {}}, receiver: {autoscaling: {maxReplicas: 3}}}`,
		"a topic":                                 kafka(``),
		"every field of a topic":                  kafka(`brokers: ["kafka-0.kafka.messaging.svc:9092", "[2001:db8::1]:9093"], topic: a.B_c-1, contentMode: Structured, sasl: {mechanism: SCRAM-SHA-512, userRef: {name: k, key: u}, passwordRef: {name: k, key: p}}, ` + tls),
		"a topic by TLS":                          kafka(`tls: {}, sasl: {mechanism: PLAIN, userRef: {name: k, key: u}, passwordRef: {name: k, key: p}}`),
		"a subject":                               jetStream(``),
		"every field of a subject":                jetStream(`urls: ["tls://n:4222"], subject: "events.{type}.of-{subject}.{source}.{id}.{namespace}.{name}", contentMode: Structured, credentialsRef: {name: nats, key: creds}, ` + tls),
		"a topic, with nothing stored":            "buffer: {type: None}\n---\n" + kafka(``),
		"an attempt at a topic of a minute":       kafka(``) + "\n---\ntarget: {timeout: 1m}",
	}
	for name, changes := range tests {
		t.Run(name, func(t *testing.T) {
			if err := strict().Create(t.Context(), endpoint(t, namespace, documents(changes)...), client.DryRunAll); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRefused_jetStreamBuffer(t *testing.T) {
	const at = `spec.buffer.jetStream`
	const badURL = `: write the address of a NATS server: nats://, tls://, ws:// or wss://, a host and, unless it is 4222 (80 and 443 for ws and wss), a port, such as nats://nats.messaging.svc:4222`
	url := func(s string) string { return stream(`urls: ["` + s + `"]`) }
	const secretURL = `: leave user name and password out of the url: put them into a Secret and name it in userRef and passwordRef, or in tokenRef`
	const oneLogin = at + `: Invalid value: choose one way to log in: keep credentialsRef, or nkeySeedRef, or userRef with passwordRef, or tokenRef, and remove the others`
	const together = at + `: Invalid value: userRef and passwordRef belong together: add the one that is missing, or remove both`
	const found = at + `: Invalid value: stream names one that is there already, which is never changed: remove replicas, storage, maxAge and maxBytes, or remove stream to have one made with them`
	const ref = `{name: a, key: b}`
	checkRefused(t, map[string]refusal{
		"a stream without a buffer": {`buffer: {type: None, jetStream: {}}`, []string{`spec.buffer: Invalid value: jetStream is set, but type is not JetStream: write type: JetStream, or remove jetStream`}},
		"a disk for a stream":       {`buffer: {type: JetStream, disk: {}}`, []string{`spec.buffer: Invalid value: disk is set, but type is not Disk: write type: Disk, or remove disk`}},
		"both, and no type":         {`buffer: {disk: {}, jetStream: {}}`, []string{`spec.buffer: Invalid value: disk and jetStream are both set: remove one of them, and write the type of the other`}},
		"no urls":                   {stream(`urls: []`), []string{at + `.urls: Invalid value: 0: ` + at + `.urls in body should have at least 1 items`}},
		"no scheme":                 {url("n:4222"), []string{at + `.urls[0]: Invalid value: "n:4222"` + badURL}},
		"another scheme":            {url("https://n"), []string{at + `.urls[0]: Invalid value: "https://n"` + badURL}},
		"a path":                    {url("nats://n/a"), []string{at + `.urls[0]: Invalid value: "nats://n/a"` + badURL}},
		"two addresses in one":      {url("nats://n,nats://m"), []string{at + `.urls[0]: Invalid value: "nats://n,nats://m"` + badURL}},
		"a password":                {url("nats://u:p@n"), []string{at + `.urls[0]: Invalid value: "nats://u:p@n"` + secretURL}},
		"a token without a scheme":  {url("t@n"), []string{at + `.urls[0]: Invalid value: "t@n"` + secretURL}},
		"two kinds of connections":  {stream(`urls: ["ws://n", "nats://n"]`), []string{at + `.urls: Invalid value: write either ws:// and wss://, or nats:// and tls:// in all urls: a connection can't change from one to the other`}},
		"two ways to log in":        {stream(`credentialsRef: ` + ref + `, tokenRef: ` + ref), []string{oneLogin}},
		"a user and a seed":         {stream(`nkeySeedRef: ` + ref + `, userRef: ` + ref + `, passwordRef: ` + ref), []string{oneLogin}},
		"a user without password":   {stream(`userRef: ` + ref), []string{together}},
		"a password without user":   {stream(`passwordRef: ` + ref), []string{together}},
		"a certificate without key": {stream(`tls: {certificateRef: ` + ref + `}`), []string{at + `.tls: Invalid value: certificateRef and keyRef belong together: add the one that is missing, or remove both`}},
		"TLS of nothing":            {stream(`tls: {}`), []string{at + `: Invalid value: tls is empty: remove it, as urls that begin with tls:// or wss:// ask for TLS by themselves, or name caBundleRef, or certificateRef and keyRef`}},
		"a stream with a dot":       {stream(`stream: a.b`), []string{at + `.stream: Invalid value: "a.b": write the name of a stream, as nats stream ls shows it: letters, digits, hyphens and underscores`}},
		"a size of what is found":   {stream(`stream: A, maxBytes: 1Gi`), []string{found}},
		"copies of what is found":   {stream(`stream: A, replicas: 3`), []string{found}},
		"an even number of copies":  {stream(`replicas: 2`), []string{at + `.replicas: Unsupported value: 2: supported values: "1", "3", "5"`}},
		"an unknown storage":        {stream(`storage: SSD`), []string{at + `.storage: Unsupported value: "SSD": supported values: "File", "Memory"`}},
		"an age of minutes": {stream(`maxAge: 59m`) + "\n---\ndelivery: {retry: {maxInterval: 1m, maxAge: 5m}}", []string{
			at + `.maxAge: Invalid value: "59m"` + aDuration + `1h to 8760h (a year), such as "336h"`}},
		"gone before it is given up": {stream(`maxAge: 23h`), []string{at + `.maxAge: Invalid value: buffer.jetStream.maxAge must not be shorter than ` +
			`delivery.retry.maxAge (default 24h), or events would be gone before they are given up: raise the first or lower the second`}},
		"a size too small":       {stream(`maxBytes: 127Mi`), []string{at + `.maxBytes: Invalid value: "127Mi": write an amount of at least 128Mi, such as 10Gi`}},
		"a size that is no size": {stream(`maxBytes: lots`), []string{at + `.maxBytes: Invalid value: "lots": write an amount of at least 128Mi, such as 10Gi`}},
	})
}

func TestRefused_kafkaTarget(t *testing.T) {
	const at, badBroker = `spec.target.kafka`, `: write a broker as host:port, such as kafka-0.kafka.messaging.svc:9092: without a scheme or path`
	const aTopic = `: write the name of a topic, as Kafka has it: letters, digits, dots, underscores and hyphens`
	broker := func(s string) refusal {
		return refusal{kafka(`brokers: ["` + s + `"]`), []string{at + `.brokers[0]: Invalid value: "` + s + `"` + badBroker}}
	}
	checkRefused(t, map[string]refusal{
		"no member":               {`target: {type: Kafka, service: null}`, []string{`spec.target: Invalid value: type is Kafka: add kafka with brokers and topic`}},
		"the member alone":        {`target: {kafka: ` + aKafka + `}`, []string{`spec.target: Invalid value: kafka is set, but type is not Kafka: write type: Kafka, or remove kafka`}},
		"no brokers":              {kafka(`brokers: null`), []string{at + `.brokers: Required value`}},
		"no topic":                {kafka(`topic: null`), []string{at + `.topic: Required value`}},
		"a scheme":                broker("kafka://k:9092"),
		"no port":                 broker("k"),
		"several brokers in one":  broker("k:9092,l:9092"),
		"a broker twice":          {kafka(`brokers: ["k:1", "k:1"]`), []string{at + `.brokers[1]: Duplicate value: "k:1"`}},
		"a topic with a slash":    {kafka(`topic: a/b`), []string{at + `.topic: Invalid value: "a/b"` + aTopic}},
		"a topic that is a dot":   {kafka(`topic: .`), []string{at + `.topic: Invalid value: "."` + aTopic}},
		"an unknown mode":         {kafka(`contentMode: Batched`), []string{at + `.contentMode: Unsupported value: "Batched": supported values: "Binary", "Structured"`}},
		"an unknown mechanism":    {kafka(`sasl: {mechanism: GSSAPI, userRef: {name: a, key: b}, passwordRef: {name: a, key: b}}`), []string{at + `.sasl.mechanism: Unsupported value: "GSSAPI": supported values: "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"`}},
		"a user without password": {kafka(`sasl: {mechanism: PLAIN, userRef: {name: a, key: b}}`), []string{at + `.sasl.passwordRef: Required value`}},
		"a key without its certificate": {kafka(`tls: {keyRef: {name: a, key: b}}`), []string{
			at + `.tls: Invalid value: certificateRef and keyRef belong together: add the one that is missing, or remove both`}},
	})
}

func TestRefused_jetStreamTarget(t *testing.T) {
	const at = `spec.target.jetStream`
	const aSubject = `: write a subject of NATS, such as events.{type}.{subject}: words between single dots, without spaces, "*" and ">"`
	const ownWord = `: begin it with a word of your own, such as events: subjects that begin with $ or _ are the servers', those below hookbay the buffers', ` +
		`and what platforms send must not choose among all that there are`
	const httpOnly = `spec.target: Invalid value: headers, bearerTokenRef, caBundleRef and signingSecretRef are for HTTP only: remove them; a broker's login and certificates belong into the member kafka or jetStream`
	subject := func(s, want string) refusal {
		return refusal{jetStream(`subject: "` + s + `"`), []string{at + `.subject: Invalid value: "` + s + `"` + want}}
	}
	more := func(s string) refusal {
		return refusal{jetStream(``) + "\n---\ntarget: {" + s + "}", []string{httpOnly}}
	}
	checkRefused(t, map[string]refusal{
		"no member":              {`target: {type: JetStream, service: null}`, []string{`spec.target: Invalid value: type is JetStream: add jetStream with urls and subject`}},
		"the member alone":       {`target: {jetStream: ` + aNATS + `}`, []string{`spec.target: Invalid value: jetStream is set, but type is not JetStream: write type: JetStream, or remove jetStream`}},
		"no servers":             {jetStream(`urls: null`), []string{at + `: Invalid value: add urls, such as ["nats://nats.messaging.svc:4222"]`}},
		"no subject":             {jetStream(`subject: null`), []string{at + `.subject: Required value`}},
		"a wildcard":             subject("events.*", aSubject),
		"all that is below":      subject("events.>", aSubject),
		"a dot at the end":       subject("events.", aSubject),
		"an attribute unknown":   subject("events.{kind}", ": write in braces one of type, subject, source, id, namespace and name"),
		"a brace alone":          subject("events.{type", ": write in braces one of type, subject, source, id, namespace and name"),
		"a platform's choice":    subject("{subject}.events", ownWord),
		"a subject of buffers":   subject("hookbay.events", ownWord),
		"a name left out":        subject("a..b", aSubject),
		"a space":                subject("a b", aSubject),
		"a subject of servers":   subject("$JS.API.INFO", ownWord),
		"two ways to log in":     {jetStream(`tokenRef: {name: a, key: b}, nkeySeedRef: {name: a, key: b}`), []string{at + `: Invalid value: choose one way to log in: keep credentialsRef, or nkeySeedRef, or userRef with passwordRef, or tokenRef, and remove the others`}},
		"headers":                more(`headers: [{name: X-Team, value: a}]`),
		"a bearer token":         more(`bearerTokenRef: {name: a, key: b}`),
		"a signature":            more(`signingSecretRef: {name: a, key: b}`),
		"certificates for https": more(`caBundleRef: {name: a, key: b}`),
	})
}

// documents are the YAML texts of which one is made.
func documents(text string) []string { return strings.Split(text, "\n---\n") }
