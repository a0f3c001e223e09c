package config

// The buffer types.
const (
	// BufferDisk keeps events in a store on the receiver's own disk.
	BufferDisk = "Disk"
	// BufferJetStream keeps events in a stream of NATS JetStream, which all replicas of the receiver share.
	BufferJetStream = "JetStream"
	// BufferNone keeps nothing: a callback is acknowledged when the target has taken its events, while the platform waits. Of Delivery only
	// MaxInFlight and Suspend count then, which refuses all callbacks, and of Buffer nothing else.
	BufferNone = "None"
)

// Buffer says how events are kept.
type Buffer struct {
	// Type, empty: Disk. It can't change while the receiver runs.
	Type string `json:"type,omitempty"`
	// MaxBytes bounds the space that the endpoint's events may take: on Disk, zero means what the file system has; with JetStream it bounds the
	// stream, and zero means what the servers give it. When it is full callbacks are refused; nothing stored is dropped.
	MaxBytes int64 `json:"maxBytes,omitempty"`
	// DeduplicationWindow: zero means 7 h.
	DeduplicationWindow Duration `json:"deduplicationWindow,omitzero"`
	// Retention of delivered events: null means 24 h, "0s" none.
	Retention *Duration `json:"retention,omitempty"`
	// JetStream is set if Type is JetStream, and only then.
	JetStream *JetStream `json:"jetStream,omitempty"`
}

// What JetStream.Storage can be.
const (
	StorageFile   = "File"
	StorageMemory = "Memory"
)

// JetStream is the stream that an endpoint's events are kept in.
type JetStream struct {
	NATS
	// Stream is the name of a stream that is there already, and is used as it is found. Empty: one is made and kept as declared here.
	Stream string `json:"stream,omitempty"`
	// Replicas is how many servers hold the stream, 1 to 5. Zero: 3.
	Replicas int `json:"replicas,omitempty"`
	// Storage is File or Memory. Empty: File.
	Storage string `json:"storage,omitempty"`
	// MaxAge bounds how long an event stays, delivered or not. Zero: until it is settled and its time is over.
	MaxAge Duration `json:"maxAge,omitzero"`
}

// NATS says how to reach NATS servers, and as whom. At most one way to log in is set: a .creds file, a seed, user and password, or a token. A
// client certificate can be one more.
type NATS struct {
	// URLs are nats://host:4222, tls://…, ws://… or wss://…, without user information. tls and wss encrypt, and nats does if the server asks for it
	// or CABundleFile or CertificateFile is set. Several are several servers of one cluster.
	URLs []string `json:"urls"`
	// CredentialsFile is a .creds file: a user's JWT and NKey seed.
	CredentialsFile SecretFile `json:"credentialsFile,omitempty"`
	// NKeySeedFile holds a user's NKey seed ("SU…") alone.
	NKeySeedFile SecretFile `json:"nkeySeedFile,omitempty"`
	// UserFile and PasswordFile are set together.
	UserFile     SecretFile `json:"userFile,omitempty"`
	PasswordFile SecretFile `json:"passwordFile,omitempty"`
	TokenFile    SecretFile `json:"tokenFile,omitempty"`
	// CABundleFile, CertificateFile and KeyFile are as in TLS.
	CABundleFile    SecretFile `json:"caBundleFile,omitempty"`
	CertificateFile SecretFile `json:"certificateFile,omitempty"`
	KeyFile         SecretFile `json:"keyFile,omitempty"`
}

// TLS returns the members that are TLS's.
func (n *NATS) TLS() TLS {
	return TLS{CABundleFile: n.CABundleFile, CertificateFile: n.CertificateFile, KeyFile: n.KeyFile}
}
