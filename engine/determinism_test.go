package engine

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/goccy/go-json"
	"github.com/google/go-cmp/cmp"

	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// folded is all that comes of one partition's log: its state and profiles, byte
// for byte, and its effects in their order, each once.
type folded struct {
	State    string
	Profiles map[string]string
	Effects  []string
}

// TestOneLogGivesOneState folds the logs of random histories again and again,
// all partitions at once, in other batches, with other restarts, and with other
// profiles in memory: all, hardly any, some at random.
func TestOneLogGivesOneState(t *testing.T) {
	var readBack atomic.Int64
	for seed := range uint64(10) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			logs := foldedLogs(t, seed)
			first := refold(t, logs, seed, 0, &readBack)
			for again := range uint64(3) {
				for p, other := range refold(t, logs, seed, again+1, &readBack) {
					if diff := cmp.Diff(first[p], other); diff != "" {
						t.Fatalf("partition %d, fold %d:\n%.3000s", p, again, diff)
					}
				}
			}
		})
	}
	if readBack.Load() < 100 {
		t.Errorf("%d profiles were read back", readBack.Load())
	}
}

// foldedLogs are the logs of a random history with all that it caused.
func foldedLogs(t *testing.T, seed uint64) [][]streams.Record {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 8))
	s := newSimulation(t, 4)
	s.lag = r
	if seed%2 == 0 {
		s.write(randomHistory(r, true), func() {
			if r.IntN(3) == 0 {
				s.some(t, r, true)
			}
		})
		s.run(t, r, true)
		return s.logs
	}
	clock := int64(0)
	for _, e := range smallHistory(r, 1) {
		clock = max(clock, e.logged)
		s.append(streams.Partition(e.identified[0], 4), streams.Record{Key: []byte(e.identified[0]), Value: e.call(),
			Headers: []streams.Header{{Key: streams.HeaderClock, Value: HistoryTick(clock)}}})
		s.some(t, r, true)
	}
	for p := range s.logs {
		s.append(int32(p), streams.Record{Headers: []streams.Header{{Key: streams.HeaderClock, Value: HistoryTick(clock + 100_000_000)}}})
	}
	s.run(t, r, true)
	return s.logs
}

// refold folds logs that are complete: what it causes is only noted.
func refold(t *testing.T, logs [][]streams.Record, seed, again uint64, readBack *atomic.Int64, setups ...func(*simulation)) []folded {
	t.Helper()
	all := make([]folded, len(logs))
	var done sync.WaitGroup
	for p := range logs {
		done.Go(func() { // each partition in a process of its own
			all[p] = refoldPartition(t, logs, p, again, rand.New(rand.NewPCG(seed<<8|again, uint64(p))), readBack, setups)
		})
	}
	done.Wait()
	return all
}

func refoldPartition(t *testing.T, logs [][]streams.Record, p int, again uint64, r *rand.Rand, readBack *atomic.Int64, setups []func(*simulation)) folded {
	t.Helper()
	s := newSimulation(t, len(logs), setups...)
	if memory := again % 3; memory > 0 {
		s.scarce, s.evictAll = r, memory == 1
	}
	effects := map[streams.EffectNumber]string{}
	note := func(_ context.Context, recs []streams.Record, done func(error)) {
		for i := range recs {
			number, text := effectText(&recs[i])
			if before, repeated := effects[number]; repeated && before != text {
				t.Errorf("effect %s came again with another body:\n%s\n%s", number, before, text)
			}
			effects[number] = text
		}
		done(nil)
	}
	restart := func() {
		s.restart(t, p)
		s.workers[p].produce = note
	}
	restart()
	for {
		w := s.workers[p]
		from := int(w.applied.Load())
		if from == len(logs[p]) {
			break
		}
		to := min(len(logs[p]), from+1+r.IntN(40))
		if err := w.process(t.Context(), slices.Clone(logs[p][from:to])); err != nil {
			t.Error(err)
			break
		}
		if r.IntN(4) == 0 {
			s.snapshot(t, p)
		}
		s.evict(p)
		if r.IntN(5) == 0 {
			restart()
		}
	}
	s.snapshot(t, p)
	readBack.Add(s.e.moves.readBack.Load())
	out := folded{State: string(s.saved[p].meta.State), Profiles: map[string]string{}}
	for id, data := range s.saved[p].profiles {
		out.Profiles[id] = string(data)
	}
	for _, number := range slices.SortedFunc(maps.Keys(effects), streams.EffectNumber.Compare) {
		out.Effects = append(out.Effects, effects[number])
	}
	return out
}

// effectText is an effect with all that it says but what was recommended.
func effectText(rec *streams.Record) (streams.EffectNumber, string) {
	number, err := rec.Effect()
	if err != nil {
		panic(err)
	}
	value := string(rec.Value)
	if rec.Topic == kafka.TopicMessages {
		var m streams.Message
		if err := json.Unmarshal(rec.Value, &m); err != nil {
			panic(err)
		}
		m.Recommendations = nil
		body, _ := json.Marshal(&m)
		value = string(body)
	}
	if string(rec.Header(streams.HeaderKind)) == streams.KindStep {
		value = "" // how far it goes is up to the one who writes it
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%d %s %s", rec.Topic, rec.Partition, rec.Key, value)
	for _, h := range rec.Headers {
		fmt.Fprintf(&b, " %s=%s", h.Key, h.Value)
	}
	return number, b.String()
}
