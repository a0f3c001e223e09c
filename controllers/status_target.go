package controllers

import (
	"slices"

	hookbayv1alpha1 "github.com/hookbay/hookbay/api/v1alpha1"
	"github.com/hookbay/hookbay/controllers/manifests"
)

// targetDown tells of a target that a receiver finds down, nil if none does. Of several receivers that say why, it is always the same one.
func (r *round) targetDown() *finding {
	var outcomes []string
	for _, a := range r.asked {
		if a.Err == nil && a.TargetDown != "" {
			outcomes = append(outcomes, a.TargetDown)
		}
	}
	if len(outcomes) == 0 {
		return nil
	}
	what := "events wait, and receivers try one at least every 30 s (or when the target's Retry-After says, within 5 minutes); all go on when it is back"
	if !r.stores() {
		what = "callbacks are refused, but for one every 30 s (or when the target's Retry-After says, within 5 minutes) that tries it; all go on when it is back"
	}
	f := bad(hookbayv1alpha1.ReasonTargetDown, "the target is down (%s): %s; what it answers: kubectl logs -n %s -l %s=%s | grep -i deliver",
		downWords(slices.Min(outcomes)), what, r.endpoint.Namespace, manifests.LabelInstance, r.endpoint.Name)
	return &f
}

// downWords says what an outcome of deliveries means. One that is not known, of a newer receiver, stands for itself.
func downWords(outcome string) string {
	switch outcome {
	case "5xx":
		return "it answers 5xx"
	case "throttled":
		return "it answers 429"
	case "timeout":
		return "timeout: it does not answer within target.timeout"
	case "refused":
		return "refused: nobody listens at its address and port"
	case "dns":
		return "dns: its name has no address"
	case "tls":
		return "tls: its certificate is not accepted, or it does not speak TLS"
	case "reset":
		return "reset: it closes connections without an answer"
	case "not_http":
		return "not_http: what comes back is not an HTTP answer"
	case "forbidden_address":
		return "forbidden_address: its name leads to an address that deliveries never go to"
	case "auth":
		return "auth: it refuses the login, or does not let it write there"
	case "no_topic":
		return "no_topic: there is no such topic, or no stream takes the subject"
	case "unavailable":
		return "unavailable: it can't store now: too few replicas, no leader, or no space"
	case "network":
		return "network: connections to it break, or can't be made"
	}
	return outcome
}
