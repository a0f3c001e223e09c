package main

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// TestDockerfile: the images are the same, whichever way they are made.
func TestDockerfile(t *testing.T) {
	stages := stagesOf(t, "../../Dockerfile")
	for target, name := range map[string]string{"manager": "hookbay", "receiver": "receiver"} {
		t.Run(target, func(t *testing.T) {
			i := slices.IndexFunc(stages, func(s instructions.Stage) bool { return s.Name == target })
			if i < 0 {
				t.Fatalf("the Dockerfile has no target %s", target)
			}
			if from := stages[i].BaseName; from != "scratch" {
				t.Errorf("it is made from %s, want scratch", from)
			}
			img := image{name: name}
			s := stamp{version: "v1.2.3", commit: "0123456789abcdef", date: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)}
			got, copied := configOf(t, stages[i], map[string]string{
				"VERSION": s.version, "COMMIT": s.commit, "DATE": s.date.Format(time.RFC3339),
			})
			if diff := cmp.Diff(img.config(s), got); diff != "" {
				t.Errorf("configuration, make images (-), Dockerfile (+):\n%s", diff)
			}
			if diff := cmp.Diff([]string{img.path()}, copied); diff != "" {
				t.Errorf("files, make images (-), Dockerfile (+):\n%s", diff)
			}
		})
	}
}

func stagesOf(t *testing.T, path string) []instructions.Stage {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	parsed, err := parser.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	return stages
}

// configOf tells how what a stage makes is started, and the files that are in it. It knows the instructions that the Dockerfile uses.
func configOf(t *testing.T, stage instructions.Stage, args map[string]string) (config v1.Config, files []string) {
	t.Helper()
	config.Labels = map[string]string{}
	declared := map[string]string{}
	for _, command := range stage.Commands {
		switch c := command.(type) {
		case *instructions.ArgCommand:
			for _, a := range c.Args {
				declared[a.Key] = args[a.Key]
			}
		case *instructions.LabelCommand:
			for _, l := range c.Labels {
				config.Labels[l.Key] = os.Expand(l.Value, func(name string) string { return declared[name] })
			}
		case *instructions.CopyCommand:
			if c.From != "build" {
				t.Errorf("COPY is from %q, want build", c.From)
			}
			files = append(files, c.DestPath)
		case *instructions.WorkdirCommand:
			config.WorkingDir = c.Path
		case *instructions.UserCommand:
			config.User = c.User
		case *instructions.EntrypointCommand:
			if c.PrependShell {
				t.Errorf("ENTRYPOINT %v needs a shell: write it as a list", c.CmdLine)
			}
			config.Entrypoint = c.CmdLine
		default:
			t.Errorf("%s is an instruction that make images has no counterpart of", c.Name())
		}
	}
	return config, files
}
