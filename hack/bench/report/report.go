// Package report keeps what the benchmark measured, a JSON file for each section, and makes of these files one page with tables and plots.
// Files hold what each run showed; medians, ranges and ratios are worked out for the page.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Section is one of the benchmark's measurements, as its file holds it.
type Section struct {
	// Name is the file's, without ".json".
	Name string `json:"section"`
	// Began and Took say when it was measured, and how long that took.
	Began time.Time     `json:"began"`
	Took  time.Duration `json:"tookNanoseconds"`
	// Machine is where.
	Machine Machine `json:"machine"`
	// Settings are the flags that matter, by name.
	Settings map[string]string `json:"settings"`
	// Differing are the names of those that are not the usual ones.
	Differing []string `json:"differing,omitempty"`
	// Surroundings are nil in files of earlier versions.
	Surroundings *Surroundings `json:"surroundings,omitempty"`
	// Servers says which servers behind the receiver it was measured with, if any.
	Servers string `json:"servers,omitempty"`
	// One of these is what was measured.
	Cells     []Cell     `json:"cells,omitempty"`
	Overloads []Overload `json:"overloads,omitempty"`
	Starts    []Start    `json:"starts,omitempty"`
	Soak      *Soak      `json:"soak,omitempty"`
	Managers  []Manager  `json:"managers,omitempty"`
}

// Machine is where a section was measured, and what.
type Machine struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	Memory     int64  `json:"memoryBytes"`
	Kernel     string `json:"kernel"`
	FileSystem string `json:"fileSystem"`
	Go         string `json:"go"`
	// Receiver is what its program says of itself: version, commit, date and the Go that built it.
	Receiver string `json:"receiver"`
	// Commit is the repository's; Dirty says that files had changed since.
	Commit string `json:"commit"`
	Dirty  bool   `json:"dirty"`
}

// Micros is a time in microseconds.
type Micros float64

// MicrosOf converts a duration.
func MicrosOf(d time.Duration) Micros { return Micros(float64(d) / float64(time.Microsecond)) }

// Write writes a section's file.
func (s *Section) Write(dir string) error {
	text, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, s.Name+".json"), append(text, '\n'), 0o644) //nolint:gosec // for everybody to read
}

// Read reads a section's file. It is nil if there is none.
func Read(dir, name string) (*Section, error) {
	text, err := os.ReadFile(filepath.Join(dir, name+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := &Section{}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("read %s.json: %w", name, err)
	}
	return s, nil
}
