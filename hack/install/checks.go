package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
		{"an installation for some namespaces", checkNamespaces},
		{"the samples", checkSamples},
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

// checkNamespaces compares the manager's rights: those that it has everywhere by default, it has in each of the namespaces, and nowhere else.
func checkNamespaces(ctx context.Context, t tools) ([]string, error) {
	kustomize, err := render(ctx, t.kustomize, "build", "config/rbac")
	if err != nil {
		return nil, err
	}
	chart, err := t.template(ctx, "--set=watchNamespaces={shop,chat}")
	if err != nil {
		return nil, err
	}
	const everywhere = "ClusterRole.rbac.authorization.k8s.io hookbay-manager"
	if kustomize[everywhere] == nil {
		return nil, errors.New("config/rbac has no " + everywhere)
	}
	want, got := objects{}, objects{}
	for _, namespace := range []string{"shop", "chat"} {
		key := "Role.rbac.authorization.k8s.io " + namespace + "/hookbay-endpoints"
		want[key] = rules(kustomize[everywhere])
		if chart[key] != nil {
			got[key] = rules(chart[key])
		}
	}
	if chart[everywhere] != nil {
		got[everywhere] = chart[everywhere]
	}
	return compare(want, got), nil
}

// rules are those of a role, alone.
func rules(role *unstructured.Unstructured) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"rules": role.Object["rules"]}}
}

// checkSamples finds samples that kubectl apply -k config/samples, or config/samples-brokers, would pass over.
func checkSamples(ctx context.Context, t tools) ([]string, error) {
	var differences []string
	for _, folder := range []string{"config/samples", "config/samples-brokers"} {
		more, err := checkFolder(ctx, t, folder)
		if err != nil {
			return nil, err
		}
		differences = append(differences, more...)
	}
	return differences, nil
}

func checkFolder(ctx context.Context, t tools, folder string) ([]string, error) {
	built, err := render(ctx, t.kustomize, "build", folder)
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(folder + "/*/*.yaml")
	if err != nil {
		return nil, err
	}
	var differences []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		sample, err := parse(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for key := range sample {
			if built[key] == nil {
				differences = append(differences, fmt.Sprintf("%s has the %s, which %s/kustomization.yaml does not name", file, key, folder))
			}
		}
	}
	return differences, nil
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
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // the programs that make verify names
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
