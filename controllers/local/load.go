package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/defaults"
	"github.com/hookbay/hookbay/controllers/manifests"
	"github.com/hookbay/hookbay/receiver/config"
)

// InvalidError says what is wrong with the manifests: one line a problem, each with file, document, object, field and what to write.
type InvalidError struct{ problems error }

// Error lists the problems, a line each.
func (e *InvalidError) Error() string { return e.problems.Error() }

// Unwrap returns the problems.
func (e *InvalidError) Unwrap() error { return e.problems }

// Manifests are the endpoints that were found, complete with defaults, and the Secrets that they name. They are valid.
type Manifests struct {
	// Endpoints in the order of the files.
	Endpoints []hookbayv1alpha1.WebhookEndpoint
	// Secrets holds every key that the endpoints name, by the path that the receiver knows it by.
	Secrets config.Secrets

	// where each of Endpoints was found, and each Secret, by namespace and name.
	where       []string
	secretWhere map[string]string
}

// Loader reads manifests again and again. It is used by one goroutine at a time.
type Loader struct {
	reader     reader
	definition *definition
	log        *slog.Logger
	// defaults decide what endpoints leave open of their buffers; nil: it stays open, for whoever does not serve them.
	defaults *defaults.Buffer
	// skipped are the objects that were logged as skipped: once is enough.
	skipped map[string]bool

	// files are those that found and problem were made of: they are often read, and seldom new.
	files   []file
	found   *Manifests
	problem error
	// changed are the files of the last reading, if those were others.
	changed []file
}

// NewLoader returns a Loader of files, directories (searched for *.yaml, *.yml and *.json) and, where a path is "-", standard input.
func NewLoader(paths []string, stdin io.Reader, log *slog.Logger) (*Loader, error) {
	d, err := newDefinition()
	if err != nil {
		return nil, err
	}
	return newLoader(paths, stdin, log, d), nil
}

func newLoader(paths []string, stdin io.Reader, log *slog.Logger, d *definition) *Loader {
	return &Loader{reader: reader{paths: paths, stdin: stdin}, definition: d, log: log, skipped: map[string]bool{}}
}

// Load reads all manifests. What is wrong with them is an *InvalidError. After the first time, a change counts when two readings in a row
// agree on it: many programs empty a file before they write it, and a reading in between would take an endpoint away. The result is the
// caller's to read only.
func (l *Loader) Load(ctx context.Context) (*Manifests, error) {
	files, err := l.reader.read(ctx)
	if errors.Is(err, context.Canceled) {
		return nil, err
	}
	if err != nil {
		return nil, &InvalidError{problems: err}
	}
	switch {
	case l.files != nil && sameFiles(files, l.files):
		l.changed = nil
	case l.files != nil && (l.changed == nil || !sameFiles(files, l.changed)):
		l.changed = files
	default:
		l.files, l.changed = files, nil
		l.found, l.problem = l.understand(ctx, files)
	}
	return l.found, l.problem
}

func sameFiles(a, b []file) bool {
	return slices.EqualFunc(a, b, func(a, b file) bool { return a.name == b.name && bytes.Equal(a.data, b.data) })
}

