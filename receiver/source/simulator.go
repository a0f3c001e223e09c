package source

import (
	"net/textproto"
	"time"
)

// Sample is a callback as the platform documents it.
type Sample struct {
	// Name is what people type: "message-19", "C2C.CallbackAfterSendMsg".
	Name string
	// Body is the callback's body.
	Body []byte
}

// Signed is what a platform adds to a body to prove that it is the sender.
type Signed struct {
	// Query is the raw query string, empty if the platform uses none.
	Query string
	// Header holds the platform's headers under their canonical names.
	Header textproto.MIMEHeader
}

// Simulator plays a platform: it signs as the platform does and judges the answer as the platform would. `hookbay send` and the
// conformance suite are its users.
type Simulator interface {
	// Samples lists the recorded callbacks; the first is what is sent when none is named.
	Samples() []Sample

	// Vary returns the sample's body as event number n (from 0) of subject number subject (from 0): other numbers are other events,
	// other subjects other subjects, and the platform's own time rises with n. A sample that cannot be varied is returned as it is.
	Vary(sample Sample, n, subject int) []byte

	// Sign proves body with the endpoint's first credential, at the time now.
	Sign(body []byte, now time.Time) (Signed, error)

	// Judge returns nil if the platform would call the answer a success, else what it would object to. The time limit
	// is AnswerWithin's, judged by the caller.
	Judge(status int, body []byte) error

	// AnswerWithin is the platform's time limit.
	AnswerWithin() time.Duration
}
