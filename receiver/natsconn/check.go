package natsconn

import "github.com/hookbay/hookbay/receiver/config"

// Check says what keeps the credentials that the configuration names from being used, as Connect would, without connecting.
func Check(c config.NATS, s config.Secrets) error {
	_, err := newLogin(&c, s)
	return err
}
