// Package jetstream is the buffer engine in NATS JetStream: one stream for each endpoint, any number of receivers.
package jetstream
