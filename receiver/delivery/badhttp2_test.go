package delivery

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"

	"golang.org/x/net/http2"
)

// trustedHTTP2 is a good certificate, of a server that speaks HTTP/2.
func trustedHTTP2(t *testing.T, ca *authority) *tls.Config {
	c := ca.issue(t, nil)
	c.NextProtos = []string{http2.NextProtoTLS}
	return c
}

// overHTTP2 returns a handler that speaks enough HTTP/2 to be sent requests, and does something to each stream.
func overHTTP2(do func(f *http2.Framer, stream uint32) error) func(c net.Conn) {
	return func(c net.Conn) {
		if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		f := http2.NewFramer(c, c)
		err := f.WriteSettings()
		for err == nil {
			var frame http2.Frame
			if frame, err = f.ReadFrame(); err != nil {
				return
			}
			switch frame := frame.(type) {
			case *http2.SettingsFrame:
				if !frame.IsAck() {
					err = f.WriteSettingsAck()
				}
			case *http2.HeadersFrame:
				err = do(f, frame.StreamID)
			}
		}
	}
}

func goAway(f *http2.Framer, _ uint32) error { return f.WriteGoAway(0, http2.ErrCodeNo, nil) }

// calmDown closes the connection after it.
func calmDown(f *http2.Framer, _ uint32) error {
	return errors.Join(f.WriteGoAway(1<<31-1, http2.ErrCodeEnhanceYourCalm, []byte("too many")), io.EOF)
}

func resetStream(f *http2.Framer, stream uint32) error {
	return f.WriteRSTStream(stream, http2.ErrCodeInternal)
}

func refuseStream(f *http2.Framer, stream uint32) error {
	return f.WriteRSTStream(stream, http2.ErrCodeRefusedStream)
}

// resetAndOn goes on with what has ended for as long as somebody listens.
func resetAndOn(f *http2.Framer, stream uint32) error {
	for {
		if err := f.WriteRSTStream(stream, http2.ErrCodeInternal); err != nil {
			return err
		}
	}
}

func pingAndOn(f *http2.Framer, _ uint32) error {
	for {
		if err := f.WritePing(false, [8]byte{}); err != nil {
			return err
		}
	}
}
