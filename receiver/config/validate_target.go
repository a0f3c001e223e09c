package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

const (
	maxServers      = 32  // that one list names: the clients learn of more by themselves
	maxTopicBytes   = 249 // what Kafka allows
	maxSubjectBytes = 512 // of a template: what it makes of an event's attributes comes on top
)

func (t *Target) validate(at string, p *problems) {
	notNegative(at+".timeout", t.Timeout, p)
	switch t.Type {
	case TargetHTTP:
		t.validateHTTP(at, p)
	case TargetKafka, TargetJetStream:
		t.refuseHTTP(at, p)
	default:
		p.add(at+".type", "write %s, %s or %s", TargetHTTP, TargetKafka, TargetJetStream)
	}
	validateMember(at+".kafka", TargetKafka, t.Type, t.Kafka != nil, p)
	validateMember(at+".jetStream", TargetJetStream, t.Type, t.JetStream != nil, p)
	if t.Kafka != nil {
		t.Kafka.validate(at+".kafka", p)
	}
	if t.JetStream != nil {
		t.JetStream.validate(at+".jetStream", p)
	}
}

// refuseHTTP refuses what only HTTP knows: a token that is silently not sent is one that somebody believes to protect.
func (t *Target) refuseHTTP(at string, p *problems) {
	for _, x := range []struct {
		field string
		set   bool
	}{
		{"url", t.URL != ""}, {"headers", len(t.Headers) > 0}, {"bearerTokenFile", t.BearerTokenFile != ""},
		{"caBundleFile", t.CABundleFile != ""}, {"signingSecretFile", t.SigningSecretFile != ""},
	} {
		if x.set {
			p.add(at+"."+x.field, "it goes with type: %s: remove it", TargetHTTP)
		}
	}
}

// validateMember checks that a union's member is set if it is the type's, and only then.
func validateMember(at, member, typ string, set bool, p *problems) {
	switch {
	case typ == member && !set:
		p.add(at, "type is %s: set it", member)
	case typ != member && set:
		p.add(at, "type is not %s: remove it or set type: %s", member, member)
	}
}

func (t *Target) validateHTTP(at string, p *problems) {
	u, err := url.Parse(t.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		p.add(at+".url", `write an address such as "http://chat.shop.svc:8080/events"`)
	case u.User != nil:
		p.add(at+".url", "remove the user information: credentials belong in a Secret, use bearerTokenFile")
	case u.Fragment != "":
		p.add(at+".url", `remove "#" and what follows: it is never sent`)
	}
	for i, h := range t.Headers {
		h.validate(fmt.Sprintf("%s.headers[%d]", at, i), t.BearerTokenFile != "", p)
	}
	validateOptional(at, p, named{t.BearerTokenFile, "bearerTokenFile"}, named{t.CABundleFile, "caBundleFile"},
		named{t.SigningSecretFile, "signingSecretFile"})
}

func (h *Header) validate(at string, bearer bool, p *problems) {
	if !httpguts.ValidHeaderFieldName(h.Name) {
		p.add(at+".name", `write a header's name such as "X-Team"`)
	}
	if !httpguts.ValidHeaderFieldValue(h.Value) {
		p.add(at+".value", "write it without line breaks and control characters")
	}
	if bearer && strings.EqualFold(h.Name, "Authorization") {
		p.add(at+".name", "bearerTokenFile sets Authorization: keep one of the two")
	}
}

func (k *KafkaTarget) validate(at string, p *problems) {
	if len(k.Brokers) == 0 || len(k.Brokers) > maxServers {
		p.add(at+".brokers", "list 1 to %d brokers", maxServers)
	}
	for i, b := range k.Brokers {
		host, port, err := net.SplitHostPort(b)
		n, _ := strconv.Atoi(port)
		if err != nil || host == "" || !validHost(host) || n < 1 || n > 65535 {
			p.add(fmt.Sprintf("%s.brokers[%d]", at, i), `write a host and a port such as "kafka.shop.svc:9092"`)
		}
	}
	odd := func(r rune) bool { return !isAlnum(r) && !strings.ContainsRune("._-", r) }
	if k.Topic == "" || len(k.Topic) > maxTopicBytes || k.Topic == "." || k.Topic == ".." || strings.ContainsFunc(k.Topic, odd) {
		p.add(at+".topic", `write a topic's name of at most %d letters, digits, ".", "_" and "-"`, maxTopicBytes)
	}
	validateContentMode(at, k.ContentMode, p)
	if s := k.SASL; s != nil {
		if !slices.Contains([]string{SASLPlain, SASLScramSHA256, SASLScramSHA512}, s.Mechanism) {
			p.add(at+".sasl.mechanism", "write %s, %s or %s", SASLPlain, SASLScramSHA256, SASLScramSHA512)
		}
		validateFile(at+".sasl.userFile", s.UserFile, p)
		validateFile(at+".sasl.passwordFile", s.PasswordFile, p)
	}
	if k.TLS != nil {
		k.TLS.validate(at+".tls", p)
	}
}

func validateContentMode(at, mode string, p *problems) {
	if mode != "" && mode != ContentBinary && mode != ContentStructured {
		p.add(at+".contentMode", "write %s or %s, or leave it out for %[1]s", ContentBinary, ContentStructured)
	}
}

func (t *TLS) validate(at string, p *problems) {
	if (t.CertificateFile == "") != (t.KeyFile == "") {
		p.add(at+".certificateFile", "it goes with keyFile: set both or neither")
	}
	validateOptional(at, p, named{t.CABundleFile, "caBundleFile"}, named{t.CertificateFile, "certificateFile"}, named{t.KeyFile, "keyFile"})
}

// validateOptional checks those of several files that are named.
func validateOptional(at string, p *problems, files ...named) {
	for _, n := range files {
		if n.file != "" {
			validateFile(at+"."+n.field, n.file, p)
		}
	}
}

func (j *JetStreamTarget) validate(at string, p *problems) {
	j.NATS.validate(at, p)
	validateContentMode(at, j.ContentMode, p)
	if problem := subjectProblem(j.Subject); problem != "" {
		p.add(at+".subject", "%s", problem)
	}
}

// subjectProblem says what is wrong with the template of a NATS subject, "" if nothing is. A value fills a part of a token, or one or more whole ones, and is
// never empty.
func subjectProblem(template string) string {
	if len(template) > maxSubjectBytes {
		return fmt.Sprintf("keep it within %d bytes", maxSubjectBytes)
	}
	var filled strings.Builder
	for rest := template; rest != ""; {
		text, field, found := strings.Cut(rest, "{")
		filled.WriteString(text)
		if !found {
			break
		}
		if field, rest, found = strings.Cut(field, "}"); !found || !slices.Contains(SubjectFields(), field) {
			return fmt.Sprintf("write in braces one of %s", strings.Join(SubjectFields(), ", "))
		}
		filled.WriteByte('x')
	}
	subject := filled.String()
	odd := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("*>{}", r) }
	switch first, _, _ := strings.Cut(template, "."); {
	case subject == "" || slices.Contains(strings.Split(subject, "."), "") || strings.ContainsFunc(subject, odd):
		return `write a subject such as "events.{type}": words between single dots, without spaces, "*" and ">"`
	case strings.HasPrefix(first, "$") || strings.HasPrefix(first, "_"):
		return `begin it with another character than "$" and "_": those subjects are the servers' own`
	case first == "hookbay":
		return `begin it with another word: subjects below "hookbay" belong to the buffers`
	case strings.HasPrefix(first, "{"):
		return `begin it with a word such as "events.": what platforms send must not choose among all subjects that there are`
	}
	return ""
}
