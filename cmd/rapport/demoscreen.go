package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/term"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// introduce says what is about to happen.
func (d *demo) introduce() {
	fmt.Fprintf(d.program.stdout, `
RAPPORT DEMO

A shop that does not exist, with %d products and %s shoppers, who browse its web site, use its app,
pay at its tills, call it and chat with it. Two of its days (%s events) pass in %v.
For every shopper Rapport keeps one profile across all of these channels; three rules that come with it
watch for carts left behind, things looked at but not bought, and birthdays.

`, len(d.names), count(int64(d.options.shoppers)), count(int64(d.shop.Len())), d.options.duration)
}

// draw shows what happens until ctx ends: a screen redrawn on a terminal, else
// a line now and then.
func (d *demo) draw(ctx context.Context) error {
	every := 2 * time.Second
	if d.screen {
		every = 150 * time.Millisecond
		fmt.Fprint(d.program.stdout, "\x1b[2J")
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	started := time.Now()
	for {
		select {
		case <-ctx.Done():
			d.frame(time.Since(started))
			return nil
		case <-ticker.C:
			d.frame(time.Since(started))
		}
	}
}

func (d *demo) frame(since time.Duration) {
	counts := d.server.engine.Stats()
	profile := d.profile()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.screen {
		for _, line := range d.unshown {
			fmt.Fprintln(d.program.stdout, line)
		}
		d.unshown = nil
		if d.written > d.told { // else nothing happened since
			fmt.Fprintln(d.program.stdout, d.status(&counts, since))
		}
		d.told = d.written
		return
	}
	lines := []string{"RAPPORT DEMO  " + d.status(&counts, since), ""}
	lines = append(lines, d.progressLines(&counts)...)
	lines = append(lines, "", "ONE SHOPPER, ALL CHANNELS: "+d.shop.Spotlight().Name)
	for _, line := range last(d.story, 6) {
		lines = append(lines, "  "+line)
	}
	lines = append(lines, profileLines(profile)...)
	lines = append(lines, "", "MESSAGES AS THEY FIRE")
	for _, line := range last(d.messages, 6) {
		lines = append(lines, "  "+line)
	}
	lines = append(lines, "", "WHAT TO SHOW HER NEXT, AND WHY")
	lines = append(lines, d.adviceLines()...)
	d.paint(lines)
}

// paint puts lines on the screen, each cut to its width.
func (d *demo) paint(lines []string) {
	width := 100
	if f, ok := d.program.stdout.(interface{ Fd() uintptr }); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 20 { //nolint:gosec // a descriptor fits
			width = w
		}
	}
	var out strings.Builder
	out.WriteString("\x1b[H")
	for _, line := range lines {
		if runes := []rune(line); len(runes) > width {
			line = string(runes[:width-1]) + "…"
		}
		out.WriteString(line + "\x1b[K\n")
	}
	out.WriteString("\x1b[J")
	fmt.Fprint(d.program.stdout, out.String())
}

// status is one line of how far it is.
func (d *demo) status(c *engine.Counts, since time.Duration) string {
	return fmt.Sprintf("%s  %s events (%s/s), %s profiles, %s carts, %s orders, %s messages",
		d.clock(max(d.now, d.shop.Start())), count(d.written), count(int64(float64(d.written)/max(since.Seconds(), 0.001))),
		count(c.Profiles), count(c.Carts), count(c.Orders), count(sum(c.Messages)))
}

func (d *demo) progressLines(c *engine.Counts) []string {
	return []string{
		"channels   " + listed(shopChannels(c.Channels)),
		"messages   " + listed(c.Messages) + "   by " + listed(d.byChannel),
	}
}

// shopChannels are the channels that shoppers use, without the customer file
// and what delivery reports.
func shopChannels(channels map[string]int64) map[string]int64 {
	list := map[string]int64{}
	for _, name := range []string{"web", "app", "pos", "call_center", "messenger"} {
		list[name] = channels[name]
	}
	return list
}

// profile is the spotlight shopper's profile, nil while there is none.
func (d *demo) profile() *profiles.Profile {
	id := d.shop.Spotlight().ID
	typ, value, _ := strings.Cut(id, ":")
	p, err := d.server.engine.Profile(context.Background(), streams.Identifier{Type: typ, Value: value})
	if err != nil {
		return nil
	}
	return p
}

// profileLines show a profile across channels.
func profileLines(p *profiles.Profile) []string {
	if p == nil {
		return []string{"  (not known yet)"}
	}
	channels := map[string]int64{}
	for _, c := range p.Channels {
		channels[c.Name] = int64(c.Events) //nolint:gosec // small
	}
	lines := []string{
		"  known as   " + strings.Join(p.Identifiers, "  "),
		"  events     " + listed(channels),
	}
	var cart []string
	if p.Cart != nil {
		for _, line := range p.Cart.Lines {
			cart = append(cart, line.Name+" (from "+line.Channel+")")
		}
	}
	lines = append(lines, "  cart       "+cmp.Or(strings.Join(cart, ", "), "empty"))
	if p.Orders != nil && p.Orders.Count > 0 {
		lines = append(lines, fmt.Sprintf("  orders     %d, worth %s UAH", p.Orders.Count, count(int64(p.Orders.Revenue))))
	}
	return lines
}

