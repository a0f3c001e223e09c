package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TargetType names a kind of target.
//
// +kubebuilder:validation:Enum=Service;URL;Kafka;JetStream
type TargetType string

// The kinds of targets.
const (
	// TargetService is a Service in the endpoint's namespace.
	TargetService TargetType = "Service"
	// TargetURL is any http or https address.
	TargetURL TargetType = "URL"
	// TargetKafka is a topic of Kafka, or of whatever speaks its protocol.
	TargetKafka TargetType = "Kafka"
	// TargetJetStream is a subject of NATS that a stream listens to.
	TargetJetStream TargetType = "JetStream"
)

// Target says where the events go: type names the member that is set.
//
// Service and URL: every event is sent as one POST. Any 2xx status means that you have it. Network errors, 404, 408, 409, 425, 429 and 5xx are tried
// again; any other status makes the event a dead letter at once. Redirects are not followed.
//
// Kafka and JetStream: every event is sent as one message, by the CloudEvents binding of that protocol, and is delivered when the topic's in-sync
// replicas, or a majority of the stream's, have it. With buffer.type None the platform is answered then.
//
// +kubebuilder:validation:XValidation:rule=`self.type != 'Service' || has(self.service)`,message="type is Service: add service with name and port"
// +kubebuilder:validation:XValidation:rule=`self.type == 'Service' || !has(self.service)`,message="service is set, but type is not Service: write type: Service, or remove service"
// +kubebuilder:validation:XValidation:rule=`self.type != 'URL' || has(self.url)`,message="type is URL: add url, such as https://chat.example.com/events"
// +kubebuilder:validation:XValidation:rule=`self.type == 'URL' || !has(self.url)`,message="url is set, but type is not URL: write type: URL, or remove url"
// +kubebuilder:validation:XValidation:rule=`self.type != 'Kafka' || has(self.kafka)`,message="type is Kafka: add kafka with brokers and topic"
// +kubebuilder:validation:XValidation:rule=`self.type == 'Kafka' || !has(self.kafka)`,message="kafka is set, but type is not Kafka: write type: Kafka, or remove kafka"
// +kubebuilder:validation:XValidation:rule=`self.type != 'JetStream' || has(self.jetStream)`,message="type is JetStream: add jetStream with urls and subject"
// +kubebuilder:validation:XValidation:rule=`self.type == 'JetStream' || !has(self.jetStream)`,message="jetStream is set, but type is not JetStream: write type: JetStream, or remove jetStream"
// +kubebuilder:validation:XValidation:rule=`!(self.type in ['Kafka', 'JetStream']) || (!has(self.headers) && !has(self.bearerTokenRef) && !has(self.signingSecretRef) && !has(self.caBundleRef))`,message="headers, bearerTokenRef, caBundleRef and signingSecretRef are for HTTP only: remove them; a broker's login and certificates belong into the member kafka or jetStream"
// +kubebuilder:validation:XValidation:rule=`!has(self.caBundleRef) || self.type in ['Kafka', 'JetStream'] || (has(self.url) && self.url.startsWith('https:'))`,message="caBundleRef is of use only with an https url: remove it, or write type: URL and a url that begins with https://"
type Target struct {
	// type is Service, URL, Kafka or JetStream. The member of that name (service, url, kafka, jetStream) must be set, and no other.
	// +required
	Type TargetType `json:"type"`

	// service is a Service in the endpoint's namespace, called over plain HTTP. Set it if type is Service.
	// +optional
	Service *ServiceTarget `json:"service,omitempty"`

	// url is the full address, such as https://chat.example.com/events. Set it if type is URL. It may have a query, but no user name,
	// password or fragment, and must not be a link-local address such as 169.254.169.254.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule=`isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHostname() != '' && !self.matches(r'[\s\\]')`,message="write a full http or https address, such as https://chat.example.com/events"
	// +kubebuilder:validation:XValidation:rule=`!self.matches(r'^[a-zA-Z]+://[^/?#]*@')`,message="leave user name and password out of the url: put a token into a Secret and name it in bearerTokenRef"
	// +kubebuilder:validation:XValidation:rule=`!self.contains('#')`,message="leave out the fragment (\"#\" and what follows): it is never sent"
	// +kubebuilder:validation:XValidation:rule=`!self.matches(r'^[a-zA-Z]+://([^/?#]*@)?(169\.254\.|\[[fF][eE][89abAB]|\[[0:]*:[fF]{4}:(169\.254\.|[aA]9[fF][eE]:))')`,message="write the address of your service: link-local addresses (169.254.0.0/16, fe80::/10) are never delivered to"
	URL string `json:"url,omitempty"`

	// kafka is a topic. Set it if type is Kafka.
	// +optional
	Kafka *KafkaTarget `json:"kafka,omitempty"`

	// jetStream is a subject of NATS. Set it if type is JetStream.
	// +optional
	JetStream *JetStreamTarget `json:"jetStream,omitempty"`

	// timeout bounds one attempt, from connecting to the last byte of the answer. Default 10s; 100ms to 5m. An attempt that takes
	// longer counts as failed and is tried again, so your service may see an event twice.
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^([0-9]{1,5}(\.[0-9]{1,3})?(ms|s|m|h)){1,4}$') && duration(self) >= duration('100ms') && duration(self) <= duration('5m')`,message="write a duration from 100ms to 5m, such as \"10s\""
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// headers are added to every HTTP delivery. They are in plain sight: a credential belongs in a Secret that bearerTokenRef names. The
	// headers that Hookbay or HTTP itself sets can't be set here.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule=`self.all(h, self.exists_one(o, o.name.lowerAscii() == h.name.lowerAscii()))`,message="name each header once: upper and lower case make no difference"
	// +listType=map
	// +listMapKey=name
	Headers []Header `json:"headers,omitempty"`

	// bearerTokenRef names a token that every delivery carries as "Authorization: Bearer <token>". Default: none.
	// +optional
	BearerTokenRef *SecretKeyRef `json:"bearerTokenRef,omitempty"`

	// caBundleRef names PEM certificates that the certificate of an https url must chain to, in place of the public ones. Default: the public
	// certificate authorities.
	// +optional
	CABundleRef *SecretKeyRef `json:"caBundleRef,omitempty"`

	// signingSecretRef names a Standard Webhooks secret ("whsec_" and 24 to 64 random bytes in base64). Every delivery is then
	// signed with it (webhook-id, webhook-timestamp, webhook-signature), so that your service can tell deliveries from forgeries.
	// Default: not signed.
	// +optional
	SigningSecretRef *SecretKeyRef `json:"signingSecretRef,omitempty"`
}

