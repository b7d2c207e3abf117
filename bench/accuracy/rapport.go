package accuracy

import (
	"strconv"
	"time"

	"github.com/rapport-engine/rapport/recommender"
	"github.com/rapport-engine/rapport/streams"
)

// Rapport is the product's own recommender, taught by events and asked by requests
// as the engine does both: strategies session, viewed_together, trending.
type Rapport struct {
	r       *recommender.Recommender
	offset  int64
	event   streams.Event
	lessons recommender.Lessons
	number  map[string]uint32
	names   []string // of items
	asked   recommender.Request
	answer  recommender.Answer
}

// NewRapport returns a recommender that has learned nothing. Sessions last as long
// as the data say, whatever the pauses in them.
func NewRapport(cfg recommender.Config) *Rapport {
	cfg.Placements = []recommender.Placement{{
		Name:       "home",
		Strategies: []string{recommender.Session, recommender.ViewedTogether, recommender.Trending},
	}}
	cfg.SessionGap = 100 * 365 * 24 * time.Hour
	m := &Rapport{r: recommender.New(cfg, recommender.NewCatalogue()), number: map[string]uint32{}}
	m.event = streams.Event{
		Kind: streams.Track, Name: "Product Viewed", Channel: "web",
		Identifiers: []streams.Identifier{{Type: "anonymous"}},
	}
	return m
}

// Name is "rapport".
func (m *Rapport) Name() string { return "rapport" }

func (m *Rapport) name(i uint32) string {
	for n := len(m.names); n <= int(i); n++ {
		m.names = append(m.names, strconv.Itoa(n))
		m.number[m.names[n]] = uint32(n) //nolint:gosec // items are numbered by uint32
	}
	return m.names[i]
}

// Learn implements Model.
func (m *Rapport) Learn(c Click) {
	e := &m.event
	e.At, e.LoggedAt = c.At, c.At
	e.Identifiers[0].Value = strconv.Itoa(int(c.Session))
	e.Product.ID = m.name(c.Item)
	e.Product.Category = e.Product.Category[:0]
	if c.Category != "" {
		e.Product.Category = append(e.Product.Category, c.Category)
	}
	m.observe(e)
}

func (m *Rapport) observe(e *streams.Event) {
	m.lessons.Add(m.offset, e)
	m.r.Observe(0, &m.lessons)
	m.offset++
}

// Visit implements Follower.
func (m *Rapport) Visit(session uint32, p *Place) {
	e := &streams.Event{
		Kind: streams.Track, Name: p.Event, Channel: "web", At: p.At, LoggedAt: p.At,
		Identifiers: []streams.Identifier{{Type: "anonymous", Value: strconv.Itoa(int(session))}},
	}
	switch {
	case !p.Did:
		e.Place = p.Name
	case p.Item == 0:
		return
	case p.Event == "Order Completed":
		e.OrderID = strconv.FormatInt(p.At, 10)
		e.Products = []streams.Line{{ID: m.name(p.Item - 1), Quantity: 1}}
	default:
		e.Product.ID = m.name(p.Item - 1)
	}
	m.observe(e)
}

// Trained implements Model; it has learned all along.
func (m *Rapport) Trained() {}

// Answer implements Model. The answer may have items of the session unless they are
// excluded.
func (m *Rapport) Answer(q *Question, k int, out []uint32) []uint32 {
	req := &m.asked
	req.Limit, req.Now, req.Repeats = k, q.At, true
	req.Customer.Key = "anonymous:" + strconv.Itoa(int(q.Session))
	req.Customer.Session, req.Exclude = req.Customer.Session[:0], req.Exclude[:0]
	for _, i := range q.Items {
		req.Customer.Session = append(req.Customer.Session, m.name(i))
	}
	for _, i := range q.Exclude {
		req.Exclude = append(req.Exclude, m.name(i))
	}
	req.Customer.Recent = req.Customer.Recent[:0]
	for _, i := range q.Recent {
		req.Customer.Recent = append(req.Customer.Recent, recommender.Seen{ID: m.name(i), At: q.At})
	}
	if err := m.r.Recommend(req, &m.answer); err != nil {
		panic("BUG: " + err.Error()) // the placement is there
	}
	for _, it := range m.answer.Items {
		out = append(out, m.number[it.ID])
	}
	return out
}
