package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// explain says what to write instead of what an error is about; nothing if another error at the same field says it better. It never
// quotes a value but a wrong word among a few: a credential may stand in a wrong place.
func (d *definition) explain(err *field.Error, all field.ErrorList) string {
	what := err.Detail
	switch err.Type {
	case field.ErrorTypeRequired:
		what = "is missing: " + firstSentence(d.at(err.Field))
	case field.ErrorTypeTypeInvalid:
		found, _ := err.BadValue.(string) // The library tells the type that it found as a string.
		what = explainType(d.at(err.Field), found)
	case field.ErrorTypeNotSupported:
		what = fmt.Sprintf("write %s instead of %q", enumWords(d.at(err.Field)), fmt.Sprint(err.BadValue))
	case field.ErrorTypeDuplicate:
		what = "is listed twice: remove one"
	default:
		if technical.MatchString(what) && slices.ContainsFunc(all, func(o *field.Error) bool { return o != err && o.Field == err.Field }) {
			return ""
		}
		for _, p := range plainWords {
			what = p.technical.ReplaceAllString(what, p.words)
		}
	}
	if err.Field == "" || err.Field == "<nil>" {
		return what
	}
	return err.Field + ": " + what
}

// technical is what the libraries say about a field where a rule or a type error says what to do.
var technical = regexp.MustCompile(`should match '|for an array of list-type map$`)

// plainWords turn what the libraries say into what to write.
var plainWords = []struct {
	technical *regexp.Regexp
	words     string
}{
	{regexp.MustCompile(`^\S+ in body `), ""},
	{regexp.MustCompile(`^should be greater than or equal to (\S+)$`), "write $1 or more"},
	{regexp.MustCompile(`^should be less than or equal to (\S+)$`), "write $1 or less"},
	{regexp.MustCompile(`^should have at least 1 items$`), "list at least one, or leave it out"},
	{regexp.MustCompile(`^must have at most (\d+) items$`), "list $1 at most"},
	{regexp.MustCompile(`^should be at least 1 chars long$`), "is empty: write it, or leave it out"},
}

// explainUnknown says nothing if the field's parent is not an object: that is reported anyway.
func (d *definition) explainUnknown(path string) string {
	parent, name := "", path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		parent, name = path[:i], path[i+1:]
	}
	s := d.at(parent)
	if s == nil || s.Type != "object" {
		return ""
	}
	return unknownField(name, slices.Sorted(maps.Keys(s.Properties)))
}

// unknownField says which of the known fields to write instead.
func unknownField(name string, known []string) string {
	for _, k := range known {
		if plain(k) == plain(name) {
			return "unknown field: write " + k
		}
	}
	return "unknown field: what can stand here is " + strings.Join(known, ", ")
}

// plain is a field's name without what people most often get wrong: case, hyphens, underscores, a plural.
func plain(name string) string {
	return strings.TrimSuffix(strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name)), "s")
}

var pathStep = regexp.MustCompile(`[^.\[\]]+`)

// at returns the schema of a field by its path; nil if there is none.
func (d *definition) at(path string) *schema.Structural {
	s := d.structural
	for _, step := range pathStep.FindAllString(path, -1) {
		if s.Items != nil {
			s = s.Items // the step is an index
			continue
		}
		next, ok := s.Properties[step]
		if !ok {
			return nil
		}
		s = &next
	}
	return s
}

// firstSentence of a field's description.
func firstSentence(s *schema.Structural) string {
	if s == nil {
		return "write it"
	}
	text := strings.Join(strings.Fields(s.Description), " ")
	if i := strings.Index(text, ". "); i >= 0 {
		text = text[:i]
	}
	return strings.TrimSuffix(text, ".")
}

// typeWords are the types of JSON as people call them.
var typeWords = map[string]string{
	"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a list", "object": "an object",
	"bool": "true or false",
}

// explainType says what to write where a value of the JSON type found stands.
func explainType(s *schema.Structural, found string) string {
	if s == nil {
		return "has the wrong type"
	}
	want := "write " + typeWords[s.Type]
	scalar := found == "integer" || found == "number" || found == "boolean"
	switch {
	case s.Type == "string" && scalar && len(s.XValidations) > 0:
		return "put it in quotes: " + s.XValidations[0].Message
	case s.Type == "string" && scalar:
		return want + ": put it in quotes"
	case found == "string" && (s.Type == "integer" || s.Type == "number" || s.Type == "boolean"):
		return want + ", without quotes"
	case s.Type == "array":
		return want + `: begin each item with "- "`
	case s.Type == "object":
		return want + " with " + strings.Join(slices.Sorted(maps.Keys(s.Properties)), ", ")
	default:
		return want
	}
}

func enumWords(s *schema.Structural) string {
	if s == nil || s.ValueValidation == nil {
		return "another word"
	}
	var words []string
	for _, e := range s.ValueValidation.Enum {
		words = append(words, fmt.Sprint(e.Object))
	}
	return strings.Join(words, " or ")
}

var unknownStrict = regexp.MustCompile(`^unknown field "(.*?)([^."]+)"$`)

// explainDecode says what to write where an object does not decode into its Go type. The schema has nothing on metadata and on Secrets.
func explainDecode(err error, known ...string) string {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if t.Type.Kind().String() == "string" {
			return t.Field + ": write text: put it in quotes"
		}
		return fmt.Sprintf("%s: %s cannot stand here", t.Field, typeWords[t.Value])
	}
	text := strings.TrimPrefix(err.Error(), "json: ")
	m := unknownStrict.FindStringSubmatch(text)
	switch {
	case m == nil:
		return text
	case m[1] == "" && known != nil:
		return m[2] + ": " + unknownField(m[2], known)
	default:
		return m[1] + m[2] + ": unknown field"
	}
}
