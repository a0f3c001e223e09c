package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
)

// tools are the programs that render manifests.
type tools struct{ helm, kustomize string }

// check is a comparison; it returns the differences.
type check struct {
	name string
	do   func(context.Context, tools) ([]string, error)
}

func checks() []check {
	return []check{
		{"an installation with default values", checkDefault},
		{"an installation with monitors", checkMonitors},
	}
}

// checkDefault compares all objects but the Namespace, which a chart leaves to helm install --create-namespace. The CRD and the rules of the
// kustomize folders are controller-gen's own files: those of the chart are compared with them here.
func checkDefault(ctx context.Context, t tools) ([]string, error) {
	return t.compare(ctx, []string{"config/default"}, nil)
}

func checkMonitors(ctx context.Context, t tools) ([]string, error) {
	return t.compare(ctx, []string{"config/default", "config/prometheus"}, []string{
		"--set=serviceMonitor.enabled=true,podMonitor.enabled=true",
		"--api-versions=monitoring.coreos.com/v1",
	})
}

// compare compares folders of kustomize, together, with the chart.
func (t tools) compare(ctx context.Context, folders, chartFlags []string) ([]string, error) {
	kustomize := objects{}
	for _, folder := range folders {
		built, err := render(ctx, t.kustomize, "build", folder)
		if err != nil {
			return nil, err
		}
		for _, o := range built {
			if err := kustomize.add(o); err != nil {
				return nil, err
			}
		}
	}
	chart, err := t.template(ctx, chartFlags...)
	if err != nil {
		return nil, err
	}
	kustomize.dropKind("Namespace")
	chart.dropHelms()
	return compare(kustomize, chart), nil
}

// template renders the chart as the release hookbay in hookbay-system, without its tests.
func (t tools) template(ctx context.Context, flags ...string) (objects, error) {
	args := []string{"template", "hookbay", "charts/hookbay", "--namespace=hookbay-system", "--include-crds", "--skip-tests"}
	return render(ctx, t.helm, append(args, flags...)...)
}

func render(ctx context.Context, program string, args ...string) (objects, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", cmd, err, stderr.String())
	}
	found, err := parse(out)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cmd, err)
	}
	return found, nil
}
