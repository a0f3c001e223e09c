package target

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// maxDetail bounds, in bytes, what of a foreign text (a certificate's names, say) gets into a Detail.
const maxDetail = 200

// failure says what an attempt without an answer means. All are worth another attempt: names and certificates change.
//
// It never repeats the text of an error that it does not know: net/http quotes what came instead of an answer, and a peer that
// echoes the request would put the URL's query and the credentials into the log.
func failure(ctx context.Context, err error, timeout time.Duration) Result {
	outcome, detail := OutcomeNetwork, "the connection broke before the answer had come"
	op, isOp := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(context.Cause(ctx), errConnections):
		outcome, detail = OutcomeReset, fmt.Sprintf("the target closed %d connections, one after another, without an answer", mostConnections)
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, errEnded) && ctx.Err() == nil:
		outcome, detail = OutcomeTimeout, fmt.Sprintf("no answer within %s", timeout)
	case ctx.Err() != nil:
		outcome, detail = OutcomeCancelled, "the receiver stopped before the answer came"
	case isA[*forbiddenAddressError](err):
		f, _ := errors.AsType[*forbiddenAddressError](err)
		outcome, detail = OutcomeForbiddenAddress, f.Error()
	case isA[*net.DNSError](err):
		d, _ := errors.AsType[*net.DNSError](err)
		outcome, detail = OutcomeDNS, fmt.Sprintf("cannot resolve %s: %s", printable(d.Name), printable(d.Err))
	case errors.Is(err, syscall.ECONNREFUSED):
		outcome, detail = OutcomeRefused, "connection refused: nobody listens at the target's address and port"
	case isOp && op.Op == "dial":
		outcome, detail = dialFailure(op)
	case tlsDetail(err) != "":
		outcome, detail = OutcomeTLS, tlsDetail(err)
	case isTimeout(err):
		outcome, detail = OutcomeTimeout, "the TLS handshake took too long"
	case isReset(err):
		outcome, detail = OutcomeReset, "the target closed the connection without an answer"
	case notHTTP(err) != "":
		outcome, detail = OutcomeNotHTTP, notHTTP(err)
	}
	return Result{Class: Retryable, Outcome: outcome, Detail: detail}
}

// isReset also knows the errors for a kept connection that was closed under the request, and for a stream of HTTP/2 that was. For some of them
// net/http exports only their texts.
func isReset(err error) bool {
	for _, e := range []error{syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, e) {
			return true
		}
	}
	for _, text := range []string{"server closed idle connection", "stream error: ", "server sent GOAWAY", "client connection lost"} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// notHTTP is empty if err is not about what came back. net/http exports only the texts of these errors, and what it quotes in them stays out.
func notHTTP(err error) string {
	text := err.Error()
	switch {
	case errors.Is(err, errLongHeader), strings.Contains(text, "response headers exceeded"), strings.Contains(text, "response header list larger"):
		return fmt.Sprintf("the answer's header, interim answers (1xx) included, is longer than %d KiB", maxAnswerHeader>>10)
	case isA[textproto.ProtocolError](err), strings.Contains(text, "malformed"), strings.Contains(text, "bad Content-Length"),
		strings.Contains(text, "too many transfer encodings"), strings.Contains(text, "unsupported transfer encoding"):
		return "what came back is not an HTTP answer: does another service listen at the target's port?"
	}
	return ""
}

func dialFailure(op *net.OpError) (outcome, detail string) {
	if op.Timeout() {
		return OutcomeTimeout, fmt.Sprintf("no connection within %s", connectTimeout)
	}
	if errno, ok := errors.AsType[syscall.Errno](op); ok {
		return OutcomeNetwork, "cannot connect: " + errno.Error()
	}
	return OutcomeNetwork, "cannot connect"
}

// tlsDetail is empty if err is not TLS's.
func tlsDetail(err error) string {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the target does not speak TLS: write http:// or the port that does"
	}
	if isA[x509.UnknownAuthorityError](err) {
		// Not the error's own text: it goes on about names in the certificate, and what to do would be cut off.
		return "the target's certificate is not accepted: x509: certificate signed by unknown authority; name its CA in target.caBundleRef"
	}
	if c, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the target's certificate is not accepted: " + printable(c.Err.Error())
	}
	// crypto/tls reports alerts, sent or received, as these operations.
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "remote error" || op.Op == "local error") {
		return "the TLS handshake failed: " + printable(op.Err.Error())
	}
	return ""
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}

// printable makes a foreign text fit for a log line.
func printable(s string) string {
	if len(s) > maxDetail {
		s = s[:maxDetail] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}
