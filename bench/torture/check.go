package torture

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/engine/snapshot"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
)

// Happened returns, of the events sent, those that the log has: a request that
// was not answered 200 may be in or out.
func (l *Log) Happened(sent []*Event) []*Event {
	var list []*Event
	for _, e := range sent {
		at, logged := l.Logged[e.ID]
		if !logged {
			continue
		}
		if e.Ahead {
			copied := *e
			copied.At = at
			e = &copied
		}
		list = append(list, e)
	}
	return list
}

// Lost lists acknowledged events that the log does not have, and events in the
// log that nobody sent.
func (l *Log) Lost(sent []*Event, acked map[string]bool) (differences []string) {
	for _, id := range slices.Sorted(maps.Keys(acked)) {
		if _, logged := l.Logged[id]; !logged {
			differences = append(differences, "acknowledged and not in the log: "+id)
		}
	}
	known := map[string]bool{}
	for _, e := range sent {
		known[e.ID] = true
	}
	for _, id := range slices.Sorted(maps.Keys(l.Logged)) {
		if !known[id] {
			differences = append(differences, "in the log and not sent: "+id)
		}
	}
	return differences
}

// CompareKnown lists the customers of whom another thing is known than wanted, by
// identifier; nil is nothing.
func CompareKnown(want, got map[string]*Known) (differences []string) {
	for _, id := range slices.Sorted(maps.Keys(want)) {
		w, g := want[id], got[id]
		if g == nil {
			differences = append(differences, id+": not known")
			continue
		}
		if diff := w.compare(g); diff != "" {
			differences = append(differences, id+":"+diff)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(got)) {
		if got[id] != nil && want[id] == nil {
			differences = append(differences, fmt.Sprintf("%s: known, though nothing is in the log: %+v", id, *got[id]))
		}
	}
	return differences
}

// compare says in which fields two differ.
func (k *Known) compare(got *Known) string {
	var b strings.Builder
	w, g := reflect.ValueOf(k).Elem(), reflect.ValueOf(got).Elem()
	for i := range w.NumField() {
		name := w.Type().Field(i).Name
		if name == "Tied" || name == "Latest" && k.Tied {
			continue
		}
		want, got := fmt.Sprint(w.Field(i)), fmt.Sprint(g.Field(i))
		if want != got {
			fmt.Fprintf(&b, "\n%s: want %s\n%[1]s: got  %[3]s", name, want, got)
		}
	}
	return b.String()
}

// Story tells what a customer did, in the order of the log, for whoever looks for
// the reason of a difference.
func (l *Log) Story(events []*Event, id string) string {
	known := Model(events)[id]
	if known == nil {
		return ""
	}
	var list []*Event
	for _, e := range events {
		if slices.Contains(known.Identifiers, e.Identifiers[0]) {
			list = append(list, e)
		}
	}
	slices.SortStableFunc(list, func(a, b *Event) int { return cmp.Compare(l.Logged[a.ID], l.Logged[b.ID]) })
	var b strings.Builder
	for _, e := range list {
		fmt.Fprintf(&b, "logged %d at %d %s %v %s %q %d %s %v\n", l.Logged[e.ID], e.At, e.ID, e.Identifiers, e.Name, e.Item, e.Quantity, e.Order, e.Products)
	}
	return b.String()
}

// CompareReceived lists messages that were decided and not received, received and
// not decided, or received with another body.
func CompareReceived(decided []Sent, received map[string]*Receipt) (differences []string) {
	known := map[string]bool{}
	for _, m := range decided {
		known[m.ID] = true
		switch r := received[m.ID]; {
		case r == nil:
			differences = append(differences, "never received: "+m.ID)
		case r.Differs || !bytes.Equal(r.Body, m.Body):
			differences = append(differences, fmt.Sprintf("received with another body: %s\n%s\n%s", m.ID, m.Body, r.Body))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(received)) {
		if !known[id] {
			differences = append(differences, "received and not decided: "+id)
		}
	}
	return differences
}

// CompareFold folds the log as it was written, one partition after another in one
// go, and lists where the messages, the profiles with all that is in them
// (decisions and their reasons, runs, what is counted) and the partitions' own
// state differ from what the processes wrote and what their last snapshots hold.
func CompareFold(ctx context.Context, cfg engine.Config, set *rules.Set, l *Log, store snapshot.Store) (differences []string, err error) {
	decided := map[string]Sent{}
	fold := engine.NewFold(cfg, engine.FoldOptions{Rules: set, Message: func(rec *streams.Record) {
		var m streams.Message
		if err := json.Unmarshal(rec.Value, &m); err != nil {
			panic("BUG: the fold wrote a message that cannot be read: " + err.Error())
		}
		if _, twice := decided[m.ID]; twice {
			differences = append(differences, "decided twice: "+m.ID)
		}
		decided[m.ID] = Sent{m.ID, string(rec.Header(streams.HeaderEffect)), rec.Value}
	}})
	for p, records := range l.Events {
		diff, err := comparePartition(ctx, fold, int32(p), records, store) //nolint:gosec // a number of partitions
		if err != nil {
			return nil, err
		}
		differences = append(differences, diff...)
	}
	return append(differences, compareDecided(decided, l.Messages)...), nil
}

// compareDecided lists messages that the fold decides otherwise than was written.
func compareDecided(want map[string]Sent, got []Sent) (differences []string) {
	for _, m := range got {
		w, ok := want[m.ID]
		if !ok {
			differences = append(differences, "written and not decided by the log: "+m.ID)
			continue
		}
		delete(want, m.ID)
		plain, err := withoutRecommendations(m.Body)
		same, errSame := withoutRecommendations(w.Body)
		if err != nil || errSame != nil || fmt.Sprint(plain) != fmt.Sprint(same) || m.Number != w.Number {
			differences = append(differences, fmt.Sprintf("decided otherwise: %s\nlog     %s %s\nwritten %s %s", m.ID, w.Number, w.Body, m.Number, m.Body))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		differences = append(differences, "decided by the log and not written: "+id)
	}
	return differences
}

// comparePartition folds a partition's log as far as its last snapshot, behind
// which there may be nothing but ticks, and compares byte for byte.
func comparePartition(ctx context.Context, fold *engine.Fold, p int32, records []streams.Record, store snapshot.Store) (differences []string, err error) {
	meta, err := store.Acquire(ctx, p)
	if err != nil {
		return nil, err
	}
	for len(records) > 0 && records[0].Offset < meta.Offset {
		n := 0
		for n < len(records) && n < 1000 && records[n].Offset < meta.Offset {
			n++
		}
		if err := fold.Follow(ctx, slices.Clone(records[:n])); err != nil {
			return nil, err
		}
		records = records[n:]
	}
	for _, rec := range records {
		if len(rec.Value) > 0 {
			differences = append(differences, fmt.Sprintf("record %d of partition %d: is not in the last snapshot, %d: %s", rec.Offset, p, meta.Offset, rec.Value))
		}
	}
	state, blobs, err := fold.Snapshot(p)
	if err != nil {
		return nil, err
	}
	held := map[string][]byte{}
	err = store.Load(ctx, p, func(id string, data []byte) error {
		held[id] = bytes.Clone(data)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(state, meta.State) {
		differences = append(differences, fmt.Sprintf("state of partition %d:\nlog      %s\nsnapshot %s", p, state, meta.State))
	}
	for _, b := range blobs {
		if !bytes.Equal(b.Data, held[b.ID]) {
			differences = append(differences, fmt.Sprintf("profile %s:\nlog      %s\nsnapshot %s", b.ID, readable(b.ID, b.Data), readable(b.ID, held[b.ID])))
		}
		delete(held, b.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(held)) {
		differences = append(differences, fmt.Sprintf("profile %s: in the snapshot only", id))
	}
	return differences, nil
}

// readable is a profile at rest for people.
func readable(id string, data []byte) string {
	if data == nil {
		return "none"
	}
	var p profiles.Profile
	if err := profiles.Decode(id, data, &p); err != nil {
		return err.Error()
	}
	text, err := json.Marshal(&p)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Where is the partition of each message.
func (l *Log) Where() map[string]int32 {
	where := map[string]int32{}
	for _, m := range l.Messages {
		if n, err := streams.ParseEffect(m.Number); err == nil {
			where[m.ID] = n.Partition
		}
	}
	return where
}
