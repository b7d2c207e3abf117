package pebble

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/rapport-engine/rapport/engine/snapshot"
	"github.com/rapport-engine/rapport/engine/snapshot/snapshottest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	snapshottest.Run(t, func(t *testing.T) func() snapshot.Store {
		dir := t.TempDir()
		return func() snapshot.Store {
			s, err := Open(dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if second, err := Open(dir, Options{}); err == nil {
		second.Close()
		t.Error("opened twice")
	}
}
