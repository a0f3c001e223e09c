package natsconn

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/hookbay/hookbay/receiver/config"
)

// saysAndCloses is a server that greets whoever comes, and says a line as soon as they have logged in and sent a message.
func saysAndCloses(t *testing.T, line string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // until the listener is closed
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // until the client goes
				defer func() { _ = c.Close() }()
				_, _ = fmt.Fprint(c, `INFO {"server_id":"x","version":"2.15.0","proto":1,"headers":true,"max_payload":1048576}`+"\r\n")
				for in := bufio.NewScanner(c); in.Scan(); {
					switch word, _, _ := strings.Cut(in.Text(), " "); word {
					case "PING":
						_, _ = fmt.Fprint(c, "PONG\r\n")
					case "PUB":
						_, _ = fmt.Fprint(c, line+"\r\n")
					}
				}
			}()
		}
	}()
	return "nats://" + l.Addr().String()
}

// Some errors have the library close a connection for good. Whoever owns it hears of that, and why.
func TestConn_Ended(t *testing.T) {
	tests := map[string]struct {
		url     func(t *testing.T) string
		subject string
		want    string
	}{
		"a line too long": {
			url:     func(t *testing.T) string { return "nats://" + address(serve(t, &server.Options{MaxControlLine: 1024})) },
			subject: strings.Repeat("a", 2000), want: "longer than its max_control_line permits: shorten the subject, or raise that",
		},
		"a message too large": {
			url:     func(t *testing.T) string { return saysAndCloses(t, "-ERR 'Maximum Payload Violation'") },
			subject: "a", want: "larger than its max_payload permits",
		},
		"an unknown error": {
			url:     func(t *testing.T) string { return saysAndCloses(t, "-ERR 'hunter2 is no word of mine'") },
			subject: "a", want: "the server reported an error that ends a connection: its log says which",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			conn, log := connect(t, config.NATS{URLs: []string{tt.url(t)}}, nil)
			mustConnect(t, conn)
			if conn.Ended() {
				t.Error("it has ended before anything happened")
			}
			if err := conn.Publish(tt.subject, nil); err != nil {
				t.Fatal(err)
			}
			awaitReady(t, conn, tt.want, saying(tt.want))
			awaitReady(t, conn, "that it has ended", func(error) bool { return conn.Ended() })
			if err := conn.Replace(nil); err != nil {
				t.Errorf("Replace says %v of a connection that has ended", err)
			}
			if !strings.Contains(log.String(), "Connection to NATS has ended") || strings.Contains(log.String(), "hunter2") {
				t.Errorf("the log is\n%s", log)
			}
			conn.Close()
			if err := conn.Ready(); !saying("it is closed")(err) {
				t.Errorf("Ready says %v of a closed one", err)
			}
		})
	}
}

// One that is closed has not ended by itself, whoever closed it.
func TestConn_closedIsNotEnded(t *testing.T) {
	conn, log := connect(t, config.NATS{URLs: []string{"nats://" + address(serve(t, &server.Options{}))}}, nil)
	mustConnect(t, conn)
	conn.Conn.Close()
	conn.Close()
	if conn.Ended() || strings.Contains(log.String(), "has ended") {
		t.Errorf("a connection that was closed has ended; the log is\n%s", log)
	}
}
