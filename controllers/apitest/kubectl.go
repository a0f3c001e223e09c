package apitest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Kubectl runs kubectl as the administrator, with stdin, and returns what it wrote to standard output and to standard error, and
// the error of a run that failed.
func (s *Server) Kubectl(t *testing.T, stdin string, arguments ...string) (stdout, stderr string, err error) {
	t.Helper()
	home := t.TempDir() // nothing of the developer's own: no plug-ins, preferences or cache
	kubeconfig := filepath.Join(home, "config")
	if err := os.WriteFile(kubeconfig, s.environment.KubeConfig, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	arguments = append([]string{"--kubeconfig", kubeconfig}, arguments...)
	cmd := exec.CommandContext(t.Context(), s.environment.ControlPlane.KubectlPath, arguments...) //nolint:gosec // a test's own command
	cmd.Env = append(os.Environ(), "HOME="+home)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}
