package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/hookbay/hookbay/receiver/buffer"
)

// What a stream's metadata tells. Whoever finds the stream knows by it whose it is.
const (
	metaVersion    = "hookbay.dev/version"
	metaEndpoint   = "hookbay.dev/endpoint"
	metaPartitions = "hookbay.dev/partitions"
	metaSettings   = "hookbay.dev/settings"
)

// formatVersion is the version of everything that doc.go says of the layout.
const formatVersion = "1"

// duplicates is the window of message ids, which are not used.
const duplicates = 2 * time.Minute

// errUnchecked says that a stream is not known to be as it should be.
var errUnchecked = errors.New("it is not checked yet")

// check makes or mends the stream if that was not done yet, and looks at how full it is.
func (q *queue) check(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*requestTimeout)
	defer cancel()
	info, usable, wrong := q.inspect(ctx)
	largest := q.b.nc.MaxPayload()
	if info != nil && info.Config.MaxMsgSize > 0 {
		largest = min(largest, int64(info.Config.MaxMsgSize))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lookedAt = time.Now()
	if usable != nil && !errors.Is(usable, errAway) {
		if q.streamErr == nil || q.streamErr.Error() != usable.Error() {
			q.b.o.Log.Error("Stream cannot be used", "endpoint", q.name, "stream", q.names.stream, "error", usable)
		}
		q.streamErr = usable
		return
	}
	if usable != nil {
		if q.streamErr != nil { // it was never seen as it should be
			if errors.Is(q.streamErr, errUnchecked) {
				q.b.o.Log.Warn("Stream cannot be seen", "endpoint", q.name, "stream", q.names.stream, "error", usable)
			}
			q.streamErr = usable
		}
		return
	}
	if !q.made.Equal(info.Created) { // another one than before
		if !q.made.IsZero() {
			q.b.o.Log.Error("Stream was deleted, with all that waited in it, and made anew: accepted events that were not delivered are gone",
				"endpoint", q.name, "stream", q.names.stream, "waitedHere", slices.Max(q.waited[:]))
		}
		for _, p := range q.parts {
			if p != nil {
				q.lose(p)
			}
		}
		q.made = info.Created
	}
	if wrong != nil && (q.notDeclared == nil || q.notDeclared.Error() != wrong.Error()) {
		q.b.o.Log.Error("Stream is not as declared", "endpoint", q.name, "stream", q.names.stream, "error", wrong)
	}
	q.streamErr, q.notDeclared = nil, wrong
	q.bytes.Store(int64(min(info.State.Bytes, 1<<62))) // bounded
	q.limit.Store(info.Config.MaxBytes)
	q.maxMessage.Store(largest)
	q.since.Store(0)
}

// errAway says that nothing is known of the stream now.
var errAway = errors.New("NATS does not answer")

// inspect returns the stream, why it cannot be used, and what of it is not as declared though it can be used.
func (q *queue) inspect(ctx context.Context) (info *natsjs.StreamInfo, usable, wrong error) {
	s, err := q.b.js.Stream(ctx, q.names.stream)
	if errors.Is(err, natsjs.ErrStreamNotFound) && q.b.o.Stream == "" {
		// A stream that is made again begins beyond the numbers of the former, so that no condition that was meant for that is true in it.
		first := uint64(max(time.Now().UnixMilli(), 1))
		s, err = q.b.js.CreateStream(ctx, q.declared(natsjs.StreamConfig{FirstSeq: first}))
		if errors.Is(err, natsjs.ErrStreamNameAlreadyInUse) {
			s, err = q.b.js.Stream(ctx, q.names.stream) // another receiver was faster
		}
		if err == nil {
			q.b.o.Log.Info("Made a stream", "endpoint", q.name, "stream", q.names.stream)
		}
		err = q.explainDeclared("made", err)
	}
	if err != nil {
		return nil, q.explainStream(err), nil
	}
	info = s.CachedInfo()
	if q.b.o.Stream != "" {
		if of := info.Config.Metadata[metaEndpoint]; of != "" && of != q.name {
			return info, fmt.Errorf("stream: %s is the one that was made for the events of %s: name one of %s's own, or leave stream empty to have one made",
				q.names.stream, of, q.name), nil
		}
		return info, q.checkFound(info.Config), nil
	}
	if usable = q.checkOurs(info.Config); usable != nil {
		return info, usable, nil
	}
	if !q.mayDeclare() {
		return info, q.checkFound(info.Config), q.asDeclared()
	}
	want := q.declared(info.Config)
	if q.same(info.Config, want) {
		return info, q.checkFound(info.Config), nil
	}
	if info.Config.Storage != want.Storage {
		wrong = fmt.Errorf("storage: the stream has %s, which NATS cannot change to %s: write %s, or delete the stream once it is drained",
			storageName(info.Config.Storage), q.b.o.Storage, storageName(info.Config.Storage))
		want.Storage = info.Config.Storage
	}
	if !q.same(info.Config, want) {
		updated, err := q.b.js.UpdateStream(ctx, want)
		var refused *declaredError
		switch err = q.explainDeclared("changed", err); {
		case err == nil:
			info = updated.CachedInfo()
		case errors.As(err, &refused):
			wrong = errors.Join(wrong, err)
		default:
			q.declareSoon()
			return nil, q.explainStream(err), nil
		}
	}
	return info, q.checkFound(info.Config), wrong
}

