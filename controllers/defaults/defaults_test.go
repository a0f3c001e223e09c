package defaults

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
)

const (
	disk      = hookbayv1alpha1.BufferDisk
	jetStream = hookbayv1alpha1.BufferJetStream
	none      = hookbayv1alpha1.BufferNone
)

func TestBindFlags(t *testing.T) {
	got := Buffer{Type: disk}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	got.BindFlags(flags)
	args := strings.Fields("--default-buffer JetStream --jetstream-url nats://a:4222,nats://b --jetstream-credentials nats/hookbay.creds")
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	want := Buffer{Type: jetStream, JetStreamURLs: []string{"nats://a:4222", "nats://b"}, JetStreamCredentials: "nats/hookbay.creds"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	if problems := got.Validate(); problems != nil {
		t.Errorf("refused: %q", problems)
	}
}

func TestValidate(t *testing.T) {
	urls := func(u ...string) Buffer { return Buffer{Type: disk, JetStreamURLs: u} }
	const bad = "--jetstream-url: write nats://, tls://, ws:// or wss://, a host and a port"
	tests := map[string]struct {
		buffer Buffer
		want   []string // how each begins
	}{
		"Disk":                        {buffer: Buffer{Type: disk}},
		"None":                        {buffer: Buffer{Type: none}},
		"JetStream":                   {buffer: Buffer{Type: jetStream, JetStreamURLs: []string{"nats://nats.messaging.svc:4222"}, JetStreamCredentials: "nats/creds"}},
		"servers, though not for all": {buffer: urls("tls://[2001:db8::1]:4222")},
		"behind a proxy":              {buffer: urls("wss://a/nats", "ws://b:80")},
		"a type that there is not":    {buffer: Buffer{Type: "disk"}, want: []string{`--default-buffer: write Disk, JetStream or None instead of "disk"`}},
		"no type":                     {buffer: Buffer{}, want: []string{`--default-buffer: write Disk, JetStream or None instead of ""`}},
		"JetStream nowhere":           {buffer: Buffer{Type: jetStream}, want: []string{"--jetstream-url: write the address of a NATS server, such as nats://"}},
		"a host alone":                {buffer: urls("nats:4222"), want: []string{bad}},
		"another scheme":              {buffer: urls("https://a"), want: []string{bad}},
		"an empty address":            {buffer: urls("nats://a", ""), want: []string{bad}},
		"a password":                  {buffer: urls("nats://u:hunter2@a"), want: []string{"--jetstream-url: leave user name and password out"}},
		"two kinds of connections":    {buffer: urls("ws://a", "nats://a"), want: []string{"--jetstream-url: write either ws:// and wss://, or nats:// and tls://"}},
		"too many":                    {buffer: urls(strings.Fields(strings.Repeat("nats://a ", 17))...), want: []string{"--jetstream-url: write at most 16 addresses"}},
		"credentials for nothing":     {buffer: Buffer{Type: disk, JetStreamCredentials: "a/b"}, want: []string{"--jetstream-credentials: write --jetstream-url as well"}},
		"credentials without a key": {
			buffer: Buffer{Type: disk, JetStreamURLs: []string{"nats://a"}, JetStreamCredentials: "a"},
			want:   []string{`--jetstream-credentials: write the name of a Secret and of a key in it, such as nats/hookbay.creds, instead of "a"`},
		},
		"credentials with a namespace": {
			buffer: Buffer{Type: disk, JetStreamURLs: []string{"nats://a"}, JetStreamCredentials: "a/b/c"},
			want:   []string{"--jetstream-credentials: write the name of a Secret and of a key in it"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := tt.buffer.Validate()
			begins := cmp.Comparer(func(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) })
			if diff := cmp.Diff(tt.want, got, begins); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if strings.Contains(strings.Join(got, ""), "hunter2") {
				t.Errorf("a password is told: %q", got)
			}
		})
	}
}

func TestComplete(t *testing.T) {
	ref := func(name string) *hookbayv1alpha1.SecretKeyRef {
		return &hookbayv1alpha1.SecretKeyRef{Name: name, Key: "k"}
	}
	stream := func(n hookbayv1alpha1.NATS) *hookbayv1alpha1.JetStreamBuffer {
		return &hookbayv1alpha1.JetStreamBuffer{NATS: n}
	}
	own := []string{"nats://own"}
	common := Buffer{Type: jetStream, JetStreamURLs: []string{"nats://common"}, JetStreamCredentials: "common/k"}
	inDisk := common
	inDisk.Type = disk
	tests := map[string]struct {
		by        Buffer
		buffer    hookbayv1alpha1.Buffer
		want      hookbayv1alpha1.Buffer
		noServers bool
	}{
		"nothing decided":                   {want: hookbayv1alpha1.Buffer{Type: disk}},
		"the default":                       {by: Buffer{Type: none}, want: hookbayv1alpha1.Buffer{Type: none}},
		"what the endpoint says":            {by: common, buffer: hookbayv1alpha1.Buffer{Type: none}, want: hookbayv1alpha1.Buffer{Type: none}},
		"a disk is asked for":               {by: common, buffer: hookbayv1alpha1.Buffer{Disk: &hookbayv1alpha1.DiskBuffer{}}, want: hookbayv1alpha1.Buffer{Type: disk, Disk: &hookbayv1alpha1.DiskBuffer{}}},
		"JetStream by default":              {by: common, want: hookbayv1alpha1.Buffer{Type: jetStream, JetStream: stream(hookbayv1alpha1.NATS{URLs: common.JetStreamURLs, CredentialsRef: ref("common")})}},
		"a stream is asked for":             {by: inDisk, buffer: hookbayv1alpha1.Buffer{JetStream: stream(hookbayv1alpha1.NATS{})}, want: hookbayv1alpha1.Buffer{Type: jetStream, JetStream: stream(hookbayv1alpha1.NATS{URLs: common.JetStreamURLs, CredentialsRef: ref("common")})}},
		"a login of one's own":              {by: common, buffer: hookbayv1alpha1.Buffer{JetStream: stream(hookbayv1alpha1.NATS{TokenRef: ref("own")})}, want: hookbayv1alpha1.Buffer{Type: jetStream, JetStream: stream(hookbayv1alpha1.NATS{URLs: common.JetStreamURLs, TokenRef: ref("own")})}},
		"servers of one's own, without one": {by: common, buffer: hookbayv1alpha1.Buffer{JetStream: stream(hookbayv1alpha1.NATS{URLs: own})}, want: hookbayv1alpha1.Buffer{Type: jetStream, JetStream: stream(hookbayv1alpha1.NATS{URLs: own})}},
		"servers of nobody":                 {by: Buffer{Type: disk}, buffer: hookbayv1alpha1.Buffer{Type: jetStream}, want: hookbayv1alpha1.Buffer{Type: jetStream, JetStream: stream(hookbayv1alpha1.NATS{})}, noServers: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := &hookbayv1alpha1.WebhookEndpoint{Spec: hookbayv1alpha1.WebhookEndpointSpec{Buffer: tt.buffer}}
			if err := tt.by.Complete(e); errors.Is(err, ErrNoServers) != tt.noServers {
				t.Errorf("error is %v", err)
			}
			if diff := cmp.Diff(tt.want, e.Spec.Buffer); diff != "" {
				t.Errorf("buffer (-want +got):\n%s", diff)
			}
		})
	}
}
