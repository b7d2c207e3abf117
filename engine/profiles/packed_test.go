package profiles

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/rapport-engine/rapport/streams"
)

// plain takes out of a profile what it has only while it is open.
func plain(p *Profile) *Profile {
	p.Scratch, p.PackedCart, p.PackedOrders, p.ReadUsual = nil, nil, nil, ""
	return p
}

// TestPublishedAsKept compares a profile that is encoded and decoded now and then,
// of which most parts are copied as they were read, with one that never is.
func TestPublishedAsKept(t *testing.T) {
	settings := DefaultSettings()
	settings.CartTTL = 40 * 3600e9
	rapid.Check(t, func(t *rapid.T) {
		const id = "user:42"
		own, s, now := newProfile(id), NewStore(), t0
		for _, e := range rapid.Permutation(anyEvents(t)).Draw(t, "arrival") {
			now += rapid.Int64Range(0, 2*dayLen).Draw(t, "passes")
			e.LoggedAt = now
			if rapid.IntRange(0, 3).Draw(t, "other") == 0 {
				e.Identifiers = append(e.Identifiers, parse("anonymous:x"))
			}
			settings.Apply(own, e, now, nil)
			p, _ := s.Open(id)
			settings.Apply(p, e, now, nil)
			if s.Changed(p); rapid.Bool().Draw(t, "publish") {
				s.Publish()
			}
		}
		s.Publish()
		got, _ := s.Read(id)
		if !proto.Equal(plain(got), plain(own)) {
			t.Fatalf("published\n%v\nwant\n%v", got, own)
		}
	})
}

// TestPackedPreferences compares a packed list with a plain one.
func TestPackedPreferences(t *testing.T) {
	name := rapid.StringOfN(rapid.SampledFrom([]rune("abé")), 1, 4, -1)
	rapid.Check(t, func(t *rapid.T) {
		p, want := newProfile("user:42"), []Preference(nil)
		for range rapid.IntRange(1, 60).Draw(t, "n") {
			n, weight, at := name.Draw(t, "name"), float64(rapid.IntRange(1, 5).Draw(t, "weight")), rapid.Int64Range(0, 9).Draw(t, "at")*dayLen
			kept := slices.Clip(p.Brands) // as it would be read
			before, read := string(kept), rapid.Bool().Draw(t, "read")
			if read {
				p.Brands = kept
			}
			p.Brands = p.prefer(p.Brands, n, weight, at)
			if read && string(kept) != before {
				t.Fatal("what was at rest was changed")
			}
			want = preferPlainly(want, n, math.Log2(weight)+float64(at)/halfLife)
			if err := checkPreferences(p.Brands); err != nil {
				t.Fatal(err)
			}
			if got := Preferences(p.Brands); !slices.Equal(got, want) {
				t.Fatalf("after %s: %v, want %v", n, got, want)
			}
		}
	})
}

func preferPlainly(list []Preference, name string, score float64) []Preference {
	if i := slices.IndexFunc(list, func(a Preference) bool { return a.Name == name }); i >= 0 {
		list[i].Score = addScores(float64(list[i].Score), score)
		return list
	}
	if len(list) >= maxAffinities {
		weakest := slices.MinFunc(list, comparePreference)
		if float64(weakest.Score) >= score {
			return list
		}
		list = slices.DeleteFunc(list, func(a Preference) bool { return a == weakest })
	}
	list = append(list, Preference{name, float32(score)})
	slices.SortFunc(list, func(a, b Preference) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// TestPackedIDs compares packed message ids with a plain list.
func TestPackedIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type known struct {
			id   string
			hour int64
		}
		p, all, now := newProfile("user:42"), []known(nil), t0
		limit := rapid.IntRange(0, 8).Draw(t, "limit")
		for range rapid.IntRange(1, 50).Draw(t, "n") {
			now += rapid.Int64Range(-2*hour, 9*hour).Draw(t, "passes")
			id := fmt.Sprint("m", rapid.IntRange(0, 12).Draw(t, "id"))
			for len(all) > 0 && all[0].hour < now/hourMs-24 {
				all = all[1:]
			}
			isNew := !slices.ContainsFunc(all, func(k known) bool { return k.id == id })
			if isNew {
				if limit > 0 && len(all) >= limit {
					all = all[1:]
				}
				i := len(all)
				for i > 0 && all[i-1].hour > now/hourMs {
					i--
				}
				all = slices.Insert(all, i, known{id, now / hourMs})
			}
			kept := slices.Clip(p.Dedupe)
			before, read := string(kept), rapid.Bool().Draw(t, "read")
			if read {
				p.Dedupe = kept
			}
			if got := p.dedupe(id, now, limit); got != isNew {
				t.Fatalf("%s at %d: new is %v, want %v", id, now, got, isNew)
			}
			if read && string(kept) != before {
				t.Fatal("what was at rest was changed")
			}
			if n := countIDs(p.Dedupe); n != len(all) || checkDedupe(p.Dedupe) != nil {
				t.Fatalf("%d ids, want %d", n, len(all))
			}
		}
	})
}