// declareAgain is after what time somebody else's change to a stream is undone. Receivers that are configured differently, as they are while a change
// is rolled out, must not undo each other's all the time.
const declareAgain = 5 * time.Minute

// mayDeclare says whether it is time to have the stream as declared.
func (q *queue) mayDeclare() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if time.Since(q.declaredAt) < declareAgain {
		return false
	}
	q.declaredAt = time.Now()
	return true
}

// declareSoon has the stream looked at and made as declared at the next opportunity.
func (q *queue) declareSoon() {
	q.mu.Lock()
	q.declaredAt, q.lookedAt = time.Time{}, time.Time{}
	q.mu.Unlock()
}

// asDeclared returns what was not as declared when that was looked at last.
func (q *queue) asDeclared() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.notDeclared
}

func storageName(s natsjs.StorageType) string {
	if s == natsjs.MemoryStorage {
		return Memory
	}
	return File
}

// declared is how the stream should be: as it is, but for what the options and the layout say.
func (q *queue) declared(c natsjs.StreamConfig) natsjs.StreamConfig {
	o := q.b.o
	c.Name, c.Subjects = q.names.stream, []string{q.names.all()}
	c.Description = "Hookbay: the events of " + q.name
	c.Replicas, c.MaxBytes, c.MaxAge = o.Replicas, o.MaxBytes, o.MaxAge
	if c.MaxBytes == 0 {
		c.MaxBytes = -1
	}
	c.Storage = natsjs.FileStorage
	if o.Storage == Memory {
		c.Storage = natsjs.MemoryStorage
	}
	c.Retention, c.Discard, c.DiscardNewPerSubject = natsjs.LimitsPolicy, natsjs.DiscardNew, false
	c.MaxMsgs, c.MaxMsgSize, c.MaxMsgsPerSubject = -1, -1, 1
	c.AllowAtomicPublish, c.AllowMsgTTL, c.AllowDirect = true, true, true
	c.SubjectDeleteMarkerTTL = 0
	c.Duplicates = duplicates
	if c.MaxAge > 0 {
		c.Duplicates = min(c.Duplicates, c.MaxAge)
	}
	meta := map[string]string{}
	maps.Copy(meta, c.Metadata)
	settings, _ := json.Marshal(q.settings()) // it has only booleans and numbers
	meta[metaVersion], meta[metaEndpoint], meta[metaPartitions], meta[metaSettings] = formatVersion, q.name, strconv.Itoa(partitions), string(settings)
	c.Metadata = meta
	return c
}

// same says whether a stream is as it should be.
func (q *queue) same(is, want natsjs.StreamConfig) bool {
	if q.checkFound(is) != nil || is.Replicas != want.Replicas || is.MaxBytes != want.MaxBytes || is.MaxAge != want.MaxAge || is.Storage != want.Storage ||
		is.Duplicates != want.Duplicates {
		return false
	}
	for k, v := range want.Metadata {
		if is.Metadata[k] != v {
			return false
		}
	}
	return true
}

// checkOurs says why a stream that should be this endpoint's is not, or not one that this program knows.
func (q *queue) checkOurs(c natsjs.StreamConfig) error {
	m := c.Metadata
	switch {
	case m[metaEndpoint] == "":
		return fmt.Errorf("a stream of this name is there and was not made by Hookbay: remove it, or name it in stream to have it used as found")
	case m[metaEndpoint] != q.name:
		return fmt.Errorf("it is the stream of another endpoint, %s: use another account or prefix", m[metaEndpoint])
	case m[metaVersion] != formatVersion || m[metaPartitions] != strconv.Itoa(partitions):
		return fmt.Errorf("it has format version %s with %s partitions, and this program knows version %s with %d: run the version that made it until it is drained",
			m[metaVersion], m[metaPartitions], formatVersion, partitions)
	}
	return nil
}

