package accuracy

// Rules are sequential rules (Kamehkhosh et al., 2017): what follows an item within
// Steps clicks, the nearer the more; an item may follow itself, as in session-rec.
type Rules struct {
	Steps int

	sessions [][]uint32
	follow   []follow
	top      tally
}

// Name is "sr".
func (r *Rules) Name() string { return "sr" }

// Learn implements Model.
func (r *Rules) Learn(c Click) {
	s := at(&r.sessions, c.Session)
	for back := 1; back <= r.Steps && back <= len(*s); back++ {
		at(&r.follow, (*s)[len(*s)-back]).put(c.Item, 1/float64(back))
	}
	*s = append(*s, c.Item)
	if len(*s) > r.Steps {
		*s = (*s)[1:]
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
