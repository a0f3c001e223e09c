// Package sources lists the source plug-ins. A new one is a folder beside this file and a line in each of the two switches.
package sources

import (
	"fmt"

	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/source"
	"github.com/hookbay/hookbay/receiver/sources/lazada"
	"github.com/hookbay/hookbay/receiver/sources/tencentim"
)

// New returns the source that cfg describes. The error names the field to correct.
func New(cfg config.Source, secrets config.Secrets) (source.Source, error) {
	switch {
	case cfg.Type == config.SourceLazada && cfg.Lazada != nil:
		return asSource(lazada.New(*cfg.Lazada, secrets))
	case cfg.Type == config.SourceTencentIM && cfg.TencentIM != nil:
		return asSource(tencentim.New(*cfg.TencentIM, secrets))
	default:
		return nil, unusable(cfg.Type)
	}
}

// NewSimulator returns the simulator of the platform that cfg describes.
func NewSimulator(cfg config.Source, secrets config.Secrets) (source.Simulator, error) {
	switch {
	case cfg.Type == config.SourceLazada && cfg.Lazada != nil:
		return asSimulator(lazada.NewSimulator(*cfg.Lazada, secrets))
	case cfg.Type == config.SourceTencentIM && cfg.TencentIM != nil:
		return asSimulator(tencentim.NewSimulator(*cfg.TencentIM, secrets))
	default:
		return nil, unusable(cfg.Type)
	}
}

// asSource and asSimulator keep a nil pointer from becoming an interface that is not nil.
func asSource[S source.Source](s S, err error) (source.Source, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

func asSimulator[S source.Simulator](s S, err error) (source.Simulator, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// unusable says why no source was found: its member is missing, or the type is unknown.
func unusable(typ string) error {
	switch typ {
	case config.SourceLazada:
		return fmt.Errorf("source.lazada: is missing: source.type %q needs it", typ)
	case config.SourceTencentIM:
		return fmt.Errorf("source.tencentIM: is missing: source.type %q needs it", typ)
	default:
		return fmt.Errorf("source.type: %q is unknown: write %q or %q", typ, config.SourceLazada, config.SourceTencentIM)
	}
}
