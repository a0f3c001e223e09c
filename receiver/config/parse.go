package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// MaxBytes is the largest document that Parse takes. A ConfigMap holds at most 1 MiB; a local run may serve more endpoints than fit there.
const MaxBytes = 4 << 20

// maxDepth bounds the nesting of the document; the contract needs seven levels.
const maxDepth = 32

// Parse reads a configuration strictly: unknown and repeated fields, and anything after the document, are refused, because whatever is
// silently ignored is a setting that somebody believes to be live. It also checks the result with Validate. Errors name fields and never
// quote values: the document holds no credentials, yet one may have been pasted into it by mistake.
func Parse(data []byte) (Config, error) {
	if len(data) > MaxBytes {
		return Config{}, fmt.Errorf("config is %d bytes: keep it within %d bytes", len(data), MaxBytes)
	}
	if err := refuseRepeatedFields(data); err != nil {
		return Config{}, fmt.Errorf("read config: %w", err)
	}
	var c Config
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("read config: %w", withoutValue(err))
	}
	if c.Endpoints == nil { // An empty document must not take every endpoint away.
		return Config{}, errors.New("read config: endpoints: list the endpoints, write [] for none")
	}
	if err := c.Validate(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// Digest is the hex SHA-256 of the configuration's canonical JSON. It tells people and the control plane which configuration is live;
// it covers no credential, since none is in a Config.
func (c *Config) Digest() string {
	data, err := json.Marshal(c)
	if err != nil { // No field of a Config can fail to marshal.
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// withoutValue keeps what a JSON error says of the place and drops what it quotes.
func withoutValue(err error) error {
	if typ, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := strings.ReplaceAll(typ.Field, ".NATS.", ".") // what is embedded is no level of the document
		return fmt.Errorf("%s: write %s", field, wanted(typ.Type))
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the document breaks off: write the whole of it")
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok { // encoding/json has no type for it
		return fmt.Errorf("field %s is unknown: correct its name or remove it", name)
	}
	return err
}

// wanted says in words what a field of type t takes.
func wanted(t reflect.Type) string {
	if t == reflect.TypeFor[Duration]() {
		return `a duration such as "500ms", "10s" or "1h30m"`
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "a list"
	default:
		return "an object"
	}
}

// refuseRepeatedFields walks the document's tokens once. encoding/json takes the last of several equal names and ignores their case, so
// one of two contradicting settings would win unseen.
func refuseRepeatedFields(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	tok, err := dec.Token()
	if err == nil && tok != json.Delim('{') {
		return errors.New("write one JSON object")
	}
	if err == nil {
		err = walkObject(dec, 1)
	}
	if err != nil {
		return withoutValue(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the document: write one JSON object and nothing else")
	}
	return nil
}

// walkValue reads one value.
func walkValue(dec *json.Decoder, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("the document is nested deeper than %d levels", maxDepth)
	}
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	switch tok {
	case json.Delim('{'):
		return walkObject(dec, depth)
	case json.Delim('['):
		for dec.More() {
			if err := walkValue(dec, depth+1); err != nil {
				return err
			}
		}
		_, err = dec.Token()
	}
	return err
}

// walkObject reads the fields of an object whose brace is already read.
func walkObject(dec *json.Decoder, depth int) error {
	seen := make(map[string]bool)
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return err
		}
		name, ok := tok.(string)
		if !ok {
			return errors.New("a field's name must be a string")
		}
		folded := strings.ToLower(name)
		if seen[folded] {
			return fmt.Errorf("field %q is given twice: keep one", name)
		}
		seen[folded] = true
		if err := walkValue(dec, depth+1); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}