// TestTimelineTexts packs all kinds of ids and reads them back.
func TestTimelineTexts(t *testing.T) {
	const uuid = "0b8f7a52-9f3c-4c1d-8e5a-1f2e3d4c5b6a"
	text := rapid.OneOf(rapid.StringOfN(rapid.SampledFrom([]rune("abc")), 0, 40, -1), rapid.Just("x-"+uuid), rapid.Just(uuid), rapid.Just(strings.Repeat("y", 300)))
	rapid.Check(t, func(t *rapid.T) {
		p := newProfile("user:42")
		var want []Event
		for i := range rapid.IntRange(1, 30).Draw(t, "n") {
			e := event(rapid.SampledFrom([]string{"Product Viewed", "Quiz Finished", "page"}).Draw(t, "name"), t0+int64(i), channel(rapid.SampledFrom([]string{"web", "robot"}).Draw(t, "channel")))
			e.MessageID = text.Draw(t, "id")
			for range rapid.IntRange(0, 3).Draw(t, "items") {
				e.Products = append(e.Products, streams.Line{ID: text.Draw(t, "item"), Quantity: 1, Price: float64(rapid.IntRange(0, 999).Draw(t, "price")) / 1000})
			}
			p.remember(e)
			w := Event{MessageID: cut(e.MessageID, maxText), Type: "track", Name: e.Name, Channel: e.Channel, At: e.At, Value: math.Round(sum(e.Products)*1e4) / 1e4}
			for i := range e.Products {
				if id := e.Products[i].ID; id != "" {
					w.Items = append(w.Items, id)
				}
			}
			want = append(want, w)
			if rapid.Bool().Draw(t, "encode") {
				p = again(t, p)
			}
		}
		slices.Reverse(want)
		want = want[:min(len(want), maxTimeline)]
		got := p.History()
		if len(got) != len(want) {
			t.Fatalf("%d events, want %d", len(got), len(want))
		}
		for i := range want {
			g, w := &got[i], &want[i]
			if g.MessageID != w.MessageID || g.Name != w.Name || g.Channel != w.Channel || g.At != w.At || g.Value != w.Value || !slices.Equal(g.Items, w.Items) {
				t.Fatalf("event %d is %+v, want %+v", i, *g, *w)
			}
		}
	})
}

// FuzzPacked reads any bytes as each of the packed lists: they are refused, or
// can be read and added to.
func FuzzPacked(f *testing.F) {
	p := full(f)
	for _, list := range [][]byte{nil, p.Timeline, p.Dedupe, p.Categories, packInterests(nil, p.Viewed, t0, "web"), {0, 200}} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p := newProfile("user:42")
		if checkTimeline(b) == nil {
			p.Timeline, p.TimelineAt = slices.Clip(b), t0
			for i := range 3 {
				p.remember(event("page", t0+int64(i)))
				p.remember(event("page", t0-int64(i)))
			}
			if len(p.History()) < 2 || checkTimeline(p.Timeline) != nil {
				t.Error("no timeline any more")
			}
		}
		if checkDedupe(b) == nil {
			p.Dedupe = slices.Clip(b)
			if p.dedupe("m", t0, 100); checkDedupe(p.Dedupe) != nil {
				t.Error("no message ids any more")
			}
		}
		if checkPreferences(b) == nil {
			list := p.prefer(p.prefer(slices.Clip(b), "Acme", 1, t0), "Zeta", 5, t0)
			if checkPreferences(list) != nil || checkPreferences(mergePreferences(list, b)) != nil {
				t.Error("no affinities any more")
			}
		}
		if list, err := unpackInterests(nil, b, t0, "web"); err == nil {
			if _, err := unpackInterests(nil, packInterests(nil, list, t0, "web"), t0, "web"); err != nil {
				t.Error(err)
			}
		}
	})
}
