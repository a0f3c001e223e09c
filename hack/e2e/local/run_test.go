package local

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMakeRun runs what make run runs, on other addresses: both platforms say that they are content, both events are printed as
// CloudEvents, and Ctrl-C ends everything.
func TestMakeRun(t *testing.T) {
	listen := freeAddress(t)
	cmd := runScript(t, listen)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the terminal's Ctrl-C reaches the whole group
	logs := &tail{}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }) // nothing is left to kill if all went well
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		logs.follow(stderr)
	}()
	events := make(chan string)
	go func() {
		defer close(events)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			events <- lines.Text()
		}
	}()

	want := map[string]bool{"//open.lazada.com/apps/100132": true, "//im.tencentcloud.com/apps/1400000001": true}
	for len(want) > 0 {
		select {
		case line, ok := <-events:
			var e struct{ SpecVersion, Source, Type, ID string }
			if err := json.Unmarshal([]byte(line), &e); !ok || err != nil || e.SpecVersion != "1.0" || e.Type == "" || e.ID == "" {
				t.Fatalf("printed %q, want a CloudEvent in JSON on one line\n%s", line, logs)
			}
			delete(want, e.Source)
		case <-time.After(patience):
			t.Fatalf("no event of %v is printed\n%s", want, logs)
		}
	}

	// Both platforms have their answers, and the script goes on serving: it ends only because of Ctrl-C.
	waitFor(t, "the script says that it goes on", func() error {
		if !strings.Contains(logs.String(), "Serving on http://"+listen) {
			return errors.New("it does not")
		}
		return nil
	})
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for line := range events {
		t.Errorf("printed another event: %s", line)
	}
	<-logged
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v, want exit code 0\n%s", err, logs)
	}
	if err := syscall.Kill(-cmd.Process.Pid, 0); err == nil {
		t.Errorf("a program is left over\n%s", logs)
	}
}

// TestMakeRun_portTaken: where another program listens, nothing is sent to it.
func TestMakeRun_portTaken(t *testing.T) {
	other := newTarget(t)
	output, err := runScript(t, other.addr).CombinedOutput()
	if err == nil || !strings.Contains(string(output), other.addr) {
		t.Errorf("ended with %v, want exit code 1 and the address in the message:\n%s", err, output)
	}
	if log := other.log(); len(log) > 0 {
		t.Errorf("the other program got %q", log[0].body)
	}
}

// runScript is hack/run.sh with addresses of its own.
func runScript(t *testing.T, listen string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "hack/run.sh")
	cmd.Dir = "../../.."
	cmd.Env = append(os.Environ(), "BIN="+hookbay(t), "LISTEN="+listen, "ADMIN="+freeAddress(t), "DATA_DIR="+t.TempDir())
	return cmd
}
