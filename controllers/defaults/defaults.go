// Package defaults is what an administrator decides for the endpoints that leave it open: the type of their buffer, and which NATS servers a
// JetStream buffer is kept by.
package defaults

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

// Buffer is the default of buffers. Each field is the flag of its name.
type Buffer struct {
	// Type is that of endpoints that write none; "": Disk.
	Type hookbayv1alpha1.BufferType
	// JetStreamURLs are the servers of JetStream buffers that name none.
	JetStreamURLs []string
	// JetStreamCredentials is SECRET/KEY of a credentials file, in the namespace of each endpoint, for JetStream buffers that name neither servers nor
	// a way to log in; "": none.
	JetStreamCredentials string
}

// urlPattern is the same as the rule that buffer.jetStream.urls has.
var urlPattern = regexp.MustCompile(`^((nats|tls)://([a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?/?|` +
	`wss?://([a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?(/[-._~/a-zA-Z0-9]*)?)$`)

// maxURLs is how many urls a buffer may have.
const maxURLs = 16

// BindFlags makes flags of the fields, with what is in them as defaults.
func (b *Buffer) BindFlags(f *pflag.FlagSet) {
	f.StringVar((*string)(&b.Type), "default-buffer", string(b.Type), "`type` of buffer for endpoints without buffer.type: Disk, JetStream or None")
	f.StringSliceVar(&b.JetStreamURLs, "jetstream-url", b.JetStreamURLs,
		"`addresses` of NATS servers, separated by commas, for JetStream buffers without urls, such as nats://nats.messaging.svc:4222")
	f.StringVar(&b.JetStreamCredentials, "jetstream-credentials", b.JetStreamCredentials,
		"`SECRET/KEY` of a credentials file (.creds) in each endpoint's namespace, for JetStream buffers that name neither urls nor a login")
}

// Validate returns the mistakes, each a text that begins with the flag and says what to write.
func (b *Buffer) Validate() []string {
	var problems []string
	refuse := func(wrong bool, format string, args ...any) {
		if wrong {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	switch b.Type {
	case hookbayv1alpha1.BufferDisk, hookbayv1alpha1.BufferNone:
	case hookbayv1alpha1.BufferJetStream:
		refuse(len(b.JetStreamURLs) == 0, "--jetstream-url: write the address of a NATS server, such as nats://nats.messaging.svc:4222: "+
			"--default-buffer is JetStream")
	default:
		refuse(true, "--default-buffer: write Disk, JetStream or None instead of %q", b.Type)
	}
	web := 0
	for _, u := range b.JetStreamURLs {
		switch {
		case strings.Contains(u, "@"):
			refuse(true, "--jetstream-url: leave user name and password out: put a credentials file into a Secret, and name it with --jetstream-credentials")
		default:
			refuse(!urlPattern.MatchString(u), "--jetstream-url: write nats://, tls://, ws:// or wss://, a host and a port, such as "+
				"nats://nats.messaging.svc:4222, instead of %q", u)
		}
		if strings.HasPrefix(u, "ws") {
			web++
		}
	}
	refuse(web > 0 && web < len(b.JetStreamURLs), "--jetstream-url: write either ws:// and wss://, or nats:// and tls:// in all addresses")
	refuse(len(b.JetStreamURLs) > maxURLs, "--jetstream-url: write at most %d addresses: servers tell of the others", maxURLs)
	_, err := b.credentials()
	refuse(err != nil, "--jetstream-credentials: %v", err)
	refuse(b.JetStreamCredentials != "" && len(b.JetStreamURLs) == 0, "--jetstream-credentials: write --jetstream-url as well: it is only for the servers there")
	return problems
}

// credentials is nil if there are none.
func (b *Buffer) credentials() (*hookbayv1alpha1.SecretKeyRef, error) {
	if b.JetStreamCredentials == "" {
		return nil, nil
	}
	name, key, found := strings.Cut(b.JetStreamCredentials, "/")
	if !found || len(validation.IsDNS1123Subdomain(name)) > 0 || len(validation.IsConfigMapKey(key)) > 0 {
		return nil, fmt.Errorf("write the name of a Secret and of a key in it, such as nats/hookbay.creds, instead of %q", b.JetStreamCredentials)
	}
	return &hookbayv1alpha1.SecretKeyRef{Name: name, Key: key}, nil
}

// ErrNoServers is what Complete returns of a JetStream buffer that has no servers.
var ErrNoServers = errors.New(`no NATS server is named: write buffer.jetStream.urls, such as ["nats://nats.messaging.svc:4222"], or have the ` +
	"administrator set --jetstream-url (in the chart: jetStream.urls)")

// Complete decides what the endpoint leaves open of its buffer. It returns ErrNoServers if it has a JetStream buffer, and nobody says where: then the
// rest is decided all the same.
func (b *Buffer) Complete(e *hookbayv1alpha1.WebhookEndpoint) error {
	buffer := &e.Spec.Buffer
	buffer.Type = b.typeOf(buffer)
	if buffer.Type != hookbayv1alpha1.BufferJetStream {
		return nil
	}
	if buffer.JetStream == nil {
		buffer.JetStream = &hookbayv1alpha1.JetStreamBuffer{}
	}
	nats := &buffer.JetStream.NATS
	if len(nats.URLs) > 0 {
		return nil
	}
	nats.URLs = b.JetStreamURLs
	login := nats.CredentialsRef != nil || nats.NKeySeedRef != nil || nats.UserRef != nil || nats.TokenRef != nil
	if credentials, err := b.credentials(); err == nil && !login {
		nats.CredentialsRef = credentials
	}
	if len(nats.URLs) == 0 {
		return ErrNoServers
	}
	return nil
}

// typeOf goes by the member that is set before it goes by the default: that one would not be of use.
func (b *Buffer) typeOf(buffer *hookbayv1alpha1.Buffer) hookbayv1alpha1.BufferType {
	switch {
	case buffer.Type != "":
		return buffer.Type
	case buffer.Disk != nil:
		return hookbayv1alpha1.BufferDisk
	case buffer.JetStream != nil:
		return hookbayv1alpha1.BufferJetStream
	case b.Type != "":
		return b.Type
	}
	return hookbayv1alpha1.BufferDisk
}
