// Package apply makes the children of a WebhookEndpoint be as they are wanted, by server-side apply: it writes only what differs, owns only
// the fields that are wanted, takes over nothing that is somebody else's, and deletes what is no longer wanted.
//
// Whether a live object differs is decided without a request. Its managedFields say which fields our last apply set and nobody has changed
// since; if these are the wanted fields, with the wanted values, there is nothing to do. A value that was changed by hand belongs to whoever
// changed it, so it is missing there, and is put back. A field that is no longer wanted is still ours, and is removed. Fields of others are
// not looked at. For this, the cache that objects are read from must keep their managedFields.
package apply