// ServiceTarget is a port of a Service in the endpoint's namespace.
type ServiceTarget struct {
	// name of the Service.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')`,message="write the name of a Service in the same namespace, without namespace or domain: lower-case letters, digits and hyphens"
	Name string `json:"name"`

	// port is the Service's port, by number.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`

	// path that events are posted to. Default /.
	// +optional
	// +kubebuilder:default="/"
	Path URLPath `json:"path,omitempty"`
}

// Header is one HTTP header of a delivery.
type Header struct {
	// name of the header, such as X-Team. Upper and lower case make no difference.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[-!#$%&*+.^_|~0-9a-zA-Z]+$')`,message="write the name of a header, such as X-Team: letters, digits and hyphens, without colon or spaces"
	// +kubebuilder:validation:XValidation:rule=`self.lowerAscii() != 'authorization'`,message="put the token into a Secret and name it in bearerTokenRef instead of setting Authorization"
	// +kubebuilder:validation:XValidation:rule=`!(self.lowerAscii() in ['host', 'content-type', 'content-length', 'content-encoding', 'connection', 'expect', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade'])`,message="remove this header: HTTP itself or the event's body decides it"
	// +kubebuilder:validation:XValidation:rule=`!self.lowerAscii().matches('^(ce|webhook|hookbay|proxy)-')`,message="choose another name: headers that begin with ce-, webhook- or Hookbay- are set by Hookbay, those with Proxy- by proxies"
	Name string `json:"name"`

	// value of the header: one line.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule=`!self.matches(r'[\x00-\x08\x0a-\x1f\x7f]')`,message="write the value on one line, without control characters"
	Value string `json:"value"`
}

// ContentMode says how a CloudEvent is put into a message.
//
// +kubebuilder:validation:Enum=Binary;Structured
type ContentMode string

// The content modes.
const (
	// ContentModeBinary puts the platform's body into the message as it is, and the attributes into headers.
	ContentModeBinary ContentMode = "Binary"
	// ContentModeStructured puts both into one JSON document.
	ContentModeStructured ContentMode = "Structured"
)

