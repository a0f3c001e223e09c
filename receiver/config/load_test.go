package config

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// volume writes files the way the kubelet does: a new directory, then one rename of the link "..data" to it.
type volume struct {
	dir        string
	generation int
}

func newVolume(t *testing.T, files map[string]string) *volume {
	t.Helper()
	v := &volume{dir: t.TempDir()}
	v.write(t, files)
	for name := range files {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(v.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func (v *volume) write(t *testing.T, files map[string]string) {
	t.Helper()
	v.generation++
	current := fmt.Sprintf("..generation-%d", v.generation)
	if err := os.Mkdir(filepath.Join(v.dir, current), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(v.dir, current, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(v.dir, "..tmp")
	if err := os.Symlink(current, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link, filepath.Join(v.dir, "..data")); err != nil {
		t.Fatal(err)
	}
	if v.generation > 1 {
		if err := os.RemoveAll(filepath.Join(v.dir, fmt.Sprintf("..generation-%d", v.generation-1))); err != nil {
			t.Fatal(err)
		}
	}
}

// naming is a configuration whose only endpoint names these secret files.
func naming(files ...string) string {
	return `{"endpoints": [{"namespace": "shop", "name": "a", "path": "/a",
  "source": {"type": "Lazada", "lazada": {"appKey": "1", "appSecretFiles": ["` + strings.Join(files, `", "`) + `"]}},
  "target": {"type": "HTTP", "url": "http://a/"}, "delivery": {}, "buffer": {}}]}`
}

func TestFiles_Load(t *testing.T) {
	c := newVolume(t, map[string]string{"config.json": naming("one", "two")})
	s := newVolume(t, map[string]string{"one": "first\n", "two": "second\r\n", "other": "not named"})
	f := Files{Config: filepath.Join(c.dir, "config.json"), SecretsDir: s.dir}

	got, err := f.Load()
	if err != nil {
		t.Fatal(err)
	}
	if want := (Secrets{"one": "first", "two": "second"}); !maps.Equal(want, got.Secrets) || len(got.Config.Endpoints) != 1 {
		t.Errorf("Load read %d secrets (equal: %t) and %d endpoints, want the 2 that are named and 1", len(got.Secrets), maps.Equal(want, got.Secrets), len(got.Config.Endpoints))
	}

	s.write(t, map[string]string{"one": "new", "two": " kept \n\n", "other": ""})
	if got, err = f.Load(); err != nil {
		t.Fatal(err)
	}
	if want := (Secrets{"one": "new", "two": " kept \n"}); !maps.Equal(want, got.Secrets) {
		t.Errorf("Load after a change read %v, want the changed secrets, with only one line break trimmed", map[SecretFile]string(got.Secrets))
	}
}

func TestFiles_Load_neverMixesTwoGenerations(t *testing.T) {
	names := []string{"one", "two", "three", "four"}
	generation := func(n int) map[string]string {
		document := strings.Replace(naming(names...), `"name": "a"`, fmt.Sprintf(`"name": "a", "generation": %d`, n), 1)
		files := map[string]string{"config.json": document, "revision": fmt.Sprint(n)}
		for _, name := range names {
			files[name] = fmt.Sprint(n)
		}
		return files
	}
	s := newVolume(t, generation(0))
	f := Files{Config: filepath.Join(s.dir, "config.json"), SecretsDir: s.dir, Revision: filepath.Join(s.dir, "revision")}

	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range 300 {
			s.write(t, generation(n+1))
		}
	}()
	defer func() { <-done }()
	loaded := 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		got, err := f.Load()
		if err != nil {
			continue // The files were unsteady; the next poll comes.
		}
		loaded++
		values := slices.Compact(slices.Sorted(maps.Values(got.Secrets)))
		if document := fmt.Sprint(got.Config.Endpoints[0].Generation); len(values) != 1 || values[0] != got.Revision || document != got.Revision {
			t.Fatalf("one reading holds secrets of the generations %v, the document of %s and the revision of %s", values, document, got.Revision)
		}
	}
	if loaded == 0 {
		t.Error("no reading succeeded, not even after the last change")
	}
}

func TestFiles_Load_unreadable(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{"good": "x", "huge": strings.Repeat("hunter2 ", MaxSecretBytes/8+1)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(dir, "leading-out")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		dir, file string // default: the folder above
		want      string
	}{
		"a missing secret":         {file: "bad", want: `secret file "bad" is missing: create the Secret and the key that the endpoint names`},
		"a link out of the folder": {file: "leading-out", want: `secret file "leading-out"`},
		"a folder":                 {file: "folder", want: `secret file "folder" is not a regular file: name the file that holds the credential`},
		"a huge secret":            {file: "huge", want: `secret file "huge": larger than 1048576 bytes: name a smaller file`},
		"no folder":                {dir: filepath.Join(dir, "none"), file: "bad", want: "open the secrets directory"},
		"a file for a folder":      {dir: outside, file: "bad", want: "is not a directory: name the one that the secrets are in"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.json")
			if err := os.WriteFile(path, []byte(naming("good", tt.file)), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := Files{Config: path, SecretsDir: cmp.Or(tt.dir, dir)}.Load()
			if err != nil {
				t.Fatal(err)
			}
			if _, there := got.Secrets[SecretFile("good")]; there == (tt.dir != "") {
				t.Errorf("the other secret is read: %t", there)
			}
			why := got.Check(&got.Config.Endpoints[0])
			if field := "source.lazada.appSecretFiles["; why == nil || !strings.HasPrefix(why.Error(), field) || !strings.Contains(why.Error(), tt.want) {
				t.Errorf("%v, want one that begins with %s and has %q", why, field, tt.want)
			}
			if strings.Contains(fmt.Sprint(got.Unreadable), "hunter2") {
				t.Errorf("it quotes a secret: %v", got.Unreadable)
			}
		})
	}
}

func TestFiles_Load_refuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := map[string]struct{ config, wantErr string }{
		"a broken document":        {write("broken", "{"), "the document breaks off"},
		"a path out of the folder": {write("out", naming("../x")), "write a path below the secrets directory"},
		"no document":              {filepath.Join(dir, "none"), "open config: "},
		"a folder":                 {dir, "is not a regular file: write the configuration into one"},
		"a huge document":          {write("huge", strings.Repeat(" ", MaxBytes+1)), "is larger than 4194304 bytes: serve fewer endpoints with it"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := (Files{Config: tt.config, SecretsDir: dir}).Load(); err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Fatalf("error is %v, want one with %q", err, tt.wantErr)
			}
		})
	}
}

