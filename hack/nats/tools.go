//go:build tools

package nats

// The program that Binary builds: this keeps its module in go.mod, whatever else imports of it.
import _ "github.com/nats-io/nats-server/v2"
