//go:build !unix

package config

// nonBlocking is nothing where no file can be a pipe.
const nonBlocking = 0