// KafkaTarget is a topic of Kafka. Messages are written with acks=all by an idempotent producer; their key is the event's subject, so that
// events of one subject are in one partition, in order.
type KafkaTarget struct {
	// brokers to ask for the topic's brokers, each as host:port, such as kafka-0.kafka.messaging.svc:9092. One is enough; with several, one that is
	// down when a receiver starts does no harm. The addresses that brokers advertise must be reachable from the receivers.
	// +required
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:items:XValidation:rule=`self.matches(r'^([a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$')`,message="write a broker as host:port, such as kafka-0.kafka.messaging.svc:9092: without a scheme or path"
	// +listType=set
	Brokers []string `json:"brokers"`

	// topic that messages are written to. It must be there: it is not made.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=249
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[-._a-zA-Z0-9]+$') && self != '.' && self != '..'`,message="write the name of a topic, as Kafka has it: letters, digits, dots, underscores and hyphens"
	Topic string `json:"topic"`

	// contentMode is Binary (default: the platform's body as it is, and the event's attributes as headers that begin with ce_) or Structured (one JSON
	// document with both).
	// +optional
	// +kubebuilder:default=Binary
	ContentMode ContentMode `json:"contentMode,omitempty"`

	// sasl says who Hookbay is. Default: nobody, or whom its certificate names.
	// +optional
	SASL *KafkaSASL `json:"sasl,omitempty"`

	// tls makes connections use TLS, also if it is empty ({}): then with the public certificate authorities, and no certificate of Hookbay's own.
	// Default: no TLS.
	// +optional
	TLS *TLS `json:"tls,omitempty"`
}

// SASLMechanism names a way to log in to Kafka.
//
// +kubebuilder:validation:Enum=PLAIN;SCRAM-SHA-256;SCRAM-SHA-512
type SASLMechanism string

// The mechanisms.
const (
	// SASLPlain sends user name and password as they are.
	SASLPlain SASLMechanism = "PLAIN"
	// SASLScramSHA256 proves to know the password without sending it.
	SASLScramSHA256 SASLMechanism = "SCRAM-SHA-256"
	// SASLScramSHA512 likewise, with the longer hash.
	SASLScramSHA512 SASLMechanism = "SCRAM-SHA-512"
)

// KafkaSASL is a user of Kafka.
type KafkaSASL struct {
	// mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, whichever the brokers' listener has. PLAIN sends the password as it is: set tls as well.
	// +required
	Mechanism SASLMechanism `json:"mechanism"`

	// userRef names the user name.
	// +required
	UserRef SecretKeyRef `json:"userRef"`

	// passwordRef names the password.
	// +required
	PasswordRef SecretKeyRef `json:"passwordRef"`
}

// JetStreamTarget is a subject of NATS. A stream must listen to it, which is not made: without one, every attempt fails.
//
// +kubebuilder:validation:XValidation:rule=`has(self.urls)`,message="add urls, such as [\"nats://nats.messaging.svc:4222\"]"
type JetStreamTarget struct {
	// The servers: urls are required.
	NATS `json:",inline"`

	// subject that messages are published to, such as events.{type}.{subject}: words between single dots. What stands in braces is replaced by the
	// event's type, subject, source or id, or by the endpoint's namespace or name. Characters of a value that a word can't have are escaped, so each
	// value makes words of its own; docs/targets.md says how. It begins with a word of yours, as platforms must not choose among all subjects.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[!-)+-\-/-=?-~]+(\.[!-)+-\-/-=?-~]+)*$')`,message="write a subject of NATS, such as events.{type}.{subject}: words between single dots, without spaces, \"*\" and \">\""
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^([^{}]|\{(type|subject|source|id|namespace|name)\})*$')`,message="write in braces one of type, subject, source, id, namespace and name"
	// +kubebuilder:validation:XValidation:rule=`!self.matches(r'^([$_{]|hookbay(\.|$))')`,message="begin it with a word of your own, such as events: subjects that begin with $ or _ are the servers', those below hookbay the buffers', and what platforms send must not choose among all that there are"
	Subject string `json:"subject"`

	// contentMode is Binary (default: the platform's body as it is, and the event's attributes as headers that begin with ce-) or Structured (one JSON
	// document with both).
	// +optional
	// +kubebuilder:default=Binary
	ContentMode ContentMode `json:"contentMode,omitempty"`
}
