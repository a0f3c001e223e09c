package receivers

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// The metrics that are read. All have the label endpoint.
const (
	metricBacklog      = "hookbay_backlog_events"
	metricOldest       = "hookbay_backlog_oldest_seconds"
	metricDead         = "hookbay_dead_letters"
	metricLastAccepted = "hookbay_last_accepted_timestamp_seconds"
	metricLastRefused  = "hookbay_last_refused_timestamp_seconds"
	metricCircuit      = "hookbay_target_circuit_open" // also has the label outcome
	metricBufferReady  = "hookbay_buffer_ready"
)

// The largest values that are believed: integers that a metric can hold exactly, and times that JSON can hold.
const (
	maxCount   = 1 << 53
	maxSeconds = 253402300799 // the end of the year 9999
	maxOpen    = 1 << 10      // more than the dispatchers that an endpoint can have at once, while one takes over from another
	maxAge     = 100 * 365 * 24 * time.Hour
)

func readMetrics(status int, body io.Reader, endpoint string, r *Report) error {
	if status != http.StatusOK {
		return answerError("answers " + strconv.Itoa(status) + " to /metrics")
	}
	lines, err := wantedLines(body)
	if err != nil {
		return err
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(lines)
	if err != nil {
		return answerError("answers /metrics with something that is not metrics")
	}
	return r.takeMetrics(families, endpoint)
}

// wantedLines leaves out all but the samples that are read: parsing everything that a receiver measures would cost more than all else that
// the control plane does while nothing changes.
func wantedLines(body io.Reader) (io.Reader, error) {
	var wanted bytes.Buffer
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		line := lines.Bytes()
		switch name := line[:max(0, bytes.IndexByte(line, '{'))]; string(name) {
		case metricBacklog, metricOldest, metricDead, metricLastAccepted, metricLastRefused, metricCircuit, metricBufferReady:
			wanted.Write(line)
			wanted.WriteByte('\n')
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, answerError("answers /metrics with something that is not metrics")
	}
	return &wanted, lines.Err()
}

// takeMetrics takes the samples. A receiver that does not tell the endpoint's backlog has not told that it holds nothing: that is an error.
func (r *Report) takeMetrics(families map[string]*dto.MetricFamily, endpoint string) error {
	backlog, err := samples(families, metricBacklog, maxCount)
	if err != nil {
		return err
	}
	told, held := false, 0.0
	for _, s := range backlog {
		told = told || s.endpoint == endpoint
		held += s.value
	}
	switch {
	case !told:
		return answerError("does not tell the endpoint's backlog")
	case held > maxCount:
		return unbelievable(metricBacklog)
	}
	r.Held = int64(held)
	for _, m := range []struct {
		name  string
		limit float64
		take  func(float64)
	}{
		{metricBacklog, maxCount, func(v float64) { r.Backlog = int64(v) }},
		{metricDead, maxCount, func(v float64) { r.DeadLetters = int64(v) }},
		{metricOldest, maxAge.Seconds(), func(v float64) { r.Oldest = time.Duration(v * float64(time.Second)) }},
		{metricLastAccepted, maxSeconds, func(v float64) { r.LastAccepted = unixTime(v) }},
		{metricLastRefused, maxSeconds, func(v float64) { r.LastRefused = unixTime(v) }},
	} {
		all, err := samples(families, m.name, m.limit)
		if err != nil {
			return err
		}
		for _, s := range all {
			if s.endpoint == endpoint {
				m.take(s.value)
			}
		}
	}
	return errors.Join(r.takeCircuit(families, endpoint), r.takeBuffer(families, endpoint))
}

// takeBuffer takes whether the buffer can be used. Not every receiver tells.
func (r *Report) takeBuffer(families map[string]*dto.MetricFamily, endpoint string) error {
	all, err := samples(families, metricBufferReady, 1)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.endpoint == endpoint && s.value < 1 {
			r.BufferAway = true
		}
	}
	return nil
}

// takeCircuit takes whether the target is down. Older receivers don't tell.
func (r *Report) takeCircuit(families map[string]*dto.MetricFamily, endpoint string) error {
	all, err := samples(families, metricCircuit, maxOpen)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.endpoint == endpoint && s.value > 0 {
			r.TargetDown = cmp.Or(oneLine(s.outcome), "unknown")
		}
	}
	return nil
}

type sample struct {
	endpoint, outcome string
	value             float64
}

// samples returns the samples of a metric, none of which may be negative, above the limit, or no number.
func samples(families map[string]*dto.MetricFamily, name string, limit float64) ([]sample, error) {
	var all []sample
	for _, m := range families[name].GetMetric() {
		s := sample{value: m.GetUntyped().GetValue()} // lines that tell the type were left out
		for _, l := range m.GetLabel() {
			switch l.GetName() {
			case "endpoint":
				s.endpoint = l.GetValue()
			case "outcome":
				s.outcome = l.GetValue()
			}
		}
		if !(s.value >= 0 && s.value <= limit) {
			return nil, unbelievable(name)
		}
		all = append(all, s)
	}
	return all, nil
}

func unbelievable(metric string) error { return answerError("tells an impossible value of " + metric) }

// unixTime is a metric's time, to the millisecond; 0 is none.
func unixTime(seconds float64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(math.Round(seconds * 1000))).UTC()
}
