package sources

import (
	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/source"
	"github.com/hookbay/hookbay/receiver/sources/lazada"
	"github.com/hookbay/hookbay/receiver/sources/tencentim"
)

// Unavailable returns the source that cfg describes without its credentials: it refuses every callback with refusal, in the platform's own words.
func Unavailable(cfg config.Source, refusal *source.Refusal) source.Source {
	// Words and time limit are the platform's, whatever the endpoint.
	var words source.Source = &lazada.Source{}
	if cfg.Type == config.SourceTencentIM {
		words = &tencentim.Source{}
	}
	return &unavailable{Source: words, refusal: refusal}
}

type unavailable struct {
	source.Source
	refusal *source.Refusal
}

func (u *unavailable) VerifyHead(*source.Request) (source.Proof, *source.Refusal) {
	return source.Proof{}, u.refusal
}

func (u *unavailable) VerifyBody(*source.Request, source.Proof) (source.Proof, *source.Refusal) {
	return source.Proof{}, u.refusal
}
