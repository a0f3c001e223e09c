package local

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	kjson "sigs.k8s.io/json"

	"github.com/hookbay/hookbay/controllers/manifests"
	"github.com/hookbay/hookbay/receiver/config"
)

// secretObject is a Secret and where it was found. It never prints its values.
type secretObject struct {
	where           string
	namespace, name string
	values          map[string]string
	// broken says that the Secret itself was refused, so that nothing more is said about missing keys.
	broken bool
}

func (s *secretObject) key() string { return s.namespace + "/" + s.name }

// readSecret reads a v1 Secret: data is base64, stringData is plain and wins. No problem it reports quotes a value.
func readSecret(m *manifest) (secretObject, error) {
	problems := setNamespace(m)
	s := secretObject{where: m.where, values: map[string]string{}}
	s.namespace, s.name = objectName(m)
	if s.name == "" && problems == nil {
		problems = append(problems, "metadata.name: is missing: write the name that the endpoint's reference has")
	}
	problems = append(problems, s.readValues(m, "data", fromBase64)...)
	problems = append(problems, s.readValues(m, "stringData", func(v string) (string, error) { return v, nil })...)
	if len(problems) == 0 {
		problems = append(problems, unknownSecretFields(m)...)
	}
	s.broken = len(problems) > 0
	return s, objectError(m, "Secret", problems)
}

func (s *secretObject) readValues(m *manifest, name string, read func(string) (string, error)) (problems []string) {
	field, ok := m.content[name]
	if !ok || field == nil {
		return nil
	}
	values, ok := field.(map[string]any)
	if !ok {
		return []string{name + ": write one line for each key, as in token: …"}
	}
	for _, k := range slices.Sorted(maps.Keys(values)) {
		at := name + "." + k
		text, ok := values[k].(string)
		if !ok && values[k] != nil { // null is an empty value
			problems = append(problems, at+": write text: put it in quotes")
			continue
		}
		if msgs := validation.IsConfigMapKey(k); len(msgs) > 0 {
			problems = append(problems, at+": not a key that a Secret can have: use letters, digits, hyphens, underscores and dots")
		}
		value, err := read(text)
		if err != nil {
			problems = append(problems, at+": "+err.Error())
		}
		s.values[k] = config.TrimLineBreak(value)
	}
	return problems
}

func fromBase64(text string) (string, error) {
	value, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", errors.New("not base64: write plain text under stringData instead of data")
	}
	return string(value), nil
}

// unknownSecretFields decodes the Secret strictly, which finds misspelt fields; its values are right by now.
func unknownSecretFields(m *manifest) []string {
	data, err := m.encode()
	if err != nil {
		return []string{err.Error()}
	}
	var problems []string
	strict, err := kjson.UnmarshalStrict(data, &corev1.Secret{})
	if err != nil {
		problems = append(problems, explainDecode(err, "data", "immutable", "metadata", "stringData", "type"))
	}
	for _, err := range strict {
		problems = append(problems, explainDecode(err, "data", "immutable", "metadata", "stringData", "type"))
	}
	return problems
}

func secretsByName(secrets []secretObject) map[string]*secretObject {
	byName := make(map[string]*secretObject, len(secrets))
	for i := range secrets {
		byName[secrets[i].key()] = &secrets[i]
	}
	return byName
}

// lookUp returns the value that a reference names, or what to do about it.
func lookUp(known map[string]*secretObject, namespace string, ref manifests.SecretRef) (value, problem string) {
	s, ok := known[namespace+"/"+ref.Name]
	if !ok {
		for _, key := range slices.Sorted(maps.Keys(known)) {
			if other := known[key]; other.name == ref.Name {
				return "", fmt.Sprintf("Secret %s is in namespace %s (%s): move it to namespace %s, where the endpoint is",
					ref.Name, other.namespace, other.where, namespace)
			}
		}
		return "", fmt.Sprintf("Secret %s/%s is missing: add it to the files, with the key %s", namespace, ref.Name, ref.Key)
	}
	value, ok = s.values[ref.Key]
	switch {
	case s.broken:
		return "", ""
	case !ok && len(s.values) == 0:
		return "", fmt.Sprintf("Secret %s (%s) holds nothing: add the key %s under stringData", s.key(), s.where, ref.Key)
	case !ok:
		return "", fmt.Sprintf("Secret %s (%s) has no key %s: add it, or write one of %s", s.key(), s.where, ref.Key,
			strings.Join(slices.Sorted(maps.Keys(s.values)), ", "))
	case value == "":
		return "", fmt.Sprintf("Secret %s (%s): the key %s is empty: put the credential into it", s.key(), s.where, ref.Key)
	case !utf8.ValidString(value): // what base64 makes of a credential that is none
		return "", fmt.Sprintf("Secret %s (%s): the key %s is not text: write plain text under stringData, or text in base64 under data",
			s.key(), s.where, ref.Key)
	}
	return value, ""
}
