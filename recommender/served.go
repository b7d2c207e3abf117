package recommender

import "sync"

// servedShards is how many locks share what was served.
const servedShards = 16

// served is what this process answered to customers whose hash ends in one number:
// what follows it counts, and what was shown too often steps back.
type served struct {
	mu   sync.Mutex // held for one answer or event
	book *book
}

func (r *Recommender) servedTo(key uint64) *served { return &r.served[key%servedShards] }

// noteServed notes a tracked answer, whose id then tells what is in it.
func (r *Recommender) noteServed(req *Request, a *Answer, now int64) {
	ref := refOf(a)
	a.ID = ref.tracked(a.ID)
	typ, value := keyParts(req.Customer.Key)
	key := keyOf(typ, value)
	s := r.servedTo(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range a.Items {
		by := credit{ref.placement, ref.strategy(k + 1)}
		s.book.earned.of(by).Served++
		if typ == "" || k >= touched {
			continue
		}
		t := touch{item: hashOfID(a.Items[k].ID), at: now, credit: by, times: 1}
		if all := s.book.of(key); all != nil {
			if before := all.find(t.item); before != nil {
				t.times = min(before.times, 1<<15) + 1
			}
		}
		s.book.bring(key, t)
	}
}

// follow counts what a customer did with an item that was served, unless the event names
// a recommendation itself.
func (r *Recommender) follow(n *draft, ids []string, lines []lineCredit) {
	s := r.servedTo(n.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.book.of(n.key)
	if all == nil {
		return
	}
	if n.kind == anOrder {
		var counted []credit
		for k, id := range ids {
			if item := hashOfID(id); lines[k].credit == (credit{}) {
				counted = s.book.order(n.key, item, credit{}, lines[k].amount, n.at, counted)
			} else {
				all.remove(item)
			}
		}
		return
	}
	item := hashOfID(n.id)
	switch {
	case n.by != credit{}:
		all.remove(item)
	case n.kind == anAddition:
		s.book.add(n.key, item, credit{}, n.at)
	case n.kind == aView, n.kind == aClick:
		s.book.click(n.key, item, credit{}, n.at)
	}
}

// showedTooOften notes which items this process showed a customer so often, without a click,
// that they step back.
func (s *scratch) showedTooOften() {
	typ, value := keyParts(s.req.Customer.Key)
	if typ == "" {
		return
	}
	key := keyOf(typ, value)
	to := s.r.servedTo(key)
	to.mu.Lock()
	defer to.mu.Unlock()
	if all := to.book.of(key); all != nil {
		for k := range all.list[:all.n] {
			if int(all.list[k].times) >= s.place.rotate {
				s.tired.add(all.list[k].item)
			}
		}
	}
}
