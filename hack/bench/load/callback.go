package load

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/source"
	"github.com/hookbay/hookbay/receiver/sources"
)

// subjects is how many sessions or conversations the callbacks are spread over.
const subjects = 5000

// The endpoints under load. Their credentials sign nothing but the benchmark.
const (
	secretFile = config.SecretFile("secret")
	secret     = "a-secret-of-the-benchmark"
)

// Callback is one callback of a platform, of a given size, ready to be sent many times as other events. It is immutable.
type Callback struct {
	sim     source.Simulator
	request []byte // with the signature of its body
	body    int    // where that begins
	slots   []slot
	sum     *partialHMAC // of a body that is signed
	query   int          // where a query that is signed begins
}

// NewCallback prepares the callbacks of a platform, by its source type, with bodies of a given size.
func NewCallback(sourceType string, size int) (*Callback, error) {
	k, ok := kinds[sourceType]
	if !ok {
		return nil, fmt.Errorf("source %q: the benchmark has %q and %q", sourceType, config.SourceLazada, config.SourceTencentIM)
	}
	cfg, secrets := Source(sourceType)
	sim, err := sources.NewSimulator(cfg, secrets)
	if err != nil {
		return nil, err
	}
	samples := sim.Samples()
	at := slices.IndexFunc(samples, func(s source.Sample) bool { return s.Name == k.sample })
	if at < 0 {
		return nil, fmt.Errorf("%s has no sample %s", sourceType, k.sample)
	}
	body, err := k.shape(samples[at].Body, size)
	if err != nil {
		return nil, fmt.Errorf("%s of %d bytes: %w", sourceType, size, err)
	}
	body, slots, err := place(body, k.numbers)
	if err != nil {
		return nil, fmt.Errorf("%s of %d bytes: %w", sourceType, size, err)
	}
	signed, err := sim.Sign(body, time.Now())
	if err != nil {
		return nil, err
	}
	c := &Callback{sim: sim}
	c.request = append(c.request, "POST "+Path(sourceType)...)
	if signed.Query != "" {
		c.request = append(c.request, '?')
		c.query = len(c.request)
		c.request = append(c.request, signed.Query...)
	}
	c.request = append(c.request, " HTTP/1.1\r\nHost: hooks.example.com\r\n"...)
	for name, values := range signed.Header {
		c.request = append(c.request, name+": "+values[0]+"\r\n"...)
	}
	c.request = append(strconv.AppendInt(append(c.request, "Content-Length: "...), int64(len(body)), 10), "\r\n\r\n"...)
	c.body = len(c.request)
	c.request = append(c.request, body...)
	varies := len(c.request)
	for i := range slots {
		slots[i].at += c.body
		varies = min(varies, slots[i].at)
	}
	c.slots = slots
	if signature := signed.Header.Get("Authorization"); signature != "" {
		at := bytes.Index(c.request, []byte(signature))
		c.sum, err = newPartialHMAC(secret, cfg.Lazada.AppKey, c.request, c.body, varies, at)
	}
	return c, err
}

// Path is where the callbacks of a platform go.
func Path(sourceType string) string { return "/bench/" + strings.ToLower(sourceType) }

// Source is the configuration of a platform's source, and its credential.
func Source(sourceType string) (config.Source, config.Secrets) {
	s := config.Source{Type: sourceType}
	if sourceType == config.SourceLazada {
		s.Lazada = &config.Lazada{AppKey: "100132", AppSecretFiles: []config.SecretFile{secretFile}}
	} else {
		s.TencentIM = &config.TencentIM{SDKAppID: 1400000001, TokenFiles: []config.SecretFile{secretFile}}
	}
	return s, config.Secrets{secretFile: secret}
}

// copies are the requests of one connection, which it patches one after another.
type copies struct {
	*Callback

	buf    []byte
	second int64 // that the query was signed for
}

func (c *Callback) copies() *copies { return &copies{Callback: c, buf: bytes.Clone(c.request)} }

// next is the request of event number n, signed. It is good until the next call.
func (c *copies) next(n int, now time.Time) ([]byte, error) {
	for i := range c.slots {
		c.slots[i].write(c.buf, n)
	}
	if c.sum != nil {
		return c.buf, c.sum.sign(c.buf)
	}
	if second := now.Unix(); second != c.second { // the platform signs its time and not the body
		signed, err := c.sim.Sign(c.buf[c.body:], now)
		if err != nil {
			return nil, err
		}
		copy(c.buf[c.query:], signed.Query) // always of one length
		c.second = second
	}
	return c.buf, nil
}
