package accuracy

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Result is how one model did. Metrics are fractions, by names as "mrr@20"; CI has
// the bounds of 95 % confidence of those that are means over predictions.
type Result struct {
	Metrics     map[string]float64
	CI          map[string][2]float64
	Predictions int
	Took        time.Duration // for learning and answering
}

// Names of the metrics, in the order of tables. The first six are means over the
// predictions: hr, mrr and ndcg of the next item, precision, recall and map of all that
// follow. Coverage is the share of the items that were answered, popularity the
// mean popularity of answers, 1 that of the most popular item.
var metricNames = []string{"hr", "mrr", "ndcg", "precision", "recall", "map", "coverage", "popularity"}

// means is how many of metricNames are means over predictions.
const means = 6

// sums are the sums of the means over some predictions.
type sums struct {
	n      float64
	values [means]float64
}

func (s *sums) add(o *sums) {
	s.n += o.n
	for k := range s.values {
		s.values[k] += o.values[k]
	}
}

// Run teaches one model and asks it. It ends early, with its error, when the context
// does.
func Run(ctx context.Context, m Model, d *Data, o *Options) (*Result, error) {
	began := time.Now()
	popular := make([]float64, d.Items)
	for _, c := range d.Train {
		m.Learn(c)
		popular[c.Item]++
	}
	m.Trained()
	r := runner{o: o, k: o.K, bySession: map[uint32]*sums{}, most: max(1, slices.Max(append(popular, 0))), popular: popular, answered: make([]bool, d.Items)}
	for n := range d.Cases {
		if n%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		c := &d.Cases[n]
		visited(m, c.Session, c.Way)
		if len(c.Items) > 0 && !c.Skip {
			r.ask(m, c)
		}
		if o.Live && o.Protocol != LeaveOneOut {
			visited(m, c.Session, c.Late)
			m.Learn(Click{c.Session, c.Next, c.At, c.Category})
			popular[c.Next]++
			r.most = max(r.most, popular[c.Next])
		}
	}
	res := r.result()
	res.Took = time.Since(began)
	return res, nil
}

// visited tells a model where a customer went, if it wants to know.
func visited(m Model, session uint32, way []Place) {
	if f, ok := m.(Follower); ok {
		for k := range way {
			f.Visit(session, &way[k])
		}
	}
}

type runner struct {
	o         *Options
	k         int
	q         Question
	out       []uint32
	sessions  []uint32 // in order of their first prediction
	bySession map[uint32]*sums
	popular   []float64
	answered  []bool
	given     float64 // answers counted
	fame      float64 // their popularity
	most      float64 // clicks of the most popular item
}

func (r *runner) ask(m Model, c *Case) {
	r.q.Session, r.q.Items, r.q.At = c.Session, c.Items, c.At
	r.q.Recent = c.Recent
	r.q.Exclude = r.q.Exclude[:0]
	switch {
	case r.o.Protocol == LeaveOneOut:
		r.q.Exclude = append(r.q.Exclude, c.Items...)
	case r.o.Repeats == "exclude":
		r.q.Exclude = append(r.q.Exclude, c.Items[len(c.Items)-1])
	}
	r.out = m.Answer(&r.q, r.k, r.out[:0])
	s := r.bySession[c.Session]
	if s == nil {
		s = &sums{}
		r.bySession[c.Session] = s
		r.sessions = append(r.sessions, c.Session)
	}
	one := score(r.out, c, r.k)
	s.add(&one)
	for _, i := range r.out {
		r.answered[i] = true
		r.given++
		r.fame += r.popular[i] / r.most
	}
}

// score measures one answer.
func score(out []uint32, c *Case, k int) sums {
	s := sums{n: 1}
	var rest []uint32
	for _, i := range c.Rest {
		if !contains(rest, i) {
			rest = append(rest, i)
		}
	}
	hits, ap := 0.0, 0.0
	for n, i := range out {
		rank := float64(n + 1)
		if i == c.Next {
			s.values[0], s.values[1], s.values[2] = 1, 1/rank, 1/math.Log2(rank+1)
		}
		if contains(rest, i) {
			hits++
			ap += hits / rank
		}
	}
	s.values[3] = hits / float64(k)
	s.values[4] = hits / float64(len(rest))
	s.values[5] = ap / float64(min(k, len(rest)))
	return s
}

// resamples is how often the sessions are drawn anew for the confidence intervals.
const resamples = 500

func (r *runner) result() *Result {
	res := &Result{Metrics: map[string]float64{}, CI: map[string][2]float64{}}
	var all sums
	list := make([]sums, 0, len(r.sessions))
	for _, s := range r.sessions {
		all.add(r.bySession[s])
		list = append(list, *r.bySession[s])
	}
	res.Predictions = int(all.n)
	if all.n == 0 {
		return res
	}
	bounds := bootstrap(list)
	at := "@" + itoa(r.k)
	for k := range means {
		res.Metrics[metricNames[k]+at] = all.values[k] / all.n
		res.CI[metricNames[k]+at] = bounds[k]
	}
	answered := 0.0
	for _, yes := range r.answered {
		if yes {
			answered++
		}
	}
	res.Metrics["coverage"+at] = answered / float64(len(r.answered))
	if r.given > 0 {
		res.Metrics["popularity"+at] = r.fame / r.given
	}
	return res
}

// bootstrap draws whole sessions with replacement and returns the bounds of the middle
// 95 % of each mean. Its draws are always the same.
func bootstrap(list []sums) (bounds [means][2]float64) {
	rnd := rand.New(rand.NewPCG(20, 95)) //nolint:gosec // the same intervals each time
	var drawn [means][]float64
	for range resamples {
		var s sums
		for range list {
			s.add(&list[rnd.IntN(len(list))])
		}
		for k := range drawn {
			drawn[k] = append(drawn[k], s.values[k]/s.n)
		}
	}
	for k := range drawn {
		slices.Sort(drawn[k])
		bounds[k] = [2]float64{drawn[k][resamples/40], drawn[k][resamples-1-resamples/40]}
	}
	return bounds
}
