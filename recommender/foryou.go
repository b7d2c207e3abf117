package recommender

import (
	"math"
	"strings"
)

const (
	viewedFade   = 7 * msPerDay  // time after which a view weighs half
	boughtFade   = 60 * msPerDay // and an order
	historyItems = 5             // items of the customer's history that are looked at
	ofSession    = 2             // of these at most so many of the session, newest first, of the cart as many
	ofBought     = 2             // and so many that were ordered
	boughtWeight = 0.5           // what an ordered item weighs against one just viewed
	alikeWeight  = 0.25          // what likeness weighs against being viewed together
	preferred    = 48            // candidates that the customer's preferences put in order
)

// fillForYou scores items for a customer by what is known of him: neighbours of
// what he viewed, put into the cart and ordered, the later the more; sessions that
// share something with that; items like it; and of these, those of categories and
// brands that he prefers count more.
func (s *scratch) fillForYou() {
	s.history()
	n := len(s.context)
	if n == 0 {
		s.scores.reset(0)
		return
	}
	w := s.m.weights
	s.scores.reset(w.Candidates*slotItems/2 + n*(2*s.m.viewed.slots+alikeItems))
	s.own = 0
	support := s.scoreSessions(w)
	s.scores.scale(1 / (support + 1))
	viewed, bought := s.m.viewed.state.Load(), s.m.bought.state.Load()
	newest := s.m.newest.Load()
	forViewed, forBought := viewed.shrink(s.m.viewed.halfLife, newest), bought.shrink(s.m.bought.halfLife, newest)
	for k, i := range s.context {
		weight := s.seeds[k]
		viewed.score(i, weight, forViewed, &s.scores)
		bought.score(i, weight, forBought, &s.scores)
		if f := s.r.alike.features(i); f != nil {
			l := s.r.alike.of(i, f)
			for _, m := range l.near[:l.n] {
				s.scores.add(m.item, alikeWeight*weight*float64(m.score))
			}
		}
	}
	s.preferences()
}

// history takes what the customer did as the context, each item with its weight:
// the session in progress, the cart, what was viewed and what was ordered last.
func (s *scratch) history() {
	c := &s.req.Customer
	s.context = s.context[:0]
	for k := len(c.Session) - 1; k >= max(0, len(c.Session)-ofSession); k-- {
		s.addSeed(c.Session[k], 1)
	}
	for k := len(c.Cart) - 1; k >= max(0, len(c.Cart)-ofSession); k-- {
		s.addSeed(c.Cart[k], 1)
	}
	oldest := s.now - s.r.cfg.ViewedWindow.Milliseconds()
	for k := 0; k < len(c.Recent) && len(s.context) < historyItems-ofBought && c.Recent[k].At >= oldest; k++ {
		s.addSeed(c.Recent[k].ID, fade(s.now-c.Recent[k].At, viewedFade))
	}
	for k := len(c.Bought) - 1; k >= 0; k-- {
		s.addSeed(c.Bought[k].ID, boughtWeight*fade(s.now-c.Bought[k].At, boughtFade))
	}
}

func (s *scratch) addSeed(id string, weight float64) {
	if n := len(s.context); n < historyItems {
		if s.addContext(id); len(s.context) > n {
			s.seeds[n] = weight
		}
	}
}

// fade is what something weighs after a time that halves it with every half.
func fade(age, half int64) float64 { return math.Exp2(-float64(max(0, age)) / float64(half)) }

// preference is a category or brand and its part in the customer's interest.
type preference struct {
	key   uint64
	share float64
}

// preferences makes the best candidates count more by the parts that their
// category and brand have in the customer's interest; it leaves only those.
func (s *scratch) preferences() {
	s.categories = preferencesOf(s.categories[:0], s.req.Customer.Categories, func(name string) uint64 {
		return hashOf(strings.ReplaceAll(name, "/", "\x00"))
	})
	s.brands = preferencesOf(s.brands[:0], s.req.Customer.Brands, hashOf)
	if len(s.categories) == 0 && len(s.brands) == 0 {
		return
	}
	s.best = append(s.best[:0], s.scores.rank(s.m.ids, preferred)...)
	s.scores.reset(preferred)
	for _, c := range s.best {
		if now := s.m.ids.at(c.item).now.Load(); now != nil {
			c.score *= 1 + shareOf(s.categories, now.category) + shareOf(s.brands, now.brand)
		}
		s.scores.add(c.item, c.score)
	}
}

// preferencesOf turns weights, which are logarithms, into parts of their sum.
func preferencesOf(to []preference, list []Affinity, key func(string) uint64) []preference {
	most := math.Inf(-1)
	for _, a := range list {
		most = max(most, a.Log2)
	}
	sum := 0.0
	for _, a := range list {
		if share := math.Exp2(a.Log2 - most); share > 0 {
			to = append(to, preference{key(a.Name), share})
			sum += share
		}
	}
	for k := range to {
		to[k].share /= sum
	}
	return to
}

func shareOf(list []preference, key uint64) float64 {
	for _, p := range list {
		if p.key == key && key != 0 {
			return p.share
		}
	}
	return 0
}
