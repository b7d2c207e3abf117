package accuracy

// Rules are sequential rules (Kamehkhosh et al., 2017): what follows an item within
// Steps clicks, the nearer the more; an item may follow itself, as in session-rec.
//
// With Reads they begin at whatever else is known of a session, too: see there. What
// follows is always a view.
type Rules struct {
	Steps int
	Reads Reads

	sessions [][]uint32
	follow   []follow
	places   numbers
	top      tally
}

// Reads is what sequential rules begin at.
type Reads int

// What rules begin at: views; all events that name an item, each of them as that item;
// these and places.
const (
	Views Reads = iota
	ItemEvents
	AllEvents
)

// Name is "sr", with "-items" or "-all" by what is read.
func (r *Rules) Name() string { return [...]string{"sr", "sr-items", "sr-all"}[r.Reads] }

// Visit implements Follower.
func (r *Rules) Visit(session uint32, p *Place) {
	token := p.Item - 1
	switch {
	case r.Reads == Views || p.Did && p.Item == 0 || !p.Did && r.Reads == ItemEvents:
		return
	case !p.Did:
		token = firstPlace + r.places.of(p.Event+" "+p.Name)
	}
	if s := at(&r.sessions, session); len(*s) == 0 || (*s)[len(*s)-1] != token {
		*s = append(*s, token)
	}
}

// firstPlace is the number of the first place, above all items.
const firstPlace = 1 << 21

// Learn implements Model.
func (r *Rules) Learn(c Click) {
	s := at(&r.sessions, c.Session)
	if n := len(*s); r.Reads != Views && n > 0 && (*s)[n-1] == c.Item {
		*s = (*s)[:n-1] // it was clicked on just before
	}
	for back := 1; back <= r.Steps && back <= len(*s); back++ {
		at(&r.follow, (*s)[len(*s)-back]).put(c.Item, 1/float64(back))
	}
	*s = append(*s, c.Item)
	if n := len(*s); n > r.Steps {
		*s = (*s)[n-r.Steps:]
	}
}

// follow is what follows an item; place is where each is in the lists.
type follow struct {
	items  []uint32
	scores []float64
	place  map[uint32]int
}

func (f *follow) put(i uint32, score float64) {
	if f.place == nil {
		f.place = map[uint32]int{}
	}
	k, ok := f.place[i]
	if !ok {
		k = len(f.items)
		f.place[i] = k
		f.items, f.scores = append(f.items, i), append(f.scores, 0)
	}
	f.scores[k] += score
}

// Trained implements Model.
func (r *Rules) Trained() {}

// Answer implements Model.
func (r *Rules) Answer(q *Question, k int, out []uint32) []uint32 {
	last := q.Items[len(q.Items)-1]
	if s := at(&r.sessions, q.Session); r.Reads != Views && len(*s) > 0 {
		last = (*s)[len(*s)-1]
	}
	if int(last) >= len(r.follow) {
		return out
	}
	f := &r.follow[last]
	return bestOf(&r.top, f.items, f.scores, k, q.Exclude, out)
}

// bestOf appends the k items of the highest scores.
func bestOf(t *tally, items []uint32, scores []float64, k int, exclude, out []uint32) []uint32 {
	order := func(a, b int) bool {
		return scores[a] > scores[b] || scores[a] == scores[b] && items[a] < items[b]
	}
	top := t.list[:0] // indices
	for n := range items {
		if contains(exclude, items[n]) {
			continue
		}
		if len(top) == k {
			if !order(n, int(top[k-1])) {
				continue
			}
			top = top[:k-1]
		}
		top = append(top, uint32(n)) //nolint:gosec // items are numbered by uint32
		for m := len(top) - 1; m > 0 && order(n, int(top[m-1])); m-- {
			top[m], top[m-1] = top[m-1], top[m]
		}
	}
	t.list = top
	for _, n := range top {
		out = append(out, items[n])
	}
	return out
}

// Popular answers the items with most clicks.
type Popular struct {
	items  []uint32
	clicks []float64
	top    tally
}

// Name is "pop".
func (p *Popular) Name() string { return "pop" }

// Learn implements Model.
func (p *Popular) Learn(c Click) {
	for n := len(p.items); n <= int(c.Item); n++ {
		p.items, p.clicks = append(p.items, uint32(n)), append(p.clicks, 0) //nolint:gosec // as above
	}
	p.clicks[c.Item]++
}

// Trained implements Model.
func (p *Popular) Trained() {}

// Answer implements Model.
func (p *Popular) Answer(q *Question, k int, out []uint32) []uint32 {
	return bestOf(&p.top, p.items, p.clicks, k, q.Exclude, out)
}
