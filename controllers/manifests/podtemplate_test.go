package manifests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/receiver/config"
)

// A change that reaches running receivers must leave the template alone, because every other one restarts all of them.
func TestTemplateDigest(t *testing.T) {
	type change = func(*hookbayv1alpha1.WebhookEndpoint)
	receiver := func(set func(*hookbayv1alpha1.Receiver)) change {
		return func(e *hookbayv1alpha1.WebhookEndpoint) { set(&e.Spec.Receiver) }
	}
	size := func(s string) change {
		return func(e *hookbayv1alpha1.WebhookEndpoint) {
			e.Spec.Buffer.Disk = &hookbayv1alpha1.DiskBuffer{Size: new(resource.MustParse(s))}
		}
	}
	hour := &metav1.Duration{Duration: time.Hour}
	tests := map[string]struct {
		change change
		rolls  bool
	}{
		"nothing":              {change: func(*hookbayv1alpha1.WebhookEndpoint) {}},
		"the generation":       {change: func(e *hookbayv1alpha1.WebhookEndpoint) { e.Generation++ }},
		"labels of its own":    {change: func(e *hookbayv1alpha1.WebhookEndpoint) { e.Labels = map[string]string{"a": "b"} }},
		"status":               {change: func(e *hookbayv1alpha1.WebhookEndpoint) { e.Status.Replicas = 5 }},
		"kept message types":   {change: func(e *hookbayv1alpha1.WebhookEndpoint) { e.Spec.Source.Lazada.MessageTypes = []int64{2} }},
		"the app key":          {change: func(e *hookbayv1alpha1.WebhookEndpoint) { e.Spec.Source.Lazada.AppKey = "2" }},
		"the order of secrets": {change: func(e *hookbayv1alpha1.WebhookEndpoint) { slices.Reverse(e.Spec.Source.Lazada.AppSecretRefs) }},
		"one key in two places": {change: func(e *hookbayv1alpha1.WebhookEndpoint) {
			e.Spec.Target.BearerTokenRef = &e.Spec.Source.Lazada.AppSecretRefs[0]
		}},
		"the target": {change: func(e *hookbayv1alpha1.WebhookEndpoint) {
			e.Spec.Target = hookbayv1alpha1.Target{Type: hookbayv1alpha1.TargetURL, URL: "https://example.com/", Timeout: hour}
		}},
		"a header": {change: func(e *hookbayv1alpha1.WebhookEndpoint) {
			e.Spec.Target.Headers = []hookbayv1alpha1.Header{{Name: "X-Team", Value: "chat"}}
		}},
		"delivery": {change: func(e *hookbayv1alpha1.WebhookEndpoint) {
			e.Spec.Delivery = hookbayv1alpha1.Delivery{Ordering: "None", MaxInFlight: 1, Suspend: true, Retry: hookbayv1alpha1.Retry{MaxAge: hour}}
		}},
		"window and retention": {change: func(e *hookbayv1alpha1.WebhookEndpoint) {
			e.Spec.Buffer.DeduplicationWindow, e.Spec.Buffer.Retention = hour, hour
		}},
		"the named default type":   {change: func(e *hookbayv1alpha1.WebhookEndpoint) { e.Spec.Buffer.Type = hookbayv1alpha1.BufferDisk }},
		"the named default size":   {change: size("10Gi")},
		"that size in other words": {change: size("10240Mi")},
		"what becomes of volumes": {change: func(e *hookbayv1alpha1.WebhookEndpoint) {
			e.Spec.Buffer.Disk = &hookbayv1alpha1.DiskBuffer{WhenDeleted: hookbayv1alpha1.WhenDeletedDelete}
		}},
		"host, path, Ingress and route": {change: func(e *hookbayv1alpha1.WebhookEndpoint) {
			e.Spec.Exposure = hookbayv1alpha1.Exposure{Host: "b.example.com", Path: "/b"}
			withEverything(e)
		}},
		"the number of receivers": {change: receiver(func(r *hookbayv1alpha1.Receiver) { r.Replicas = new(int32(5)) })},

		"another key of a Secret": {rolls: true, change: func(e *hookbayv1alpha1.WebhookEndpoint) {
			e.Spec.Target.SigningSecretRef = &hookbayv1alpha1.SecretKeyRef{Name: "lazada-app", Key: "signing"}
		}},
		"a Secret less": {rolls: true, change: func(e *hookbayv1alpha1.WebhookEndpoint) {
			e.Spec.Source.Lazada.AppSecretRefs = e.Spec.Source.Lazada.AppSecretRefs[:1]
		}},
		"a larger disk":   {rolls: true, change: size("20Gi")},
		"resources":       {rolls: true, change: receiver(func(r *hookbayv1alpha1.Receiver) { r.Resources.Limits = cpu("1") })},
		"a node selector": {rolls: true, change: receiver(func(r *hookbayv1alpha1.Receiver) { r.NodeSelector = map[string]string{"a": "b"} })},
		"a toleration": {rolls: true, change: receiver(func(r *hookbayv1alpha1.Receiver) {
			r.Tolerations = []corev1.Toleration{{Key: "a", Operator: corev1.TolerationOpExists}}
		})},
		"affinity": {rolls: true, change: receiver(func(r *hookbayv1alpha1.Receiver) {
			r.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{}}
		})},
		"a spread": {rolls: true, change: receiver(func(r *hookbayv1alpha1.Receiver) {
			r.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: "zone", WhenUnsatisfiable: corev1.DoNotSchedule}}
		})},
		"a priority":    {rolls: true, change: receiver(func(r *hookbayv1alpha1.Receiver) { r.PriorityClassName = "high" })},
		"a pull secret": {rolls: true, change: receiver(func(r *hookbayv1alpha1.Receiver) { r.ImagePullSecrets = []hookbayv1alpha1.ImagePullSecret{{Name: "a"}} })},
		"a pod label":   {rolls: true, change: receiver(func(r *hookbayv1alpha1.Receiver) { r.PodLabels = map[string]string{"a": "b"} })},
		"an annotation": {rolls: true, change: receiver(func(r *hookbayv1alpha1.Receiver) { r.PodAnnotations = map[string]string{"a": "b"} })},
	}
	before := ReplicaDeployment(endpoint("im"), settings, 0, TrafficServe)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			after := ReplicaDeployment(endpoint("im", tt.change), settings, 0, TrafficServe)
			if got := before.Annotations[AnnotationTemplate] != after.Annotations[AnnotationTemplate]; got != tt.rolls {
				t.Errorf("receivers roll: %t, want %t (-before +after):\n%s", got, tt.rolls, cmp.Diff(before.Spec.Template, after.Spec.Template))
			}
			if got := !cmp.Equal(before.Spec.Template, after.Spec.Template); got != tt.rolls {
				t.Errorf("the digest says that receivers roll: %t, but the template differs: %t", tt.rolls, got)
			}
		})
	}
	if d := ReplicaDeployment(endpoint("im"), Settings{Image: "another"}, 0, TrafficServe); d.Annotations[AnnotationTemplate] == before.Annotations[AnnotationTemplate] {
		t.Error("another image rolls no receiver")
	}
}

