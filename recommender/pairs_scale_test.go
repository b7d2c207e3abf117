package recommender

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
)

const (
	scaleItems  = 50_000
	scaleTopic  = 100 // items that are viewed together
	scaleSample = 40
)

// pairsOffered is how many pairs the test below offers: RAPPORT_PAIRS, by default half a
// million.
func pairsOffered(t *testing.T) int {
	text := os.Getenv("RAPPORT_PAIRS")
	if text == "" {
		return 500_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("RAPPORT_PAIRS: must be a number, not %q", text)
	}
	return n
}

// exactSample counts pairs of some items exactly, and views of all.
type exactSample struct {
	views [scaleItems]float64
	with  map[uint32]map[uint32]float64
}

func (x *exactSample) similarity(i, j uint32) float64 {
	return x.with[i][j] / math.Sqrt((x.views[i]+shrinkage)*(x.views[j]+shrinkage))
}

// best is the sum of the similarities of the 20 most similar, and of some others.
func (x *exactSample) best(i uint32, others []scored) (most, got float64) {
	var all []float64
	for j := range x.with[i] {
		all = append(all, x.similarity(i, j))
	}
	slices.Sort(all)
	for _, s := range all[max(0, len(all)-20):] {
		most += s
	}
	for _, c := range others {
		got += x.similarity(i, c.item)
	}
	return most, got
}

// Shoppers view items of a topic, some far more than others, and one of four views is of
// anything. Whatever is offered, an item has at most its 64 neighbours, and the best 20 of
// them are all but as good as an exact count's.
func TestViewedTogetherWithinItsMemory(t *testing.T) {
	offered := pairsOffered(t)
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	popular := rand.NewZipf(rnd, 1.2, 4, scaleItems-1)
	within := rand.NewZipf(rnd, 1.1, 8, scaleTopic-1)
	m := newModels(ptr(Config{Sessions: 1 << 10, Customers: 16, Places: 16, Touched: 16, PastSessions: 16}.withDefaults()), newTable())
	for i := range scaleItems {
		m.ids.intern(fmt.Sprint(i), 0)
	}
	x := &exactSample{with: map[uint32]map[uint32]float64{}}
	for n := range scaleSample { // of popular topics and of others, at each popularity
		x.with[uint32(n*n*25+n%7*n)] = map[uint32]float64{} //nolint:gosec // below 50,000
	}
	for pairs := 0; pairs < offered; {
		var se session
		topic := popular.Uint64() / scaleTopic * scaleTopic
		for range 2 + rnd.IntN(8) {
			i := uint32(topic + within.Uint64()) //nolint:gosec // below 50,000
			if rnd.IntN(4) == 0 {
				i = uint32(popular.Uint64()) //nolint:gosec // as above
			}
			if slices.Contains(se.items[:se.n], i) {
				continue
			}
			m.meet(m.viewed, i, &se, start, 1)
			x.views[i]++
			for _, j := range se.items[:se.n] {
				pairs++
				x.note(i, j)
				x.note(j, i)
			}
			se.push(i)
		}
	}
	x.check(t, m)
}

func (x *exactSample) note(i, j uint32) {
	if with := x.with[i]; with != nil {
		with[j]++
	}
}

// check compares the sample and bounds the memory.
func (x *exactSample) check(t *testing.T, m *models) {
	st := m.viewed.state.Load()
	bytes, most, got, compared := 0, 0.0, 0.0, 0
	for i := range st.items.len() {
		if r := st.items.get(i).row.Load(); r != nil {
			bytes += 8*len(r.slots) + 4*len(r.errs) + 48
			if len(r.slots) > m.viewed.slots {
				t.Fatalf("item %d has %d neighbours", i, len(r.slots))
			}
		}
	}
	if limit := scaleItems * (12*m.viewed.slots + 64); bytes > limit {
		t.Errorf("%d bytes, more than %d", bytes, limit)
	}
	for i := range x.with {
		var s scores
		s.reset(m.viewed.slots)
		st.score(i, 1, shrinkage, &s)
		a, b := x.best(i, s.rank(m.ids, 20))
		if a > 0 {
			most, got, compared = most+a, got+b, compared+1
		}
	}
	t.Logf("%d items compared: %.4f of the exact best 20; %d bytes", compared, got/most, bytes)
	if compared < scaleSample/2 || got < 0.98*most {
		t.Errorf("%d items compared: the best 20 are %.4f of the exact ones", compared, got/most)
	}
}
