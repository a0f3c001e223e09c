package disk_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/hookbay/hookbay/receiver/buffer"
	"github.com/hookbay/hookbay/receiver/buffer/buffertest"
	"github.com/hookbay/hookbay/receiver/buffer/disk"
)

func TestConformance(t *testing.T) {
	buffertest.Run(t, buffertest.Engine{New: func(t *testing.T, now func() time.Time) buffertest.Place {
		dir := t.TempDir()
		return buffertest.Place{
			Open: func(t *testing.T) buffer.Buffer {
				t.Helper()
				b, err := disk.Open(disk.Options{Dir: dir, Now: now, SweepInterval: -1, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
				if err != nil {
					t.Fatal(err)
				}
				return b
			},
			Sweep: func(t *testing.T, b buffer.Buffer) {
				t.Helper()
				if err := b.(*disk.Buffer).Sweep(); err != nil {
					t.Fatal(err)
				}
			},
		}
	}})
}
