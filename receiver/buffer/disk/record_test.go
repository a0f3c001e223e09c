package disk

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookbay/hookbay/receiver/event"
)

func sampleRecord(seq uint64) ([]byte, event.Event) {
	e := event.Event{
		ID: event.NewID("a", "b"), Type: "com.lazada.push.19", Source: "//open.lazada.com/apps/100132", Subject: "100094063_2_1011822749_1_103",
		ContentType: event.ContentTypeJSON, Time: time.Unix(1596550789, 323e6).UTC(), Received: time.Unix(1700000000, 1).UTC(),
		Extensions: []event.Extension{{Name: "sellerid", Value: "20240305"}}, Body: []byte(`{"message_type":19}`),
	}
	return seal(appendRecord(nil, &e), seq), e
}

func TestRecord_damage(t *testing.T) {
	sealed, want := sampleRecord(42)
	got, err := decodeRecord(sealed, 42)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("record changed (-want +got):\n%s", diff)
	}
	if _, err := decodeRecord(sealed, 43); !errors.Is(err, errCorrupt) {
		t.Errorf("a record at another's place: %v", err)
	}
	for i := range sealed {
		flipped := bytes.Clone(sealed)
		flipped[i] ^= 0x10
		if _, err := decodeRecord(flipped, 42); !errors.Is(err, errCorrupt) {
			t.Errorf("byte %d flipped: %v", i, err)
		}
		if _, err := decodeRecord(sealed[:i], 42); !errors.Is(err, errCorrupt) {
			t.Errorf("torn after byte %d: %v", i, err)
		}
	}
}

// FuzzDecodeRecord gives the decoder bytes whose checksum is right, so that it has to defend itself, and checks that it keeps within them.
func FuzzDecodeRecord(f *testing.F) {
	sealed, _ := sampleRecord(7)
	f.Add(sealed[:len(sealed)-4])
	f.Add([]byte{recordVersion})
	f.Add(append(bytes.Clone(sealed[:20]), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01))
	f.Fuzz(func(t *testing.T, record []byte) {
		sealed := seal(bytes.Clone(record), 7)
		e, err := decodeRecord(sealed, 7)
		if err != nil {
			if !errors.Is(err, errCorrupt) {
				t.Fatalf("error %v, want errCorrupt", err)
			}
			return
		}
		_, subject, err := recordSubject(sealed)
		if err != nil || string(subject) != e.Subject {
			t.Fatalf("subject read on its own: %q, %v; want %q", subject, err, e.Subject)
		}
		again, err := decodeRecord(seal(appendRecord(nil, &e), 7), 7)
		if err != nil {
			t.Fatalf("what was decoded does not encode: %v", err)
		}
		if diff := cmp.Diff(e, again); diff != "" {
			t.Fatalf("event changed (-want +got):\n%s", diff)
		}
	})
}
