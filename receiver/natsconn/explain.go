package natsconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/nats-io/nats.go"
)

// The words that Reason.Outcome can be.
const (
	Auth    = "auth"    // the server refuses the login, or a subject
	TLS     = "tls"     // it speaks none, or has a certificate that is not trusted, or doesn't trust ours
	DNS     = "dns"     // nobody knows its address
	Refused = "refused" // nobody listens there, or it takes no more connections
	Timeout = "timeout" // it is silent
	Network = "network" // anything else
)

// Reason is why there is no connection, or what the server said.
type Reason struct {
	// Outcome is one of the words above.
	Outcome string
	text    string
	cause   error
}

// Error says what happened, and what to do about it where a person can do something.
func (r *Reason) Error() string { return r.text }

// Unwrap is what the library said.
func (r *Reason) Unwrap() error { return r.cause }

// explain tells in words what an error of the library means. It repeats no text that a server chose, but for a certificate's.
func explain(err error) *Reason {
	if r, ok := errors.AsType[*Reason](err); ok {
		return r
	}
	outcome, text := words(err)
	return &Reason{Outcome: outcome, text: text, cause: err}
}

// Explain returns why an error of the library or of a Conn came about.
func Explain(err error) *Reason { return explain(err) }

// endedError is why the library closed a connection by itself: what the server said last.
type endedError struct{ last error }

// Error repeats what the server said: only explain's words are shown.
func (e *endedError) Error() string { return fmt.Sprintf("the connection was closed: %v", e.last) }

// Unwrap is what the library said.
func (e *endedError) Unwrap() error { return e.last }

// endedWords is why a server may have ended a connection for good. The library has no names for these.
func endedWords(err error) string {
	said := strings.ToLower(err.Error())
	switch {
	case strings.Contains(said, "maximum control line"):
		return "the server closed it, as a subject was longer than its max_control_line permits: shorten the subject, or raise that"
	case strings.Contains(said, "maximum payload"):
		return "the server closed it, as a message was larger than its max_payload permits: raise that"
	}
	return "the server reported an error that ends a connection: its log says which"
}

func words(err error) (outcome, text string) {
	if ended, ok := errors.AsType[*endedError](err); ok {
		return Network, endedWords(ended)
	}
	switch {
	case errors.Is(err, errNotYet):
		return Network, "it is being made"
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAccountAuthExpired):
		return Auth, "the server refuses the login: check the credentials, and that the server knows them"
	case errors.Is(err, nats.ErrAuthExpired):
		return Auth, "the credentials have expired: put newer ones into their Secret"
	case errors.Is(err, nats.ErrAuthRevoked):
		return Auth, "the credentials are revoked: put newer ones into their Secret"
	case errors.Is(err, nats.ErrNkeysNotSupported):
		return Auth, "the server knows no keys: log in as it is set up for, or set it up for NKeys or JWTs"
	case errors.Is(err, nats.ErrPermissionViolation):
		return Auth, "the server denies a subject: give the user the permissions that docs/buffers.md lists: " + permission(err)
	case errors.Is(err, nats.ErrSecureConnWanted):
		return TLS, "the server offers no TLS: write nats:// and name no CA and no certificate, or have it offer TLS"
	case errors.Is(err, nats.ErrMaxConnectionsExceeded), errors.Is(err, nats.ErrMaxAccountConnectionsExceeded):
		return Refused, "the server has as many connections as it takes: raise its max_connections"
	case tlsText(err) != "":
		return TLS, tlsText(err)
	}
	return networkWords(err)
}

func networkWords(err error) (outcome, text string) {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsTimeout {
			return DNS, "the address of " + dns.Name + " is not told in time: check the cluster's DNS"
		}
		return DNS, "nobody knows the address of " + dns.Name + ": check the host name"
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return Timeout, "no answer in time: check the address, and that network policies let it pass"
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused, "connection refused: nobody listens at this address and port"
	case errors.Is(err, nats.ErrStaleConnection), errors.Is(err, nats.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return Timeout, "the server does not answer"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed), errors.Is(err, nats.ErrDisconnected):
		return Network, "the server closed the connection"
	case errors.Is(err, nats.ErrNoInfoReceived), errors.Is(err, nats.ErrNoServers):
		return Network, "what listens there is no NATS server, or it is just stopping"
	case errors.Is(err, nats.ErrConnectionClosed):
		return Network, "it is closed"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return Network, op.Op + ": " + op.Err.Error() // of the system, or of whoever forbids the address
	}
	return Network, "the connection broke"
}

// tlsText is empty if the error is not TLS's.
func tlsText(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the server's certificate is not accepted: it is signed by an unknown authority; name its CA in caBundleRef"
	}
	if v, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the server's certificate is not accepted: " + v.Err.Error()
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the server does not speak TLS: write nats:// or the port that does"
	}
	if alert, ok := errors.AsType[tls.AlertError](err); ok {
		return "the TLS handshake failed: " + alert.Error()
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "remote error" || op.Op == "local error") {
		return "the TLS handshake failed: " + op.Err.Error() + "; if it wants a certificate, name one in certificateRef and keyRef"
	}
	if errors.Is(err, nats.ErrTLS) {
		return "the TLS handshake failed"
	}
	return ""
}

// permission is what a violation is about: the server quotes the operation and our own subject.
func permission(err error) string {
	_, what, _ := strings.Cut(err.Error(), "Permissions Violation for ")
	if len(what) > 200 {
		what = what[:200] + "…"
	}
	return strings.ToValidUTF8(what, "?")
}
