package config

// The target types.
const (
	// TargetHTTP posts events to a URL: a Service is rendered as its URL.
	TargetHTTP = "HTTP"
	// TargetKafka writes events to a topic of a Kafka cluster, or of whatever speaks its protocol.
	TargetKafka = "Kafka"
	// TargetJetStream publishes events to a stream of NATS JetStream.
	TargetJetStream = "JetStream"
)

// Target is where events go. Type says which of the members is meant: URL, Headers, BearerTokenFile, CABundleFile and SigningSecretFile are for HTTP
// only, Kafka and JetStream for the types of these names.
type Target struct {
	Type string `json:"type"`
	// URL is http or https, without user information or fragment.
	URL string `json:"url,omitempty"`
	// Timeout bounds one attempt, whatever the type. Zero: 10 s.
	Timeout Duration `json:"timeout,omitzero"`
	// Headers are added to every delivery.
	Headers []Header `json:"headers,omitempty"`
	// BearerTokenFile holds the token sent as "Authorization: Bearer".
	BearerTokenFile SecretFile `json:"bearerTokenFile,omitempty"`
	// CABundleFile holds PEM certificates that the target's certificate must chain to, in place of the system's.
	CABundleFile SecretFile `json:"caBundleFile,omitempty"`
	// SigningSecretFile holds the Standard Webhooks secret ("whsec_" and base64) that deliveries are signed with.
	SigningSecretFile SecretFile       `json:"signingSecretFile,omitempty"`
	Kafka             *KafkaTarget     `json:"kafka,omitempty"`
	JetStream         *JetStreamTarget `json:"jetStream,omitempty"`
}

// Header is one HTTP header.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// What ContentMode can be: how a CloudEvent becomes a message.
const (
	// ContentBinary sends the platform's body byte for byte, and the attributes as headers.
	ContentBinary = "Binary"
	// ContentStructured sends one JSON object that holds the attributes and the body.
	ContentStructured = "Structured"
)

// KafkaTarget is a topic.
type KafkaTarget struct {
	// Brokers are some of the cluster's, as host:port; the client learns of the others from them.
	Brokers []string `json:"brokers"`
	// Topic takes the events; their subject is the records' key.
	Topic string `json:"topic"`
	// ContentMode is Binary or Structured. Empty: Binary.
	ContentMode string `json:"contentMode,omitempty"`
	// SASL says as whom to log in; null: nobody.
	SASL *KafkaSASL `json:"sasl,omitempty"`
	// TLS encrypts the connections; null: they are plain.
	TLS *TLS `json:"tls,omitempty"`
}

// What KafkaSASL.Mechanism can be.
const (
	SASLPlain       = "PLAIN"
	SASLScramSHA256 = "SCRAM-SHA-256"
	SASLScramSHA512 = "SCRAM-SHA-512"
)

// KafkaSASL is a login to Kafka.
type KafkaSASL struct {
	Mechanism    string     `json:"mechanism"`
	UserFile     SecretFile `json:"userFile"`
	PasswordFile SecretFile `json:"passwordFile"`
}

// TLS says whom to trust and, if that is wanted, as whom. All of it may be left out.
type TLS struct {
	// CABundleFile holds PEM certificates that the servers' certificates must chain to, in place of the system's.
	CABundleFile SecretFile `json:"caBundleFile,omitempty"`
	// CertificateFile and KeyFile hold the client's own certificate, with its chain, and its private key, in PEM. Both or neither are set.
	CertificateFile SecretFile `json:"certificateFile,omitempty"`
	KeyFile         SecretFile `json:"keyFile,omitempty"`
}

// JetStreamTarget is a subject, or as many as its template makes, that a stream takes messages of.
type JetStreamTarget struct {
	NATS
	// Subject is the template of the messages' subjects, such as "events.{type}.{subject}". In braces stand the names of SubjectFields.
	Subject string `json:"subject"`
	// ContentMode is Binary or Structured. Empty: Binary.
	ContentMode string `json:"contentMode,omitempty"`
}

// SubjectFields are the names that JetStreamTarget.Subject may hold in braces: the CloudEvents attributes of these names, and the endpoint's
// namespace and name.
func SubjectFields() []string {
	return []string{"type", "subject", "source", "id", "namespace", "name"}
}
