package sources

import (
	"strings"
	"testing"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/sources/lazada"
	"github.com/hookbay/hookbay/receiver/sources/tencentim"
)

func TestNew(t *testing.T) {
	secrets := config.Secrets{"key": "x"}
	files := []config.SecretFile{"key"}
	lzd := &config.Lazada{AppKey: "1", AppSecretFiles: files}
	tim := &config.TencentIM{SDKAppID: 1, TokenFiles: files}
	tests := map[string]struct {
		cfg       config.Source
		want      string
		wantError string
	}{
		"Lazada":                {config.Source{Type: "Lazada", Lazada: lzd}, "lazada", ""},
		"Tencent IM":            {config.Source{Type: "TencentIM", TencentIM: tim}, "tencentim", ""},
		"an unknown type":       {config.Source{Type: "lazada", Lazada: lzd}, "", `source.type: "lazada" is unknown: write "Lazada" or "TencentIM"`},
		"no type":               {config.Source{}, "", "source.type"},
		"a missing member":      {config.Source{Type: "Lazada", TencentIM: tim}, "", "source.lazada: is missing"},
		"the other one missing": {config.Source{Type: "TencentIM", Lazada: lzd}, "", "source.tencentIM: is missing"},
		"a mistake within":      {config.Source{Type: "Lazada", Lazada: &config.Lazada{AppSecretFiles: files}}, "", "lazada.appKey"},
		"another within":        {config.Source{Type: "TencentIM", TencentIM: &config.TencentIM{TokenFiles: files}}, "", "tencentIM.sdkAppID"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := New(test.cfg, secrets)
			sim, simErr := NewSimulator(test.cfg, secrets)
			if test.wantError != "" {
				for _, err := range []error{err, simErr} {
					if err == nil || !strings.Contains(err.Error(), test.wantError) {
						t.Errorf("got error %v, want one with %q", err, test.wantError)
					}
				}
				if s != nil || sim != nil {
					t.Error("an error comes with a value that is not nil")
				}
				return
			}
			if err != nil || simErr != nil {
				t.Fatal(err, simErr)
			}
			_, isLazada := s.(*lazada.Source)
			_, simIsLazada := sim.(*lazada.Simulator)
			_, isTencent := s.(*tencentim.Source)
			_, simIsTencent := sim.(*tencentim.Simulator)
			if isLazada != (test.want == "lazada") || simIsLazada != isLazada || isTencent == isLazada || simIsTencent != isTencent {
				t.Errorf("got %T and %T, want those of %s", s, sim, test.want)
			}
		})
	}
}