func cpu(s string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(s)}
}

func memory(s string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(s)}
}

// Whatever is asked for, nobody gets a request above its limit by a default.
func TestResources(t *testing.T) {
	tests := map[string]struct {
		wanted                                     hookbayv1alpha1.Resources
		wantCPU, wantMemory, limitCPU, limitMemory string
	}{
		"nothing":                           {hookbayv1alpha1.Resources{}, "100m", "128Mi", "", "512Mi"},
		"a lower request":                   {hookbayv1alpha1.Resources{Requests: memory("64Mi")}, "100m", "64Mi", "", "512Mi"},
		"a request above the default limit": {hookbayv1alpha1.Resources{Requests: memory("1Gi")}, "100m", "1Gi", "", "1Gi"},
		"a limit below the default request": {hookbayv1alpha1.Resources{Limits: memory("64Mi")}, "100m", "64Mi", "", "64Mi"},
		"a higher limit":                    {hookbayv1alpha1.Resources{Limits: memory("1Gi")}, "100m", "128Mi", "", "1Gi"},
		"a limit of CPU":                    {hookbayv1alpha1.Resources{Limits: cpu("50m")}, "50m", "128Mi", "50m", "512Mi"},
		"a request of CPU":                  {hookbayv1alpha1.Resources{Requests: cpu("2")}, "2", "128Mi", "", "512Mi"},
		"both":                              {hookbayv1alpha1.Resources{Requests: memory("200Mi"), Limits: memory("300Mi")}, "100m", "200Mi", "", "300Mi"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := container(settings, tt.wanted).Resources
			want := corev1.ResourceRequirements{Requests: list(tt.wantCPU, tt.wantMemory), Limits: list(tt.limitCPU, tt.limitMemory)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("resources (-want +got):\n%s", diff)
			}
		})
	}
}