func TestEndpoint_namedFiles(t *testing.T) {
	e := Endpoint{
		Source: Source{Lazada: &Lazada{AppSecretFiles: []SecretFile{"a", "b"}}, TencentIM: &TencentIM{TokenFiles: []SecretFile{"c"}}},
		Target: Target{BearerTokenFile: "d", CABundleFile: "e", SigningSecretFile: "f"},
	}
	for field, file := range map[string]SecretFile{
		"source.lazada.appSecretFiles[0]": "a", "source.lazada.appSecretFiles[1]": "b", "source.tencentIM.tokenFiles[0]": "c",
		"target.bearerTokenFile": "d", "target.caBundleFile": "e", "target.signingSecretFile": "f",
	} {
		snap := Snapshot{Unreadable: map[SecretFile]string{file: "gone"}}
		if err := snap.Check(&e); err == nil || err.Error() != field+": gone" {
			t.Errorf("Check says %v of the file in %s", err, field)
		}
	}
	if err := (&Snapshot{Unreadable: map[SecretFile]string{"other": "gone"}}).Check(&e); err != nil {
		t.Errorf("Check says %v of another endpoint's file", err)
	}
}

func TestSecrets_neverPrint(t *testing.T) {
	s := Snapshot{Secrets: Secrets{"a": "hunter2"}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if out := fmt.Sprintf(verb, s); strings.Contains(out, "hunter2") {
			t.Errorf("%s prints %s", verb, out)
		}
	}
}

func TestFiles_Load_revision(t *testing.T) {
	longest := strings.Repeat("r", MaxRevisionBytes)
	tests := map[string]struct {
		content       *string
		want, wantErr string
	}{
		"one line":                     {content: new("7-abc"), want: "7-abc"},
		"a trailing line break":        {content: new("7-abc\r\n"), want: "7-abc"},
		"the longest":                  {content: new(longest), want: longest},
		"the longest and a line break": {content: new(longest + "\n"), want: longest},
		"an empty file":                {content: new(""), want: ""},
		"no file":                      {want: ""},
		"too long":                     {content: new(longest + "r"), wantErr: "write one line of at most 256 bytes"},
		"far too long":                 {content: new(strings.Repeat("r", 1<<20)), wantErr: "write one line of at most 256 bytes"},
		"two lines":                    {content: new("a\nb"), wantErr: "write one line of at most 256 bytes"},
		"bytes that are no text":       {content: new("\xff"), wantErr: "write one line of at most 256 bytes"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"config.json": `{"endpoints": []}`}
			if tt.content != nil {
				files["revision"] = *tt.content
			}
			v := newVolume(t, files)
			got, err := Files{Config: filepath.Join(v.dir, "config.json"), Revision: filepath.Join(v.dir, "revision")}.Load()
			if (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Fatalf("error is %v, want %q", err, tt.wantErr)
			}
			if got.Revision != tt.want {
				t.Errorf("revision is %q, want %q", got.Revision, tt.want)
			}
		})
	}

	v := newVolume(t, map[string]string{"config.json": `{"endpoints": []}`})
	f := Files{Config: filepath.Join(v.dir, "config.json")}
	if got, err := f.Load(); err != nil || got.Revision != "" {
		t.Errorf("without a name of the file the revision is %q, error %v", got.Revision, err)
	}
	f.Revision = v.dir
	if _, err := f.Load(); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("error for a folder is %v, want one that says so", err)
	}
}
