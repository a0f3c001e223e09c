package target

// The words that Result.Outcome can be, whatever the kind of target. They are few and fixed, so that they are fit for a metric label.
const (
	Outcome2xx = "2xx"
	Outcome3xx = "3xx"
	Outcome4xx = "4xx"
	Outcome5xx = "5xx"
	// OutcomeStored: brokers or a stream have it, on as many of their servers as must.
	OutcomeStored = "stored"
	// OutcomeInvalid: brokers or a stream never take this event, as it is too large, or their rules forbid it.
	OutcomeInvalid = "invalid"
	// OutcomeAuth: the login is refused, or it may not write there.
	OutcomeAuth = "auth"
	// OutcomeNoTopic: there is no such topic, or no stream takes the subject.
	OutcomeNoTopic = "no_topic"
	// OutcomeUnavailable: brokers or a stream answer that they can't store now: too few replicas, no leader, no space.
	OutcomeUnavailable = "unavailable"
	// OutcomeThrottled is the status 429: the target asks for fewer deliveries.
	OutcomeThrottled = "throttled"
	// OutcomeOddStatus is an HTTP status outside 200 to 599.
	OutcomeOddStatus = "odd_status"
	// OutcomeTimeout: no connection or no answer in time.
	OutcomeTimeout = "timeout"
	// OutcomeRefused: nobody listens at the target's address.
	OutcomeRefused = "refused"
	// OutcomeDNS: the target's name has no address.
	OutcomeDNS = "dns"
	// OutcomeTLS: the certificate is not accepted, or the other side does not speak TLS.
	OutcomeTLS = "tls"
	// OutcomeReset: the other side closed the connection without an answer.
	OutcomeReset = "reset"
	// OutcomeNotHTTP: what came back is not an HTTP answer, or has no end.
	OutcomeNotHTTP = "not_http"
	// OutcomeForbiddenAddress: the target's name leads to an address that deliveries never go to.
	OutcomeForbiddenAddress = "forbidden_address"
	// OutcomeNetwork is any other failure to get an answer.
	OutcomeNetwork = "network"
	// OutcomeCancelled: the receiver stopped before the answer came.
	OutcomeCancelled = "cancelled"
)

// Outcomes lists the words that Result.Outcome can be.
func Outcomes() []string {
	return append([]string{Outcome2xx, Outcome3xx, Outcome4xx, OutcomeOddStatus, OutcomeStored, OutcomeInvalid, OutcomeCancelled}, Failures()...)
}

// Failures lists the outcomes that speak of the target as a whole, and not of the one event that was sent: it can't be reached, doesn't answer, or
// says that it can't work.
func Failures() []string {
	return []string{
		Outcome5xx, OutcomeThrottled, OutcomeTimeout, OutcomeRefused, OutcomeDNS, OutcomeTLS, OutcomeReset,
		OutcomeNotHTTP, OutcomeForbiddenAddress, OutcomeNetwork, OutcomeAuth, OutcomeNoTopic, OutcomeUnavailable,
	}
}
