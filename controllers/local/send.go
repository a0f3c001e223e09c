package local

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/source"
	"github.com/hookbay/hookbay/receiver/sources"
)

// maxSubjects is how many subjects the simulators tell apart.
const maxSubjects = 1_000_000

// sendFlags are the flags of hookbay send.
type sendFlags struct {
	files       []string
	endpoints   []string
	url         string
	caCert      string
	event       string
	data        string
	dataGiven   bool // also with an empty body
	count       int
	rate        float64
	concurrency int
	subjects    int
	seed        int
	wait        time.Duration
	report      string
	list        bool
}

// SendCommand is `hookbay send`.
func SendCommand() *cobra.Command {
	f := &sendFlags{}
	cmd := &cobra.Command{
		Use:   "send -f FILE|DIR … [flags]",
		Short: "Play the platform: send signed callbacks and judge the answers",
		Long: `Play the platform: send callbacks, signed with the credentials in the manifests, and judge the answers as the platform would:
status, words and time limit. Exits with 1 if the platform would call any of them a failure.`,
		Example: `  hookbay send -f config/samples                                        one callback to each endpoint
  hookbay send -f config/samples --endpoint lazada-im --event message-2
  hookbay send -f config/samples --endpoint lazada-im --data @push.json
  hookbay send -f config/samples --count 10000 --rate 500 --concurrency 32
  hookbay send -f config/samples --list                                 the callbacks there are`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if f.files, err = manifestPaths(f.files, args); err != nil {
				return err
			}
			f.dataGiven = cmd.Flags().Changed("data")
			if err := f.check(cmd.Flags().Changed("seed")); err != nil {
				return err
			}
			return send(cmd.Context(), f, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	fs := cmd.Flags()
	fs.StringArrayVarP(&f.files, "filename", "f", nil, filesHelp)
	fs.StringArrayVar(&f.endpoints, "endpoint", nil, "only this endpoint: NAME or NAMESPACE/NAME; may be repeated (default all)")
	fs.StringVar(&f.url, "url", "http://127.0.0.1:8080", "where the receiver is: the endpoint's path is put after it. With an address instead of a name, callbacks name the endpoint's exposure.host, and https asks for its certificate")
	fs.StringVar(&f.caCert, "cacert", "", "a `FILE` of certificates in PEM to trust besides the system's")
	fs.StringVar(&f.event, "event", "", "which sample to send, see --list (default: the platform's most usual one)")
	fs.StringVar(&f.data, "data", "", "body to send instead of a sample: the text itself, @FILE, or @- for standard input; may be empty")
	fs.IntVar(&f.count, "count", 1, "callbacks to each endpoint: each is another event, but with --data and for samples without anything to count they are repeats of one")
	fs.Float64Var(&f.rate, "rate", 0, "callbacks per second, altogether; 0: as fast as the answers come")
	fs.IntVar(&f.concurrency, "concurrency", 8, "callbacks under way at once; those of one subject are sent one after another")
	fs.IntVar(&f.subjects, "subjects", 100, "how many subjects (conversations, orders, …) the callbacks are spread over")
	fs.IntVar(&f.seed, "seed", 0, "the same number makes the same events again (default: new events each time)")
	fs.DurationVar(&f.wait, "wait", 0, "how long to wait for the receiver to be there before sending")
	fs.StringVar(&f.report, "report", "", "write a line of JSON for each callback to this `FILE`; -: to standard output, the summary then to standard error")
	fs.BoolVar(&f.list, "list", false, "list the samples and send nothing")
	return cmd
}

// check looks at what needs no manifest, and fills in the seed.
func (f *sendFlags) check(seedGiven bool) error {
	u, err := url.Parse(f.url)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return usagef("--url %s: write the receiver's address, such as http://127.0.0.1:8080 or https://hooks.example.com", f.url)
	case f.event != "" && f.dataGiven:
		return usagef("--event and --data: give one of them")
	case f.data == "-":
		return usagef("--data -: write --data @- for standard input")
	case f.count < 1 || f.count > maxSubjects:
		return usagef("--count %d: write a number from 1 to %d", f.count, maxSubjects)
	case f.rate < 0:
		return usagef("--rate %v: write callbacks per second, or 0 for as fast as the answers come", f.rate)
	case f.concurrency < 1 || f.concurrency > 10_000:
		return usagef("--concurrency %d: write a number from 1 to 10000", f.concurrency)
	case f.subjects < 1 || f.subjects > maxSubjects:
		return usagef("--subjects %d: write a number from 1 to %d", f.subjects, maxSubjects)
	case f.seed < 0 || f.seed > maxSubjects-f.subjects:
		return usagef("--seed %d: write a number from 0 to %d", f.seed, maxSubjects-f.subjects)
	}
	f.url = strings.TrimSuffix(f.url, "/")
	if !seedGiven {
		f.seed = rand.IntN(maxSubjects - f.subjects + 1) //nolint:gosec // It only has to differ from the last time.
	}
	return nil
}

// play is one endpoint that is sent to, and the platform that sends.
type play struct {
	endpoint config.Endpoint
	platform source.Simulator
	sample   source.Sample
	// fixed says that the body is the user's and does not vary.
	fixed bool
	// host is the host that is named to the receiver; empty: that of the URL.
	host string
}

// repeats says that callbacks are one event, or one of each subject, however many are sent.
func (p *play) repeats() bool {
	return p.fixed || bytes.Equal(p.platform.Vary(p.sample, 0, 0), p.platform.Vary(p.sample, 1, 0))
}

func send(ctx context.Context, f *sendFlags, stdin io.Reader, stdout, stderr io.Writer) error {
	loader, err := NewLoader(f.files, stdin, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	m, err := loader.Load(ctx)
	if err != nil {
		return err
	}
	plays, err := choose(m.Snapshot(), f.endpoints)
	if err != nil {
		return err
	}
	nameHosts(plays, m, f.url)
	if f.list {
		return listSamples(stdout, plays)
	}
	if plays, err = f.prepare(plays, stdin); err != nil {
		return err
	}
	reportOut := stdout
	if f.report == "-" {
		stdout = stderr // lines for programs and lines for people don't mix
	}
	report, err := openReport(f.report, reportOut)
	if err != nil {
		return err
	}
	s, err := newSender(f, plays, report, stdout, stderr)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.waitForReceiver(ctx, f.wait); err != nil {
		return err
	}
	s.run(ctx)
	if err := report.close(); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return s.tally.verdict(ctx)
}

// choose returns the endpoints of these names, or all if there are none.
func choose(s config.Snapshot, names []string) ([]play, error) {
	var plays []play
	found := map[string]bool{}
	var all []string
	for _, e := range s.Config.Endpoints {
		all = append(all, e.Key())
		chosen := len(names) == 0
		for _, name := range names {
			if name == e.Name || name == e.Key() {
				chosen, found[name] = true, true
			}
		}
		if !chosen {
			continue
		}
		platform, err := sources.NewSimulator(e.Source, s.Secrets)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Key(), err)
		}
		plays = append(plays, play{endpoint: e, platform: platform})
	}
	for _, name := range names {
		if !found[name] {
			return nil, usagef("--endpoint %s: the manifests have no such endpoint: write one of %s", name, strings.Join(all, ", "))
		}
	}
	return plays, nil
}

