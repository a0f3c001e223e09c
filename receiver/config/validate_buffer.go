package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

const (
	maxStreamBytes    = 255 // of a stream's name: what the servers allow
	maxStreamReplicas = 5
)

func (b *Buffer) validate(at string, p *problems) {
	if types := []string{"", BufferDisk, BufferJetStream, BufferNone}; !slices.Contains(types, b.Type) {
		p.add(at+".type", "write %s, %s or %s, or leave it out for %[1]s", BufferDisk, BufferJetStream, BufferNone)
	}
	if b.MaxBytes < 0 {
		p.add(at+".maxBytes", "write a number of bytes, or leave it out for what the file system has")
	}
	notNegative(at+".deduplicationWindow", b.DeduplicationWindow, p)
	if b.Retention != nil {
		notNegative(at+".retention", *b.Retention, p)
	}
	validateMember(at+".jetStream", BufferJetStream, b.Type, b.JetStream != nil, p)
	if b.JetStream != nil {
		b.JetStream.validate(at+".jetStream", p)
	}
}

func (j *JetStream) validate(at string, p *problems) {
	j.NATS.validate(at, p)
	odd := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`.*>/\`, r) }
	if len(j.Stream) > maxStreamBytes || strings.ContainsFunc(j.Stream, odd) {
		p.add(at+".stream", `write a stream's name without spaces, ".", "*", ">" and slashes, or leave it out to have one made`)
	}
	if j.Replicas < 0 || j.Replicas > maxStreamReplicas {
		p.add(at+".replicas", "write 1 to %d, or leave it out for 3", maxStreamReplicas)
	}
	if j.Storage != "" && j.Storage != StorageFile && j.Storage != StorageMemory {
		p.add(at+".storage", "write %s or %s, or leave it out for %[1]s", StorageFile, StorageMemory)
	}
	notNegative(at+".maxAge", j.MaxAge, p)
}

func (n *NATS) validate(at string, p *problems) {
	if len(n.URLs) == 0 || len(n.URLs) > maxServers {
		p.add(at+".urls", "list 1 to %d addresses", maxServers)
	}
	for i, raw := range n.URLs {
		validateNATSURL(fmt.Sprintf("%s.urls[%d]", at, i), raw, p)
	}
	ws := func(url string) bool { return strings.HasPrefix(url, "ws") }
	if slices.ContainsFunc(n.URLs, ws) && slices.ContainsFunc(n.URLs, func(url string) bool { return !ws(url) }) {
		p.add(at+".urls", "write ws or wss in all of them, or in none")
	}
	n.validateLogin(at, p)
	validateOptional(at, p, named{n.CredentialsFile, "credentialsFile"}, named{n.NKeySeedFile, "nkeySeedFile"}, named{n.UserFile, "userFile"},
		named{n.PasswordFile, "passwordFile"}, named{n.TokenFile, "tokenFile"})
	t := n.TLS()
	t.validate(at, p)
}

func validateNATSURL(at, raw string, p *problems) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) || u.Hostname() == "":
		p.add(at, `write an address such as "nats://nats.messaging.svc:4222", with nats, tls, ws or wss before it`)
	case u.User != nil:
		p.add(at, "remove the user information: credentials belong in a Secret, use credentialsFile, nkeySeedFile, tokenFile, or userFile and passwordFile")
	case u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" && !strings.HasPrefix(u.Scheme, "ws"):
		p.add(at, "remove what follows the port")
	}
}

func (n *NATS) validateLogin(at string, p *problems) {
	ways := 0
	for _, set := range []bool{n.CredentialsFile != "", n.NKeySeedFile != "", n.UserFile != "" || n.PasswordFile != "", n.TokenFile != ""} {
		if set {
			ways++
		}
	}
	if ways > 1 {
		p.add(at, "keep one way to log in: credentialsFile, nkeySeedFile, tokenFile, or userFile with passwordFile")
	}
	if (n.UserFile == "") != (n.PasswordFile == "") {
		p.add(at+".userFile", "it goes with passwordFile: set both or neither")
	}
}
