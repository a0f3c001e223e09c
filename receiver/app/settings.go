package app

import (
	"cmp"
	"time"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/config"
	"github.com/hookbay/hookbay/receiver/delivery"
)

// What config.Buffer means by its zero values.
const (
	// defaultWindow is longer than Lazada goes on repeating: 12 times every 30 minutes.
	defaultWindow    = 7 * time.Hour
	defaultRetention = 24 * time.Hour
	// deadRetention gives people two weeks to replay a dead letter.
	deadRetention = 14 * 24 * time.Hour
)

// settingsOf are what an endpoint wishes of the buffer.
func settingsOf(e *config.Endpoint) buffer.Settings {
	s := buffer.Settings{
		Unordered:           e.Delivery.Ordering == config.OrderingNone,
		DeduplicationWindow: cmp.Or(time.Duration(e.Buffer.DeduplicationWindow), defaultWindow),
		Retention:           defaultRetention,
		DeadRetention:       deadRetention,
		MaxAge:              delivery.PolicyOf(e.Delivery).MaxAge,
	}
	if e.Buffer.Retention != nil {
		s.Retention = time.Duration(*e.Buffer.Retention)
	}
	return s
}

// bufferBytes is the space that all endpoints whose buffer is on disk may take together; zero, which means what the file system has, if one sets no bound. The
// engine takes it when it opens: a change counts from the next start.
func bufferBytes(c *config.Config) int64 {
	var sum int64
	for i := range c.Endpoints {
		if !onDisk(&c.Endpoints[i]) {
			continue
		}
		n := c.Endpoints[i].Buffer.MaxBytes
		if n == 0 {
			return 0
		}
		sum += n
	}
	return sum
}
