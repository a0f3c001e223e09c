package local

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/hookbay/hookbay/receiver/config"
)

// announce tells people what to do next.
func (f *runFlags) announce(w io.Writer, endpoints []config.Endpoint, listen, admin string) {
	stored := ""
	if slices.ContainsFunc(endpoints, func(e config.Endpoint) bool { return onDisk(&e.Buffer) }) {
		stored = "stored in " + f.dataDir + " and "
	}
	fmt.Fprintf(w, "\nEvents are %s", stored)
	switch f.target {
	case "":
		fmt.Fprint(w, "sent to the targets in the manifests.\n")
	case targetPrint:
		fmt.Fprint(w, "printed on standard output.\n")
	default:
		fmt.Fprintf(w, "sent to %s.\n", withoutQuery(f.target))
	}
	for i := range endpoints {
		e := &endpoints[i]
		fmt.Fprintf(w, "\n%s (%s)\n", e.Key(), platformWords(&e.Source))
		fmt.Fprintf(w, "  callbacks  http://%s%s\n", listen, e.Path)
		switch e.Buffer.Type {
		case config.BufferNone:
			fmt.Fprint(w, "  buffer     none: a callback is answered when the target has taken it\n")
		case config.BufferJetStream:
			fmt.Fprintf(w, "  buffer     a stream of NATS at %s\n", strings.Join(e.Buffer.JetStream.URLs, ", "))
		}
		fmt.Fprintf(w, "  console    %s\n", consoleWords(&e.Source))
		fmt.Fprintf(w, "  try it     %s send -f %s --endpoint %s%s\n", program(), strings.Join(quotedWords(f.files), " -f "), e.Key(), urlFlag(listen))
	}
	fmt.Fprintf(w, "\nHealth, metrics and the live configuration: http://%s  Ctrl-C ends it.\n\n", admin)
}

// onDisk says whether a buffer is in the data directory.
func onDisk(b *config.Buffer) bool { return b.Type == "" || b.Type == config.BufferDisk }

// reachable is where a program on this machine reaches an address: one that stands for all addresses can't be called.
func reachable(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return a.String()
}

// program is this program as it was called, fit for a shell.
func program() string {
	if name := os.Args[0]; strings.Contains(name, "/") {
		return quotedWords([]string{name})[0]
	}
	return "hookbay"
}

// platformWords say whose callbacks an endpoint takes.
func platformWords(s *config.Source) string {
	switch {
	case s.Lazada != nil:
		return "Lazada, App Key " + s.Lazada.AppKey
	case s.TencentIM != nil:
		return fmt.Sprintf("Tencent Cloud IM, SDKAppID %d", s.TencentIM.SDKAppID)
	default:
		return s.Type
	}
}

// consoleWords say what to enter in the platform's console.
func consoleWords(s *config.Source) string {
	switch {
	case s.Lazada != nil:
		return "App Console > Push Mechanism: enter this path on a public https host, press Verify, choose message types, save"
	case s.TencentIM != nil && len(s.TencentIM.TokenFiles) > 0:
		return "Callback Configuration: enter this path on a public host, switch on authentication, set the Token, choose callbacks"
	default:
		return "Callback Configuration: enter this path on a public host, choose callbacks"
	}
}

// urlFlag is what hookbay send must be told if the receiver is not where it looks by itself.
func urlFlag(listen string) string {
	if listen == "127.0.0.1:8080" {
		return ""
	}
	return " --url http://" + listen
}

// withoutQuery keeps a query out of the output: it may hold a token.
func withoutQuery(address string) string {
	before, _, _ := strings.Cut(address, "?")
	return before
}

// quotedWords are fit for a shell.
func quotedWords(words []string) []string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if strings.ContainsAny(w, " \t'\"\\$*?[]()&;|<>`!#~") {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		quoted[i] = w
	}
	return quoted
}