func (d *demo) adviceLines() []string {
	if d.advice == nil {
		return []string{"  (not asked yet)"}
	}
	var lines []string
	for _, item := range d.advice.Items {
		lines = append(lines, fmt.Sprintf("  %-40s because: %s", d.name(item.ID, item.Item.Name), because(item.Reason)))
	}
	return lines
}

// because is a reason in words.
func because(reason string) string {
	switch reason {
	case "viewed_together":
		return "who looked at what she looked at last, looked at this, too"
	case "session":
		return "shoppers whose visits were like hers went on to look at it"
	case "bought_together":
		return "it is bought together with what she has"
	case "trending":
		return "many look at it and buy it these days"
	case "recently_viewed":
		return "she looked at it herself"
	}
	return strings.ReplaceAll(reason, "_", " ")
}

// conclude sums up, and fails if something did not happen that the
// demonstration is there to show.
func (d *demo) conclude(ctx context.Context) error {
	profile := d.profile()
	advice, err := d.recommend(ctx, d.shop.Spotlight().ID, latest(profile))
	if err != nil {
		return err
	}
	counts := d.server.engine.Stats()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.advice = advice
	out := d.program.stdout
	fmt.Fprintf(out, "\nTWO DAYS LATER\n\n  %s events of %s shoppers, %s sessions, %s carts, %s orders\n  %s\n",
		count(d.written), count(int64(d.options.shoppers)), count(counts.Sessions), count(counts.Carts),
		count(counts.Orders), listed(shopChannels(counts.Channels)))
	fmt.Fprintf(out, "\nMessages sent, and the first of each:\n")
	for _, trigger := range slices.Sorted(maps.Keys(d.sent)) {
		fmt.Fprintf(out, "  %s: %s\n      %s\n", trigger, count(d.sent[trigger]), d.first[trigger])
		if reasons := counts.Skipped[trigger]; len(reasons) > 0 {
			fmt.Fprintf(out, "      not sent: %s\n", listed(reasons))
		}
	}
	fmt.Fprintf(out, "\n%s, one profile across channels:\n", d.shop.Spotlight().Name)
	for _, line := range slices.Concat(d.story, profileLines(profile)) {
		fmt.Fprintf(out, "  %s\n", strings.TrimSpace(line))
	}
	fmt.Fprintf(out, "\nWhat to show her next to %s, and why:\n%s\n", d.name(latest(profile), ""), strings.Join(d.adviceLines(), "\n"))
	fmt.Fprintf(out, "\nHow fast, on this machine, while all of this ran:\n")
	fmt.Fprintf(out, "  event to message     %s   from handing over what made it due until it could be read\n", percentiles(d.messageTime))
	fmt.Fprintf(out, "  recommend over HTTP  %s   %s requests, one at a time\n", percentiles(d.recommendTime), count(d.recommendTime.TotalCount()))
	return d.verify(profile)
}

// latest is the product that was looked at last, "" if none was.
func latest(p *profiles.Profile) string {
	if p == nil || len(p.Viewed) == 0 {
		return ""
	}
	return p.Viewed[0].Id
}

// verify says what is missing from what was to be shown.
func (d *demo) verify(p *profiles.Profile) error {
	var errs []error
	for _, trigger := range []string{"abandoned_cart", "birthday", "viewed_item"} {
		if d.sent[trigger] == 0 {
			errs = append(errs, fmt.Errorf("the trigger %s did not fire", trigger))
		}
	}
	if p == nil || len(p.Channels) < 4 {
		errs = append(errs, fmt.Errorf("the profile of %s does not show four channels", d.shop.Spotlight().Name))
	}
	return errors.Join(errs...)
}

// invite says what to try now.
func (d *demo) invite() {
	spot := d.shop.Spotlight()
	fmt.Fprintf(d.program.stdout, `
The server keeps running on %[1]s. Try, in another terminal:

  curl '%[1]s/v1/profiles/email:%[2]s'
  curl '%[1]s/v1/recommend?id=%[3]s&placement=product&items=p1010&limit=5&fields=name,price'
  curl '%[1]s/v1/track' -d '{"userId":"%[4]s","event":"Product Viewed","properties":{"product_id":"p1009"}}'

Then ask for the profile again. Ctrl-C ends it; nothing is kept.
`, d.url(), spot.Email, spot.ID, strings.TrimPrefix(spot.ID, "user:"))
}

func percentiles(h *hdrhistogram.Histogram) string {
	if h.TotalCount() == 0 {
		return "not measured"
	}
	ms := func(q float64) string { return strconv.FormatFloat(float64(h.ValueAtQuantile(q))/1000, 'f', 1, 64) }
	return fmt.Sprintf("p50 %6s ms   p99 %6s ms", ms(50), ms(99))
}

// listed is "web 12, app 3", the largest first.
func listed(m map[string]int64) string {
	names := slices.SortedFunc(maps.Keys(m), func(a, b string) int { return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b)) })
	for i, name := range names {
		names[i] = name + " " + count(m[name])
	}
	return strings.Join(names, ", ")
}

func sum(m map[string]int64) int64 {
	var n int64
	for _, v := range m {
		n += v
	}
	return n
}

// count writes 1234567 as 1,234,567.
func count(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func last(list []string, n int) []string { return list[max(0, len(list)-n):] }