func list(ofCPU, ofMemory string) corev1.ResourceList {
	all := memory(ofMemory)
	if ofCPU != "" {
		maps.Copy(all, cpu(ofCPU))
	}
	return all
}

// The pod's arguments are flags that the receiver's main has. It is read, not run: it is another program.
func TestContainer_flagsExist(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../receiver/main.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var known []string
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) < 2 {
			return true
		}
		if f, ok := call.Fun.(*ast.SelectorExpr); ok && strings.HasSuffix(f.Sel.Name, "Var") {
			if name, ok := call.Args[1].(*ast.BasicLit); ok {
				flag, err := strconv.Unquote(name.Value)
				if err != nil {
					t.Fatal(err)
				}
				known = append(known, flag)
			}
		}
		return true
	})
	for _, arg := range flags(endpoint("im")) {
		if !slices.Contains(known, arg.name) {
			t.Errorf("the receiver has no flag --%s; it has %v", arg.name, known)
		}
	}
}

type argument struct{ name, value string }

func flags(e *hookbayv1alpha1.WebhookEndpoint) []argument {
	var all []argument
	for _, arg := range ReplicaDeployment(e, settings, 0, TrafficServe).Spec.Template.Spec.Containers[0].Args {
		name, value, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		all = append(all, argument{name, value})
	}
	return all
}

// A receiver that stops in order is never killed: it waits for the news to spread, then for callbacks, then for deliveries.
func TestContainer_stopsInTime(t *testing.T) {
	var wait time.Duration
	for _, arg := range flags(endpoint("im")) {
		d, err := time.ParseDuration(arg.value)
		switch {
		case err != nil:
		case arg.name == "drain-delay":
			wait += d
		case arg.name == "drain-timeout":
			wait += 2 * d
		}
	}
	if grace := terminationGrace * time.Second; wait == 0 || wait+3*time.Second > grace {
		t.Errorf("stopping takes up to %s, and the pod is killed after %s", wait, grace)
	}
}

// The receiver takes the ConfigMap's content, as what the control plane believes it to be, and finds each file that it names, and
// no other credential.
func TestConfigMap_fitsThePod(t *testing.T) {
	for name, e := range endpoints(t) {
		c, err := config.Parse([]byte(ConfigMap(e).Data["config.json"]))
		if err != nil {
			t.Errorf("%s: the receiver would refuse its configuration: %v", name, err)
			continue
		}
		if got, want := c.Digest(), ConfigDigest(e); got != want {
			t.Errorf("%s: the receiver's digest is %s, and %s is expected", name, got, want)
		}
		want := []string{"config.json", "revision"}
		for _, f := range c.SecretFiles() {
			want = append(want, "secrets/"+string(f))
		}
		got := projectedPaths(configVolume(e).Projected)
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: files in the pod (-wanted +there):\n%s", name, diff)
		}
	}
}

func projectedPaths(p *corev1.ProjectedVolumeSource) []string {
	var paths []string
	for _, s := range p.Sources {
		var items []corev1.KeyToPath
		switch {
		case s.ConfigMap != nil:
			items = s.ConfigMap.Items
		case s.Secret != nil:
			for _, item := range s.Secret.Items {
				if !strings.HasSuffix(item.Path, "/"+s.Secret.Name+"/"+item.Key) {
					paths = append(paths, "from another Secret: "+item.Path)
				}
			}
			items = s.Secret.Items
		case s.DownwardAPI != nil:
			paths = append(paths, s.DownwardAPI.Items[0].Path)
		}
		for _, item := range items {
			paths = append(paths, item.Path)
		}
	}
	return paths
}
