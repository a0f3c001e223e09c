package local

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hookbay/hookbay/receiver/config"
)

// TestAnnounce_buffers: what is said of the disk is true.
func TestAnnounce_buffers(t *testing.T) {
	endpoint := func(buffer string) config.Endpoint {
		e := config.Endpoint{Name: "im", Source: config.Source{Lazada: &config.Lazada{AppKey: "1"}}, Buffer: config.Buffer{Type: buffer}}
		if buffer == config.BufferJetStream {
			e.Buffer.JetStream = &config.JetStream{NATS: config.NATS{URLs: []string{"nats://a:4222", "nats://b:4222"}}}
		}
		return e
	}
	const stored, none = "Events are stored in data and printed", "  buffer     none: "
	const stream = "  buffer     a stream of NATS at nats://a:4222, nats://b:4222\n"
	tests := map[string]struct {
		endpoints                        []config.Endpoint
		wantStored, wantNone, wantStream bool
	}{
		"a stream":    {endpoints: []config.Endpoint{endpoint(config.BufferJetStream)}, wantStream: true},
		"a disk":      {endpoints: []config.Endpoint{endpoint("")}, wantStored: true},
		"no buffer":   {endpoints: []config.Endpoint{endpoint(config.BufferNone)}, wantNone: true},
		"one of each": {endpoints: []config.Endpoint{endpoint(config.BufferDisk), endpoint(config.BufferNone)}, wantStored: true, wantNone: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			f := runFlags{dataDir: "data", target: targetPrint, files: []string{"f"}}
			f.announce(&out, tt.endpoints, "127.0.0.1:8080", "127.0.0.1:9090")
			if got := strings.Contains(out.String(), stored); got != tt.wantStored {
				t.Errorf("says %q: %t, want %t\n%s", stored, got, tt.wantStored, out.String())
			}
			if got := strings.Contains(out.String(), stream); got != tt.wantStream {
				t.Errorf("says %q: %t, want %t\n%s", stream, got, tt.wantStream, out.String())
			}
			if got := strings.Contains(out.String(), none); got != tt.wantNone {
				t.Errorf("says %q: %t, want %t\n%s", none, got, tt.wantNone, out.String())
			}
		})
	}
}
