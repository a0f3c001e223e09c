package source

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/hookbay/hookbay/receiver/config"
)

func TestHMACKeys_Match(t *testing.T) {
	keys := []string{"first", "second", strings.Repeat("long", 100), "second"}
	tests := map[string]struct {
		key  string
		want int
	}{
		"the first key":           {"first", 0},
		"the first of two equals": {"second", 1},
		"a key beyond a block":    {keys[2], 2},
		"none of them":            {"third", -1},
		"nearly one of them":      {"first ", -1},
	}
	k := NewHMACKeys(keys)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			mac := hmac.New(sha256.New, []byte(test.key))
			mac.Write([]byte("appbody"))
			sum := [sha256.Size]byte(mac.Sum(nil))
			for range 3 { // states are used again
				if got := k.Match(&sum, []byte("app"), []byte("body")); got != test.want {
					t.Errorf("Match = %d, want %d", got, test.want)
				}
			}
			sum[31] ^= 1
			if got := k.Match(&sum, []byte("app"), []byte("body")); got != -1 {
				t.Errorf("Match of a changed sum = %d", got)
			}
		})
	}
	var none [sha256.Size]byte
	if got := NewHMACKeys(nil).Match(&none); got != -1 {
		t.Errorf("Match without keys = %d", got)
	}
}

func TestHMACKeys_concurrent(t *testing.T) {
	k := NewHMACKeys([]string{"other", "key"})
	var done sync.WaitGroup
	for worker := range 8 {
		done.Go(func() {
			for i := range 100 {
				text := fmt.Append(nil, worker, i)
				mac := hmac.New(sha256.New, []byte("key"))
				mac.Write(text)
				sum := [sha256.Size]byte(mac.Sum(nil))
				if got := k.Match(&sum, text); got != 1 {
					t.Errorf("Match = %d, want 1", got)
				}
			}
		})
	}
	done.Wait()
}

func TestParseDigest(t *testing.T) {
	sum := sha256.Sum256([]byte("x"))
	digits := fmt.Sprintf("%x", sum)
	for text, want := range map[string]bool{
		digits:                  true,
		strings.ToUpper(digits): true,
		" \t" + digits + "\r\n": true,
		digits[:32] + strings.ToUpper(digits[32:]): true,
		digits[1:]:                      false,
		digits + "0":                    false,
		digits[:32] + " " + digits[33:]: false,
		"g" + digits[1:]:                false,
		"0x" + digits[2:]:               false,
		digits[2:] + "é":                false,
		"":                              false,
	} {
		got, ok := ParseDigest(text)
		if ok != want || ok && got != sum {
			t.Errorf("ParseDigest(%q) = %x, %t, want %t", text, got, ok, want)
		}
	}
}

func TestCredentials(t *testing.T) {
	secrets := config.Secrets{"a": "tops3cret", "b": "two", "blank": "\t", "empty": "",
		"large": strings.Repeat("x", config.MaxCredentialBytes), "tooLarge": strings.Repeat("x", config.MaxCredentialBytes+1)}
	if got, err := Credentials(secrets, "f", []config.SecretFile{"b", "a", "large"}); err != nil || got[0] != "two" || got[1] != "tops3cret" {
		t.Errorf("got %d credentials, %v", len(got), err)
	}
	for name, files := range map[string][]config.SecretFile{
		`f: secret file "tooLarge" holds 16385 bytes, and a credential has 16384 at most`: {"a", "tooLarge"},
		`f: secret file "c" is missing`:      {"a", "c"},
		`f: secret file "empty" is empty`:    {"empty"},
		`f[1]: secret file "blank" is blank`: {"a", "blank"},
		"f: 5 credentials are too many":      {"a", "a", "a", "a", "a"},
	} {
		_, err := Credentials(secrets, "f", files)
		if err == nil || !strings.HasPrefix(err.Error(), name) || strings.Contains(err.Error(), "tops3cret") {
			t.Errorf("got error %v, want %s", err, name)
		}
	}
}
