package accuracy

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/rapport-engine/rapport/recommender"
)

// Report is what an evaluation prints: as JSON, or as text by Write.
type Report struct {
	Protocol    string                    `json:"protocol"`
	Data        string                    `json:"data"`
	Split       string                    `json:"split"`          // test or valid
	Policy      string                    `json:"policy"`         // on repeats, in words
	Told        string                    `json:"told,omitempty"` // what some models are told beyond what all are, in words
	Live        bool                      `json:"live"`           // test clicks were learned after they were asked for
	Learned     int                       `json:"learned"`        // clicks before the first prediction
	Predictions int                       `json:"predictions"`
	Items       int                       `json:"items"`
	Results     map[string]map[string]any `json:"results"`   // by model: the metrics, and their bounds under "ci"
	Published   []Published               `json:"published"` // by others, not measured here

	k      int
	models []string
}

// Told is what prequential tells whom of a customer beyond the views of the session.
const Told = "rapport is told the category that each item was viewed in, what the customer viewed before the session, what else was " +
	"done with items, and the pages, lists and searches on the way, but not what was in the 2 s before the view that is asked for; sr-items is " +
	"told what was done with items, sr-all that and the way; the others views alone; --only-views tells all of them views alone"

// Models returns the models that are compared, in the order of the table. params are
// the recommender's own, the zero value its defaults.
func Models(o *Options, params recommender.SessionParams) []Model {
	vmis := &VMIS{M: 500, K: 500, Last: 2}
	if o.Protocol == Serenade {
		vmis = &VMIS{M: 1502, K: 288, Last: 4}
	}
	models := []Model{NewRapport(recommender.Config{Session: params}), vmis, &VSKNN{K: 100, Sample: 1000}, &Rules{Steps: 10}}
	if o.Protocol == Prequential && !o.OnlyViews {
		models = append(models, &Rules{Steps: 10, Reads: ItemEvents}, &Rules{Steps: 10, Reads: AllEvents})
	}
	return append(models, &Popular{})
}

// Eval runs the protocol with some models. The options must have been checked.
func Eval(ctx context.Context, o *Options, models []Model) (*Report, error) {
	d, err := Load(o)
	if err != nil {
		return nil, err
	}
	r := &Report{
		Protocol: o.Protocol, Data: d.Name, Split: "test", Policy: o.Policy(), Live: o.Live, Learned: len(d.Train),
		Items: d.Items, Results: map[string]map[string]any{}, Published: PublishedFor(d, o), k: o.K,
	}
	if o.Valid {
		r.Split = "valid"
	}
	if o.Protocol == Prequential && !o.OnlyViews {
		r.Told = Told
	}
	for _, m := range models {
		res, err := Run(ctx, m, d, o)
		if err != nil {
			return nil, fmt.Errorf("cannot measure %s: %w", m.Name(), err)
		}
		row := map[string]any{"ci": res.CI, "seconds": res.Took.Seconds()}
		for name, v := range res.Metrics {
			row[name] = v
		}
		r.Results[m.Name()] = row
		r.models = append(r.models, m.Name())
		r.Predictions = res.Predictions
	}
	return r, nil
}

// Write prints a table for people.
func (r *Report) Write(w io.Writer) error {
	live := "the index stays as it was learned"
	if r.Live {
		live = "live: what is asked for is learned next"
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s on %s (%s): %d clicks learned, %d predictions, %d items; %s; %s\n",
		r.Protocol, r.Data, r.Split, r.Learned, r.Predictions, r.Items, r.Policy, live)
	if r.Told != "" {
		fmt.Fprintln(t, r.Told)
	}
	fmt.Fprint(t, "\nmodel")
	at := "@" + itoa(r.k)
	for _, name := range metricNames {
		fmt.Fprintf(t, "\t%s", name+at)
	}
	fmt.Fprintln(t)
	for _, m := range r.models {
		fmt.Fprint(t, m)
		for _, name := range metricNames {
			fmt.Fprint(t, "\t", r.cell(m, name+at))
		}
		fmt.Fprintln(t)
	}
	for _, p := range r.Published {
		fmt.Fprintf(t, "%s (published)", p.Model)
		for _, name := range metricNames {
			fmt.Fprint(t, "\t")
			if v, ok := p.Metrics[name+at]; ok {
				fmt.Fprintf(t, "%.4f", v)
			}
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("cannot print results: %w", err)
	}
	return nil
}

// cell is a metric with its confidence interval, where it has one.
func (r *Report) cell(model, name string) string {
	row := r.Results[model]
	v, ok := row[name].(float64)
	if !ok {
		return ""
	}
	if ci, ok := row["ci"].(map[string][2]float64)[name]; ok {
		return fmt.Sprintf("%.4f [%.4f %.4f]", v, ci[0], ci[1])
	}
	return fmt.Sprintf("%.4f", v)
}
