// Package receivers asks an endpoint's receivers what they serve and what they hold, at the admin port of their pods.
//
// A pod is not trusted: whatever it answers is bounded in time and size, and every text that comes from it is one short printable line,
// because it goes into conditions. Errors are such texts too, and the same at each try: a condition whose message changes with
// every question would be written, and seen, again and again.
package receivers

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/hookbay/hookbay/controllers/manifests"
)

// The client's bounds. An administrator's cluster may have thousands of receivers, which are all asked every half a minute: a connection is
// used for the three questions of one visit and then not kept for the next.
const (
	defaultTimeout = 2 * time.Second
	parallel       = 8 // of one AskAll
	idleTimeout    = 3 * time.Second
	maxIdle        = 64
	maxHeaderBytes = 16 << 10
)

// Options of a Client. The zero value is good for a cluster.
type Options struct {
	// Timeout bounds one Ask as a whole; 2 s if it is 0.
	Timeout time.Duration
	// DialContext connects to a pod instead of a net.Dialer: tests lead the address of a pod to a server of their own.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

// Client asks receivers. It may be used by many goroutines at once.
type Client struct {
	http    *http.Client
	timeout time.Duration
}

// New returns a client. Close gives its connections back.
func New(o Options) *Client {
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.DialContext == nil {
		o.DialContext = (&net.Dialer{Timeout: o.Timeout}).DialContext
	}
	return &Client{
		timeout: o.Timeout,
		http: &http.Client{
			// No proxy of the environment: it does not lead to pods. No decompression: an answer's size is what was sent.
			Transport: &http.Transport{
				DialContext:            o.DialContext,
				DisableCompression:     true,
				MaxIdleConns:           maxIdle,
				MaxIdleConnsPerHost:    1,
				IdleConnTimeout:        idleTimeout,
				MaxResponseHeaderBytes: maxHeaderBytes,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Close closes the connections that nobody uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Ask asks the receiver at a pod's address, IPv4 or IPv6, about an endpoint, "namespace/name". Its error is a short text that is the same
// each time and fits into a condition ("connection refused"); what was learned until then is not told. It is the context's error
// if that ended.
func (c *Client) Ask(ctx context.Context, ip, endpoint string) (Report, error) {
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.Zone() != "" {
		return Report{}, answerError("has no address yet")
	}
	base := "http://" + net.JoinHostPort(addr.Unmap().String(), strconv.Itoa(manifests.PortAdmin))
	bounded, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()

	r := Report{}
	for _, p := range pages() {
		if err := c.visit(bounded, base, p, endpoint, &r); err != nil {
			if ctx.Err() != nil { // the caller's end, not the receiver's fault
				return Report{}, ctx.Err()
			}
			return Report{}, c.inWords(p, err)
		}
	}
	return r, nil
}

// visit reads one page into r.
func (c *Client) visit(ctx context.Context, base string, p page, endpoint string, r *Report) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+p.path, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", p.accept)
	req.Header.Set("User-Agent", manifests.ManagedBy)
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // what was read is all that counts
	body := http.MaxBytesReader(nil, resp.Body, p.maxBytes)
	if err := p.read(resp.StatusCode, body, endpoint, r); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, body) // the connection is good for the next page if this one is read to its end
	return err
}

// Pod is a receiver to ask. One that starts has no IP yet.
type Pod struct{ Name, IP string }

// Answer is what came of asking one receiver: a report, or the error of Ask.
type Answer struct {
	Report
	Err error
}

// AskAll asks the receivers in these pods, some of them at once, and returns all their answers by the names of the pods.
func (c *Client) AskAll(ctx context.Context, pods []Pod, endpoint string) map[string]Answer {
	answers := make([]Answer, len(pods))
	places := make(chan struct{}, parallel)
	var wg sync.WaitGroup
	for i, pod := range pods {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			answers[i].Report, answers[i].Err = c.Ask(ctx, pod.IP, endpoint)
		})
	}
	wg.Wait()
	byName := make(map[string]Answer, len(pods))
	for i, pod := range pods {
		byName[pod.Name] = answers[i]
	}
	return byName
}
