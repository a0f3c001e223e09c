package local

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"
)

// report writes what came of each callback, as lines of JSON. A nil report writes nothing.
type report struct {
	mu   sync.Mutex
	file *os.File // nil: standard output, which is not ours to close
	buf  *bufio.Writer
	err  error
}

// reportLine is one callback.
type reportLine struct {
	Endpoint string `json:"endpoint"`
	Event    string `json:"event"`
	// N and Subject are the event's number and that of its subject, from 0.
	N       int `json:"n"`
	Subject int `json:"subject"`
	// Status is 0 if there was no answer.
	Status int     `json:"status"`
	Millis float64 `json:"ms"`
	// OK says that the platform would call it a success, Objection why not.
	OK        bool   `json:"ok"`
	Objection string `json:"objection,omitempty"`
}

// openReport opens the report of that name; "-" is stdout.
func openReport(name string, stdout io.Writer) (*report, error) {
	switch name {
	case "":
		return nil, nil
	case "-":
		return &report{buf: bufio.NewWriter(stdout)}, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, usagef("--report: %v", err)
	}
	return &report{file: file, buf: bufio.NewWriter(file)}, nil
}

func (r *report) write(p *play, n, subject int, o *outcome) {
	if r == nil {
		return
	}
	line := reportLine{
		Endpoint: p.endpoint.Key(), Event: p.sample.Name, N: n, Subject: subject,
		Status: o.status, Millis: float64(o.took.Microseconds()) / 1000, OK: o.objection == nil,
	}
	if o.objection != nil {
		line.Objection = o.objection.Error()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = json.NewEncoder(r.buf).Encode(line)
	}
}

// close returns the first error of all that was written.
func (r *report) close() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	err := errors.Join(r.err, r.buf.Flush())
	if r.file != nil {
		err = errors.Join(err, r.file.Close())
	}
	return err
}
