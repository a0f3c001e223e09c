package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(empty, []byte(`{}`), 0o600); err != nil {
		t.Fatal(err)
	}
	platform := runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH + "\n"
	tests := map[string]struct {
		args       []string
		want       int
		wantStdout string
		wantStderr string
	}{
		"the version":               {[]string{"--version"}, exitGood, "receiver unknown, commit unknown of unknown, " + platform, ""},
		"help":                      {[]string{"--help"}, exitGood, "", "-secrets-dir directory"},
		"an unknown flag":           {[]string{"--colour"}, exitUsage, "", "flag provided but not defined: -colour"},
		"an argument":               {[]string{"start"}, exitUsage, "", "receiver takes flags only"},
		"less than no connections":  {[]string{"--max-connections", "-1"}, exitUsage, "", "--max-connections: write a number of connections"},
		"an unknown level":          {[]string{"--log-level", "loud"}, exitUsage, "", `invalid value "loud"`},
		"no configuration":          {[]string{"--config", filepath.Join(t.TempDir(), "none")}, exitFailed, "", "load the configuration: open config: "},
		"an empty configuration":    {[]string{"--config", empty}, exitFailed, "", "endpoints: list the endpoints, write [] for none"},
		"a level that hides starts": {[]string{"--config", empty, "--log-level", "error"}, exitFailed, "", `{"time":`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := run(tt.args, &stdout, &stderr); got != tt.want {
				t.Errorf("exit code is %d, want %d", got, tt.want)
			}
			if stdout.String() != tt.wantStdout || !strings.Contains(stderr.String(), tt.wantStderr) {
				t.Errorf("stdout is %q and stderr %q, want %q and something with %q", &stdout, &stderr, tt.wantStdout, tt.wantStderr)
			}
			if name == "a level that hides starts" && strings.Contains(stderr.String(), "Receiver starts") {
				t.Errorf("--log-level error logs less important things:\n%s", &stderr)
			}
		})
	}
}