// checkFound says what of a stream's settings must be changed for it to be used.
func (q *queue) checkFound(c natsjs.StreamConfig) error {
	var wrong []string
	need := func(ok bool, what string) {
		if !ok {
			wrong = append(wrong, what)
		}
	}
	covered := false
	for _, s := range c.Subjects {
		covered = covered || s == ">" || s == q.names.all() || strings.HasSuffix(s, ".>") && strings.HasPrefix(q.names.all(), strings.TrimSuffix(s, ">"))
	}
	need(covered, "add "+q.names.all()+" to its subjects")
	need(c.Retention == natsjs.LimitsPolicy, "set retention to limits")
	need(c.Discard == natsjs.DiscardNew && !c.DiscardNewPerSubject, "set discard to new, and not per subject")
	need(c.MaxMsgsPerSubject == 1, "set max_msgs_per_subject to 1")
	need(c.MaxMsgs <= 0, "set max_msgs to -1")
	need(c.AllowAtomicPublish, "set allow_atomic, for which NATS 2.12 or later is needed")
	need(c.AllowMsgTTL, "set allow_msg_ttl")
	need(c.AllowDirect, "set allow_direct")
	need(!c.DenyDelete && !c.DenyPurge && !c.Sealed, "set neither deny_delete nor deny_purge nor sealed")
	need(!c.NoAck, "do not set no_ack")
	need(c.SubjectDeleteMarkerTTL == 0, "set no subject_delete_marker_ttl")
	need(c.PersistMode == natsjs.DefaultPersistMode, "use a stream of the default persist_mode: what async acknowledges can be lost")
	need(c.MaxMsgSize <= 0 || c.MaxMsgSize >= minMessage, fmt.Sprintf("set max_msg_size to -1, or to %d at least", minMessage))
	if least := q.settings().MaxAge; q.b.o.Stream != "" && c.MaxAge > 0 && c.MaxAge < least {
		need(false, fmt.Sprintf("set max_age to 0, or to %s at least: it drops events by their age, and they are delivered for as long", least))
	}
	need(c.Mirror == nil && c.SubjectTransform == nil, "use a stream without mirror and subject_transform")
	if len(wrong) == 0 {
		return nil
	}
	return errors.New("it cannot be used as it is: " + strings.Join(wrong, "; "))
}

// explainStream says what is wrong with a stream that cannot be looked at.
func (q *queue) explainStream(err error) error {
	var declared *declaredError
	switch {
	case errors.Is(err, natsjs.ErrStreamNotFound):
		return fmt.Errorf("stream: there is none of this name: make it, with the subjects %s, or leave stream empty to have one made", q.names.all())
	case errors.Is(err, natsjs.ErrJetStreamNotEnabled):
		return errors.New("the NATS servers have no JetStream: enable it")
	case errors.Is(err, natsjs.ErrJetStreamNotEnabledForAccount):
		return errors.New("the NATS account has no JetStream: enable it for the account")
	case errors.As(err, &declared):
		return err
	case errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("%w: its JetStream is silent: start the servers with JetStream (-js), most of them, and let the user publish to $JS.API.>: %w", errAway, err)
	}
	if why := q.b.connected(); why != nil {
		return fmt.Errorf("%w: %w", errAway, why)
	}
	if why := q.b.nc.LastError(); errors.Is(why, nats.ErrPermissionViolation) {
		return fmt.Errorf("%w: %w", errAway, why)
	}
	return fmt.Errorf("%w: %w", errAway, err)
}

// declaredError is NATS's refusal of what the options say.
type declaredError struct{ err error }

func (e *declaredError) Error() string { return e.err.Error() }
func (e *declaredError) Unwrap() error { return e.err }

// explainDeclared names the field that NATS refuses.
func (q *queue) explainDeclared(done string, err error) error {
	var api *natsjs.APIError
	if err == nil || !errors.As(err, &api) || errors.Is(err, natsjs.ErrJetStreamNotEnabled) || errors.Is(err, natsjs.ErrJetStreamNotEnabledForAccount) {
		return err
	}
	field := ""
	switch api.ErrorCode {
	case 10074, 10005: // not clustered; no suitable peers
		field = fmt.Sprintf("replicas: %d servers cannot be had, write as many as there are, which is 1 if the server is alone: ", q.b.o.Replicas)
	case 10047, 10028, 10002, 10023:
		field = fmt.Sprintf("maxBytes: the account or the servers have no room for %d bytes in %d replicas: ", q.b.o.MaxBytes, q.b.o.Replicas)
	case 10065:
		field = fmt.Sprintf("another stream has subjects that %s has: ", q.names.all())
	}
	return &declaredError{fmt.Errorf("%sit cannot be %s as declared: %s (NATS error %d)", field, done, api.Description, api.ErrorCode)}
}

// settingsOf reads the settings that a stream remembers.
func settingsOf(c natsjs.StreamConfig) (buffer.Settings, error) {
	var s buffer.Settings
	if err := json.Unmarshal([]byte(c.Metadata[metaSettings]), &s); err != nil {
		return s, fmt.Errorf("read the settings in the metadata of stream %s: %w", c.Name, err)
	}
	return s, nil
}
