package recommender

import "sync/atomic"

// alikeItems is how many neighbours of an item similar keeps.
const alikeItems = 32

// alike is the items of the catalogue that are most like one, best first, as of
// some state of its shelves: of all that likeness compares it with, the first n.
// It holds no pointer and never changes once it is kept.
type alike struct {
	item            uint32
	n               uint32
	made            uint64 // its features' number
	category, brand uint64 // versions of its shelves
	more            bool   // there are others that are less like it
	near            [alikeItems]match
}

type match struct {
	item  uint32
	score float32
}

// alikes keeps the lists that were asked for, one in each place: an item's number
// modulo their count, a power of two, is its place.
type alikes struct {
	ids   *table
	lists []atomic.Pointer[alike]
}

func newAlikes(ids *table, n int) *alikes {
	return &alikes{ids: ids, lists: make([]atomic.Pointer[alike], powerOfTwo(n, 1<<24))}
}

// of returns the neighbours of an item as the catalogue is now: as kept, with what
// changed on its shelves since, or compared with all.
func (a *alikes) of(i uint32, f *features) *alike {
	place := &a.lists[i&uint32(len(a.lists)-1)] //nolint:gosec // at most 2^24
	l := place.Load()
	category, brand := f.category.version(), f.brand.version()
	fits := l != nil && l.item == i && l.made == f.made
	if fits && l.category == category && l.brand == brand {
		return l
	}
	if fits {
		l = a.updated(l, f)
	}
	if !fits || l == nil {
		l = a.compared(i, f)
	}
	l.category, l.brand = category, brand
	place.Store(l)
	return l
}

// features returns what likeness reads of an item, nil when there is none.
func (a *alikes) features(i uint32) *features {
	if now := a.ids.at(i).now.Load(); now != nil {
		return now.features
	}
	return nil
}

// compared is a list made anew.
func (a *alikes) compared(i uint32, f *features) *alike {
	l := &alike{item: i, made: f.made}
	a.each(i, f, func(j uint32, like float32) { l.insert(a.ids, match{j, like}) })
	return l
}

// each calls fn with all items that one is compared with, once each.
func (a *alikes) each(i uint32, f *features, fn func(j uint32, like float32)) {
	w := windowsOf(f)
	a.compare(i, f, w.category, func(g *features) bool { return w.inCategory(f, g) }, fn)
	a.compare(i, f, w.brand, func(g *features) bool { return w.inBrand(f, g) && !w.inCategory(f, g) }, fn)
}

// compare calls fn with those of some items that are let in. It reads a batch of
// them before it compares any, so that the memory behind them is fetched at once.
func (a *alikes) compare(i uint32, f *features, items []uint32, in func(*features) bool, fn func(uint32, float32)) {
	var batch [scoreBatch]*features
	for ; len(items) > 0; items = items[min(scoreBatch, len(items)):] {
		some := items[:min(scoreBatch, len(items))]
		touched := uint32(0)
		for k, j := range some {
			batch[k] = a.features(j)
		}
		for k := range some {
			if g := batch[k]; g != nil && len(g.words) > 0 {
				touched += g.words[0]
			}
		}
		for k, j := range some {
			if g := batch[k]; g != nil && j != i && in(g) {
				fn(j, likeness(f, g))
			}
		}
		_ = touched
	}
}

// updated is a copy of a list with what changed on its shelves since; nil when
// that is forgotten, or when too few of the list are left.
func (a *alikes) updated(l *alike, f *features) *alike {
	var room [2 * shelfLog]uint32
	changed, ok := f.category.since(l.category, room[:0])
	if ok {
		changed, ok = f.brand.since(l.brand, changed)
	}
	if !ok {
		return nil
	}
	next := *l
	w := windowsOf(f)
	next.keep(func(m match) bool { // the windows move on
		g := a.features(m.item)
		return g != nil && (w.inCategory(f, g) || w.inBrand(f, g))
	})
	for _, j := range changed {
		next.keep(func(m match) bool { return m.item != j })
		if g := a.features(j); g != nil && j != l.item && (w.inCategory(f, g) || w.inBrand(f, g)) {
			next.insert(a.ids, match{j, likeness(f, g)})
		}
	}
	if next.more && next.n < alikeItems/2 {
		return nil
	}
	return &next
}

// keep leaves out what does not hold.
func (l *alike) keep(hold func(match) bool) {
	n := uint32(0)
	for _, m := range l.near[:l.n] {
		if hold(m) {
			l.near[n] = m
			n++
		}
	}
	l.n = n
}

// insert puts a match in its place. Behind the last of a list that does not hold
// all, there is none.
func (l *alike) insert(ids *table, m match) {
	k := l.n
	for k > 0 && nearer(ids, m, l.near[k-1]) {
		k--
	}
	if k == l.n && (l.more || l.n == alikeItems) {
		l.more = true
		return
	}
	if l.n == alikeItems {
		l.more = true
	} else {
		l.n++
	}
	copy(l.near[k+1:l.n], l.near[k:l.n-1])
	l.near[k] = m
}

// nearer orders matches by score, then by id.
func nearer(ids *table, a, b match) bool {
	if a.score != b.score {
		return a.score > b.score
	}
	return ids.at(a.item).id < ids.at(b.item).id
}

// windows are the newest items of an item's shelves.
type windows struct {
	category, brand           []uint32
	firstCategory, firstBrand uint32 // places of the first of them
}

func windowsOf(f *features) (w windows) {
	w.category, w.firstCategory = f.category.newest()
	w.brand, w.firstBrand = f.brand.newest()
	return w
}

// inCategory reports whether g is among the newest of f's category.
func (w *windows) inCategory(f, g *features) bool {
	return f.category != nil && g.category == f.category && g.categoryAt >= w.firstCategory
}

// inBrand reports whether g is among the newest of f's brand.
func (w *windows) inBrand(f, g *features) bool {
	return f.brand != nil && g.brand == f.brand && g.brandAt >= w.firstBrand
}