// nameHosts has callbacks name the endpoint's own host where the URL has none, but an address, as of a Service or of kubectl port-forward: a
// receiver in a cluster answers 404 to any other.
func nameHosts(plays []play, m *Manifests, to string) {
	u, err := url.Parse(to)
	if err != nil {
		return
	}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil && u.Hostname() != "localhost" {
		return
	}
	for i := range plays {
		for j := range m.Endpoints {
			if e := &m.Endpoints[j]; e.Namespace+"/"+e.Name == plays[i].endpoint.Key() {
				plays[i].host = e.Spec.Exposure.Host
			}
		}
	}
}

// prepare decides what each endpoint is sent. Endpoints of a platform that has no such event are left out.
func (f *sendFlags) prepare(plays []play, stdin io.Reader) ([]play, error) {
	if f.dataGiven {
		body, err := readData(f.data, stdin)
		if err != nil {
			return nil, err
		}
		if len(plays) > 1 {
			return nil, usagef("--data: the body is one platform's: say which endpoint with --endpoint, one of %s", keys(plays))
		}
		for i := range plays {
			plays[i].sample, plays[i].fixed = source.Sample{Name: "(data)", Body: body}, true
		}
		return plays, nil
	}
	var prepared []play
	for _, p := range plays {
		samples := p.platform.Samples()
		i := slices.IndexFunc(samples, func(s source.Sample) bool { return f.event == "" || strings.EqualFold(s.Name, f.event) })
		if i >= 0 {
			p.sample = samples[i]
			prepared = append(prepared, p)
		}
	}
	if len(prepared) == 0 {
		return nil, usagef("--event %s: none of %s has such a sample: --list shows those there are", f.event, keys(plays))
	}
	return prepared, nil
}

func readData(arg string, stdin io.Reader) ([]byte, error) {
	name, isFile := strings.CutPrefix(arg, "@")
	if !isFile {
		return []byte(arg), nil
	}
	var body []byte
	var err error
	if name == "-" {
		body, err = io.ReadAll(stdin)
	} else {
		body, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, usagef("--data: %v", err)
	}
	return body, nil
}

func keys(plays []play) string {
	names := make([]string, 0, len(plays))
	for i := range plays {
		names = append(names, plays[i].endpoint.Key())
	}
	return strings.Join(names, ", ")
}

func listSamples(w io.Writer, plays []play) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ENDPOINT\tPLATFORM\tEVENT\tBYTES")
	for i := range plays {
		p := &plays[i]
		for _, s := range p.platform.Samples() {
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\n", p.endpoint.Key(), p.endpoint.Source.Type, s.Name, len(s.Body))
		}
	}
	return t.Flush()
}
