// Package apitest gives tests a real API server: kube-apiserver and etcd as local processes, with Hookbay's CRD installed. It is for
// tests only; no program links it.
//
// A test binary has one API server, which its TestMain starts and stops, and each test a namespace of its own:
//
//	var api apitest.Server
//
//	func TestMain(m *testing.M) { api.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		namespace := api.Namespace(t, nil)
//		err := api.Client.Create(t.Context(), …)
//
// There is nothing around the API server: no controller creates pods, collects garbage or empties a namespace that was deleted, no
// scheduler and no kubelet runs. A test that needs such a deed does it itself, as in setting a Deployment's status.
//
// The programs are those in the folder that KUBEBUILDER_ASSETS names; make test sets it.
package apitest
