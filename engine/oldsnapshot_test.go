package engine

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/engine/snapshot"
	"github.com/rapport-engine/rapport/streams"
)

// keptPartition is a partition's snapshot in testdata.
type keptPartition struct {
	Meta     snapshot.Meta
	State    []byte
	Profiles map[string][]byte
}

// TestOldSnapshots takes up partitions from the snapshots that binaries of earlier
// versions of the fold wrote, goes on for a year, and starts again from what it wrote
// then. The file of a new version is written where there is none yet.
func TestOldSnapshots(t *testing.T) {
	for version := 2; version <= foldVersion; version++ {
		t.Run(fmt.Sprint("fold", version), func(t *testing.T) {
			kept := keptSnapshots(t, version)
			s := newSimulation(t, len(kept))
			clock := int64(0)
			for p, old := range kept {
				old.Meta.State = old.State
				s.saved[p].meta, s.saved[p].profiles = old.Meta, maps.Clone(old.Profiles)
				s.restart(t, p)
				w := s.workers[p]
				if w.state.Offset != old.Meta.Offset || w.state.Now == 0 || len(w.state.Watermarks) == 0 {
					t.Errorf("partition %d goes on with %+v", p, w.state)
				}
				if w.store.Len() != len(old.Profiles) || len(old.Profiles) == 0 {
					t.Errorf("partition %d: %d profiles of %d", p, w.store.Len(), len(old.Profiles))
				}
				s.logs[p] = make([]streams.Record, w.state.Offset)
				clock = max(clock, w.state.Now)
			}
			r := rand.New(rand.NewPCG(1, uint64(version)))
			for p := range kept {
				s.append(int32(p), streams.Record{Headers: []streams.Header{{Key: streams.HeaderClock, Value: HistoryTick(clock + 365*24*3_600_000)}}})
			}
			s.run(t, r, false)
			before := s.profiles()
			for p := range kept {
				s.snapshot(t, p)
				if s.saved[p].meta.Fold != foldVersion {
					t.Errorf("partition %d is still of version %d", p, s.saved[p].meta.Fold)
				}
				s.restart(t, p)
			}
			if !maps.Equal(before, s.profiles()) {
				t.Error("customers differ after a restart")
			}
		})
	}
}

// keptSnapshots reads the snapshots of a version of the fold.
func keptSnapshots(t *testing.T, version int) []keptPartition {
	t.Helper()
	name := filepath.Join("testdata", fmt.Sprintf("snapshot-%d.json", version))
	data, err := os.ReadFile(name)
	if os.IsNotExist(err) && version == foldVersion {
		data = writeSnapshots(t, name)
	} else if err != nil {
		t.Fatal(err)
	}
	var kept []keptPartition
	if err := json.Unmarshal(data, &kept); err != nil {
		t.Fatal(err)
	}
	return kept
}

// writeSnapshots keeps the snapshots of a random history in a file.
func writeSnapshots(t *testing.T, name string) []byte {
	t.Helper()
	r := rand.New(rand.NewPCG(5, 5))
	s := newSimulation(t, 2)
	s.write(randomHistory(r, true), func() {})
	s.run(t, r, false)
	kept := make([]keptPartition, len(s.saved))
	for p := range kept {
		s.snapshot(t, p)
		kept[p] = keptPartition{s.saved[p].meta, s.saved[p].meta.State, s.saved[p].profiles}
		t.Logf("partition %d: %d profiles, %s", p, len(kept[p].Profiles), slices.Sorted(maps.Keys(kept[p].Profiles))[0])
	}
	data, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return data
}