func (l *Loader) understand(ctx context.Context, files []file) (*Manifests, error) {
	var all []manifest
	var problems []error
	for _, f := range files {
		if f.empty() {
			problems = append(problems, emptyError(f.name))
			continue
		}
		found, err := parse(f)
		all = append(all, found...)
		problems = append(problems, err)
	}
	var endpoints []endpointObject
	var secrets []secretObject
	for i := range all {
		m := &all[i]
		switch kind, err := l.classify(m); {
		case err != nil:
			problems = append(problems, err)
		case kind == kindEndpoint:
			e, err := l.definition.endpoint(ctx, m)
			endpoints = append(endpoints, e)
			problems = append(problems, err)
		case kind == kindSecret:
			s, err := readSecret(m)
			secrets = append(secrets, s)
			problems = append(problems, err)
		}
	}
	if len(endpoints) == 0 && errors.Join(problems...) == nil {
		problems = append(problems, fmt.Errorf("no WebhookEndpoint in %s: name the files that hold one, or their directory",
			strings.Join(l.reader.paths, ", ")))
	}
	problems = append(problems, unique(endpoints, secrets))
	problems = append(problems, l.complete(endpoints))
	known := secretsByName(secrets)
	named, err := namedSecrets(endpoints, known)
	problems = append(problems, err)
	if err := errors.Join(problems...); err != nil {
		if slices.ContainsFunc(endpoints, func(e endpointObject) bool { return e.unruled }) {
			err = errors.Join(err, errors.New("more may follow once these are mended"))
		}
		return nil, &InvalidError{problems: err}
	}
	found := &Manifests{Secrets: named, secretWhere: map[string]string{}}
	for i := range secrets {
		found.secretWhere[secrets[i].key()] = secrets[i].where
	}
	for i := range endpoints {
		found.Endpoints = append(found.Endpoints, endpoints[i].WebhookEndpoint)
		found.where = append(found.where, endpoints[i].where)
	}
	return found, nil
}

// complete decides what is left open of the endpoints' buffers.
func (l *Loader) complete(endpoints []endpointObject) error {
	if l.defaults == nil {
		return nil
	}
	var problems []error
	for i := range endpoints {
		if e := &endpoints[i]; e.valid && l.defaults.Complete(&e.WebhookEndpoint) != nil {
			problems = append(problems, e.errorf(`spec.buffer.jetStream.urls: is missing: write the address of a NATS server, such as `+
				`["nats://127.0.0.1:4222"], or --jetstream-url nats://127.0.0.1:4222`))
		}
	}
	return errors.Join(problems...)
}

// Snapshot is what a receiver in this process serves. Hosts are left out, because people call it by its local address.
func (m *Manifests) Snapshot() config.Snapshot {
	c := manifests.ReceiverConfig(m.Endpoints)
	for i := range c.Endpoints {
		c.Endpoints[i].Host = ""
	}
	return config.Snapshot{Config: c, Secrets: m.Secrets}
}

// kind is what Load does with an object.
type kind int

const (
	kindOther kind = iota
	kindEndpoint
	kindSecret
)

// classify tells what an object is. What is neither a WebhookEndpoint nor a Secret is none of our business, unless it looks like one
// that is written wrongly.
func (l *Loader) classify(m *manifest) (kind, error) {
	apiVersion, name := m.text("apiVersion"), m.text("kind")
	want := hookbayv1alpha1.GroupVersion.String()
	group, _, _ := strings.Cut(apiVersion, "/")
	switch {
	case apiVersion == want && name == hookbayv1alpha1.Kind:
		return kindEndpoint, nil
	case apiVersion == "v1" && name == "Secret":
		return kindSecret, nil
	case group == hookbayv1alpha1.GroupVersion.Group || strings.EqualFold(name, hookbayv1alpha1.Kind):
		return kindOther, fmt.Errorf("%s: apiVersion %q, kind %q: write apiVersion: %s and kind: %s",
			m.where, apiVersion, name, want, hookbayv1alpha1.Kind)
	case strings.EqualFold(name, "Secret"):
		return kindOther, fmt.Errorf("%s: apiVersion %q, kind %q: write apiVersion: v1 and kind: Secret", m.where, apiVersion, name)
	case (apiVersion == "") != (name == ""):
		return kindOther, fmt.Errorf("%s: apiVersion %q, kind %q: write both", m.where, apiVersion, name)
	}
	if apiVersion == "" && name == "" && filepath.Ext(m.file) == ".json" || m.onlyLists() {
		return kindOther, nil // JSON of anybody's, or a list of what is read anyway
	}
	if !l.skipped[m.where] {
		l.skipped[m.where] = true
		l.log.Info("Skipped what is neither a WebhookEndpoint nor a Secret", "where", m.where, "apiVersion", apiVersion, "kind", name)
	}
	return kindOther, nil
}
