// Package local is Hookbay without a cluster: the commands `hookbay run` and `hookbay send`.
//
// It reads the very manifests that `kubectl apply` takes, defaults and checks them with the definition's own schema and rules, renders
// the same receiver configuration as the controller and runs the same receiver, in the process.
package local
