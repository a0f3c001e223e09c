package app

import (
	"context"
	"maps"
	"reflect"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/hookbay/hookbay/receiver/admin"
	"github.com/hookbay/hookbay/receiver/config"
)

// reloader keeps the endpoints what the configuration says. It polls: that works for the kubelet's swaps of symbolic links, on every file
// system, and for whatever else Load reads, and it misses nothing, where a watch of files needs a watch for each case and loses it
// in a swap. Reading a few small files costs nothing once a second.
//
// A new configuration is taken in one step, all or nothing: whatever is wrong with it, the old one stays live. Only of endpoints that cannot work since
// the start nothing is asked but that they are described well.
type reloader struct {
	o         Options
	endpoints *endpoints

	current config.Snapshot // what was taken last
	built   []*served       // of current, not yet swapped in: between first and start

	broken map[string]string // what was told last of endpoints that cannot work

	taken   prometheus.Gauge
	usable  *prometheus.GaugeVec
	good    prometheus.Gauge
	refused prometheus.Counter

	mu   sync.Mutex // guards page
	page admin.Config
}

func newReloader(o Options, e *endpoints, reg prometheus.Registerer) *reloader {
	f := promauto.With(reg)
	return &reloader{
		o: o, endpoints: e,
		good: f.NewGauge(prometheus.GaugeOpts{
			Name: "hookbay_config_last_load_success",
			Help: "1 if the newest configuration is live and all its endpoints can work, 0 if it was refused and an older one is, or an endpoint cannot.",
		}),
		usable: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hookbay_endpoint_usable",
			Help: "1 if the endpoint can work, 0 if its callbacks are refused because a credential of it is missing or cannot be used.",
		}, []string{"endpoint"}),
		taken: f.NewGauge(prometheus.GaugeOpts{
			Name: "hookbay_config_last_load_timestamp_seconds",
			Help: "When the live configuration was loaded.",
		}),
		refused: f.NewCounter(prometheus.CounterOpts{
			Name: "hookbay_config_refused_total",
			Help: "Configurations that were refused.",
		}),
	}
}

// first builds the first configuration, which must be good but for secrets. start puts it to work.
func (r *reloader) first(snap config.Snapshot) error {
	built, err := r.endpoints.build(&snap, anyMayBreak)
	if err != nil {
		return err
	}
	r.current, r.built = snap, built
	return nil
}

func (r *reloader) start() {
	r.endpoints.tellWaiting(r.built)
	r.endpoints.swap(r.built)
	r.built = nil
	r.accepted()
}

// poll looks for a new configuration until ctx ends.
func (r *reloader) poll(ctx context.Context) {
	ticker := time.NewTicker(r.o.PollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.look()
		}
	}
}

// look reads the configuration once and takes it if it changed.
func (r *reloader) look() {
	defer r.endpoints.finish()
	r.reopen()
	snap, err := r.o.Load()
	if err != nil {
		r.refuse(err)
		return
	}
	if reflect.DeepEqual(r.current.Config, snap.Config) && maps.Equal(r.current.Secrets, snap.Secrets) &&
		maps.Equal(r.current.Unreadable, snap.Unreadable) {
		r.recovered(snap.Revision)
		return
	}
	built, err := r.endpoints.build(&snap, r.endpoints.brokenBefore)
	if err != nil {
		r.refuse(err)
		return
	}
	r.current = snap
	r.endpoints.swap(built)
	r.accepted()
}

// reopen opens streams anew whose connection has ended, whatever becomes of a newer configuration. What fails is tried again at the next look.
func (r *reloader) reopen() {
	if !r.endpoints.anyEnded() {
		return
	}
	built, err := r.endpoints.build(&r.current, r.endpoints.brokenBefore)
	if err != nil {
		r.o.Log.Error("Stream whose connection has ended cannot be opened anew", "error", err)
		return
	}
	r.endpoints.swap(built)
}

// accepted makes the current configuration the one that is shown.
func (r *reloader) accepted() {
	page := admin.Config{
		Digest: r.current.Config.Digest(), Revision: r.current.Revision, LoadedAt: r.o.Now(), Endpoints: []admin.Endpoint{},
	}
	for i := range r.current.Config.Endpoints {
		page.Endpoints = append(page.Endpoints, admin.EndpointOf(&r.current.Config.Endpoints[i]))
	}
	page.Broken, _ = r.endpoints.brokenOnes()
	r.mu.Lock()
	r.page = page
	r.mu.Unlock()
	r.good.Set(wholly(&page))
	r.taken.Set(float64(page.LoadedAt.UnixMilli()) / 1000)
	r.o.Log.Info("Configuration is live", "digest", page.Digest, "endpoints", len(page.Endpoints))
	r.tellBroken(&page)
}

// wholly is 1 if all of a configuration works.
func wholly(page *admin.Config) float64 {
	if len(page.Broken) > 0 {
		return 0
	}
	return 1
}

// tellBroken says once of each endpoint that it cannot work, and why, and that it can again.
func (r *reloader) tellBroken(page *admin.Config) {
	broken := make(map[string]string)
	for _, b := range page.Broken {
		broken[b.Endpoint] = b.Reason
		if r.broken[b.Endpoint] != b.Reason {
			r.o.Log.Error("Endpoint cannot work: its callbacks are refused with 503 until this is mended", "endpoint", b.Endpoint, "error", b.Reason)
		}
	}
	r.usable.Reset()
	for _, e := range page.Endpoints {
		key := e.Namespace + "/" + e.Name
		r.usable.WithLabelValues(key).Set(1)
		if _, is := broken[key]; is {
			r.usable.WithLabelValues(key).Set(0)
		} else if _, was := r.broken[key]; was {
			r.o.Log.Info("Endpoint can work now", "endpoint", key)
		}
	}
	r.broken = broken
}

// refuse keeps the old configuration and says once why.
func (r *reloader) refuse(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.page.Refused != nil && r.page.Refused.Reason == err.Error() {
		return
	}
	r.page.Refused = &admin.Refused{At: r.o.Now(), Reason: err.Error()}
	r.good.Set(0)
	r.refused.Inc()
	r.o.Log.Error("Configuration is refused, the one before stays live", "error", err)
}

// recovered takes note that the configuration is still, or again, what is live. Its revision may be another one nevertheless.
func (r *reloader) recovered(revision string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.page.Revision != revision {
		r.page.Revision = revision
		r.o.Log.Debug("Configuration has a new revision", "revision", revision)
	}
	if r.page.Refused != nil {
		r.page.Refused = nil
		r.good.Set(wholly(&r.page))
		r.o.Log.Info("Configuration is the live one again")
	}
}

// shown is what /configz shows.
func (r *reloader) shown() admin.Config {
	r.mu.Lock()
	page := r.page
	r.mu.Unlock()
	page.Leaving = r.endpoints.leavingNames()
	page.Endpoints = r.endpoints.withTargets(page.Endpoints)
	return page
}
