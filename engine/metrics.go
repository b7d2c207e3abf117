package engine

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// collector reads the engine's counts when it is scraped: the fold itself
// touches no metric.
type collector struct {
	e *Engine

	events, messages, runs, skipped, failures, letters, issues, late, other, reads, moved, gauges, segments *prometheus.Desc

	recommended, revenue *prometheus.Desc
}

func newCollector(e *Engine) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("rapport_"+name, help, labels, nil)
	}
	return &collector{
		e:        e,
		events:   desc("events_applied_total", "Events applied to profiles, by event name.", "event"),
		messages: desc("messages_total", "Messages decided, by trigger.", "trigger"),
		runs:     desc("runs_total", "Runs started, by trigger.", "trigger"),
		skipped:  desc("sends_skipped_total", "Sends not made, by trigger, step and reason.", "trigger", "step", "reason"),
		failures: desc("condition_failures_total", "Conditions that could not be told and were false, by trigger and kind (missing: no such key or a wrong type; cost: over the limit).", "trigger", "kind"),
		letters:  desc("dead_letters_total", "Records that could not be applied, by reason.", "reason"),
		issues:   desc("event_issues_total", "Oddities in events that were applied, by reason.", "reason"),
		late:     desc("late_events_total", "Events applied that were logged late, by how much: an hour, a day or a week, or more. Up to a week they are counted in their right place.", "by"),
		other:    desc("fold_total", "What else the fold did: duplicates and repeats dropped, forwards, links, merges.", "what"),
		reads:    desc("reads_total", "Profiles of other processes that were read, by what was answered: a fresh copy, the snapshot store, a stale copy while that is away, or nothing (failed).", "from"),
		moved:    desc("profiles_moved_total", "Profiles of partitions that this process owns: evicted from memory, read back from the snapshot store.", "what"),
		recommended: desc("recommended_items_total", "Recommended items by placement, strategy and what became of them: served (by this process), impressions, clicks, adds, orders (each once).",
			"placement", "strategy", "what"),
		revenue:  desc("recommended_revenue", "Revenue of ordered lines that were recommended, as sent, by placement and strategy.", "placement", "strategy"),
		segments: desc("segment_customers", "Customers in each segment, of the partitions of this process.", "segment"),
		gauges:   desc("size", "Profiles of the partitions of this process; those of them in memory, and their bytes; items; partitions; partitions that stand still, and that wait for the snapshot store; 1 while snapshots wait for it.", "what"),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	n := c.e.Stats()
	each(ch, c.events, n.Events)
	each(ch, c.messages, n.Messages)
	each(ch, c.runs, n.Runs)
	each(ch, c.letters, n.DeadLetters)
	each(ch, c.issues, n.Issues)
	each(ch, c.late, n.Late)
	for trigger, steps := range n.Steps {
		for name, count := range steps {
			step, reason, _ := strings.Cut(name, " ")
			ch <- prometheus.MustNewConstMetric(c.skipped, prometheus.CounterValue, float64(count), trigger, step, reason)
		}
	}
	each2(ch, c.failures, n.Failures)
	each(ch, c.other, map[string]int64{
		"duplicates": n.Duplicates, "repeated": n.Repeated, "gaps": n.Gaps, "forwarded": n.Forwarded, "links": n.Links,
		"aliases": n.Aliases, "merges": n.Merges, "merge_cut": n.Cut, "undone": n.Undone, "conflicts": n.Conflicts, "looped": n.Looped, "sessions": n.Sessions, "orders": n.Orders,
	})
	if copies := c.e.readCopies(); copies != nil {
		each(ch, c.reads, map[string]int64{"copy": copies.fresh.Load(), "store": copies.read.Load(), "stale": copies.stale.Load(), "failed": copies.failed.Load()})
	}
	each(ch, c.moved, map[string]int64{"evicted": c.e.moves.evicted.Load(), "read_back": c.e.moves.readBack.Load()})
	c.earned(ch)
	c.sizes(ch)
}

func (c *collector) earned(ch chan<- prometheus.Metric) {
	if c.e.model == nil {
		return
	}
	for _, r := range c.e.model.Earned() {
		for what, n := range map[string]uint64{"served": r.Served, "impressions": r.Impressions, "clicks": r.Clicks, "adds": r.Adds, "orders": r.Orders} {
			ch <- prometheus.MustNewConstMetric(c.recommended, prometheus.CounterValue, float64(n), r.Placement, r.Strategy, what)
		}
		ch <- prometheus.MustNewConstMetric(c.revenue, prometheus.GaugeValue, r.Revenue, r.Placement, r.Strategy)
	}
}

func (c *collector) sizes(ch chan<- prometheus.Metric) {
	var count, inMemory, bytes, partitions, stopped, stuck, waiting int64
	for _, p := range c.e.ownedPartitions() {
		count += int64(p.store.Len())
		bytes += p.store.Bytes()
		partitions++
		inMemory += int64(p.store.InMemory())
		if p.stopped.Load() != nil {
			stopped++
		}
		if p.waits.Load() != nil {
			stuck++
		}
	}
	for name, n := range c.e.SegmentSizes() {
		ch <- prometheus.MustNewConstMetric(c.segments, prometheus.GaugeValue, float64(n), name)
	}
	if c.e.snapshotError.Load() != nil {
		waiting = 1
	}
	undelivered, failing, inFlight := c.e.deliveryStatus()
	for what, v := range map[string]int64{"profiles": count, "profile_bytes": bytes, "partitions": partitions, "items": int64(c.e.catalogue.Len()),
		"profiles_in_memory": inMemory, "partitions_stopped": stopped, "partitions_waiting": stuck, "snapshots_waiting": waiting,
		"deliveries_stopped": int64(len(undelivered)), "deliveries_failing": int64(len(failing)), "messages_in_flight": int64(inFlight)} {
		ch <- prometheus.MustNewConstMetric(c.gauges, prometheus.GaugeValue, float64(v), what)
	}
}

func each(ch chan<- prometheus.Metric, d *prometheus.Desc, values map[string]int64) {
	for label, v := range values {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), label)
	}
}

func each2(ch chan<- prometheus.Metric, d *prometheus.Desc, values map[string]map[string]int64) {
	for a, inner := range values {
		for b, v := range inner {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), a, b)
		}
	}
}
