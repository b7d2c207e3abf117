package accuracy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rapport-engine/rapport/recommender"
)

// write makes a directory of files, by name.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// tiny are sessions in which b always follows a, and c follows b.
func tiny(t *testing.T) map[string]string {
	t.Helper()
	rows := "SessionId\tItemId\tTime\n"
	train, test := rows, rows
	for n := range 30 {
		s := itoa(n)
		train += s + "\ta\t" + itoa(1000+n) + "\n" + s + "\tb\t" + itoa(1001+n) + ".5\n" + s + "\tc\t" + itoa(1002+n) + "\n"
		test += s + "\ta\t" + itoa(2000+n) + "\n" + s + "\tb\t" + itoa(2001+n) + "\n"
	}
	return map[string]string{
		"train.txt": train, "test.txt": test, "valid.txt": test,
		"train_full.txt": train, "train_tr.txt": train, "train_valid.txt": test,
		"train_sessions.txt": strings.Repeat("a b c\n", 40), "test.tsv": "a b\tc\na\tb\n",
		"users.txt": strings.Repeat("u a b c\n", 1) + "v a b c\nw a b c d\n",
	}
}

func check(t *testing.T, o Options) *Options {
	t.Helper()
	if err := o.Check(); err != nil {
		t.Fatal(err)
	}
	return &o
}

func TestEveryProtocolFindsTheRule(t *testing.T) {
	dir := write(t, tiny(t))
	for _, c := range []struct {
		o           Options
		predictions int
		metric      string
	}{
		{Options{Protocol: SessionRec, Repeats: "exclude"}, 30, "hr@20"},
		{Options{Protocol: SessionRec, Live: true, First: 7}, 7, "hr@20"},
		{Options{Protocol: SessionRec, Valid: true, K: 3}, 30, "hr@3"},
		{Options{Protocol: Serenade}, 30, "mrr@20"},
		{Options{Protocol: Serenade, Live: true}, 30, "mrr@20"},
		{Options{Protocol: SRGNN}, 2, "hr@20"},
		{Options{Protocol: SRGNN, Valid: true}, 8, "hr@20"},
	} {
		c.o.Path = dir
		o := check(t, c.o)
		r, err := Eval(context.Background(), o, Models(o, recommender.SessionParams{}))
		if err != nil {
			t.Fatal(err)
		}
		if r.Predictions != c.predictions {
			t.Errorf("%+v: %d predictions, want %d", c.o, r.Predictions, c.predictions)
		}
		for _, m := range []string{"rapport", "vmis", "vsknn", "sr"} {
			if got := r.Results[m][c.metric].(float64); got < 0.5 {
				t.Errorf("%+v: %s: %s is %v", c.o, m, c.metric, got)
			}
		}
		var b bytes.Buffer
		if err := r.Write(&b); err != nil || !strings.Contains(b.String(), r.Policy) || !strings.Contains(b.String(), "pop") {
			t.Errorf("%v: %s", err, b.String())
		}
	}
}

func TestUsersAndTheirLastItem(t *testing.T) {
	dir := write(t, map[string]string{"users.txt": "1 a b c d\n2 a b c d\n3 a b c d e\n4 a b\n"})
	for _, c := range []struct {
		valid, live bool
		asked, next string
		learned     int
	}{
		{false, false, "abc abc abcd", "dde", 7},
		{false, true, "abc abc abcd", "dde", 10},
		{true, false, "ab ab abc", "ccd", 7},
	} {
		d, err := Load(check(t, Options{Protocol: LeaveOneOut, Path: dir, Valid: c.valid, Live: c.live}))
		if err != nil {
			t.Fatal(err)
		}
		var asked []string
		next := ""
		for _, k := range d.Cases {
			s := ""
			for _, i := range k.Items {
				s += string(rune('a' + i))
			}
			asked = append(asked, s)
			next += string(rune('a' + k.Next))
		}
		if got := strings.Join(asked, " "); got != c.asked || next != c.next || len(d.Train) != c.learned {
			t.Errorf("%+v: asked %s for %s after %d clicks", c, got, next, len(d.Train))
		}
	}
}

func TestEventsBecomeSessions(t *testing.T) {
	view := func(who, at, item string) string {
		return `{"type":"track","event":"Product Viewed","userId":"` + who + `","timestamp":"2024-01-01T` + at +
			`Z","properties":{"product_id":"` + item + `"}}` + "\n"
	}
	log := view("1", "10:00:00", "a") + view("1", "10:01:00", "a") + view("1", "10:02:00", "b") +
		view("2", "10:02:30", "b") + `{"type":"page","userId":"1"}` + "\n" + "not JSON\n" +
		view("1", "11:00:00", "c") + view("1", "11:00:00", "c") + view("1", "11:29:00", "d")
	dir := write(t, map[string]string{"events.jsonl": log, "again.jsonl": log})
	for _, path := range []string{dir, filepath.Join(dir, "events.jsonl")} {
		d, err := Load(check(t, Options{Protocol: Prequential, Path: path}))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range d.Cases {
			got = append(got, itoa(int(c.Session))+":"+itoa(len(c.Items)))
		}
		if want := "0:0 0:1 1:0 2:0 2:1"; strings.Join(got, " ") != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}

func steps(list []Place) (words []string) {
	for _, p := range list {
		what := p.Name
		if p.Did {
			what = itoa(int(p.Item))
		}
		words = append(words, p.Event, what)
	}
	return words
}

// Rules that begin at what else was done, or at pages, find what views do not tell.
func TestRulesOfOtherEvents(t *testing.T) {
	var log strings.Builder
	event := func(who int, at int, what string) {
		fmt.Fprintf(&log, `{"userId":"%d","timestamp":%d,%s}`+"\n", who, 1_700_000_000_000+int64(who)*1000_000+int64(at)*10_000, what)
	}
	view := func(who, at int, item string) {
		event(who, at, `"type":"track","event":"Product Viewed","properties":{"product_id":"`+item+`"}`)
	}
	for k := range 3 {
		view(100+k, 0, itoa(100+k))
	}
	for who := range 60 { // after a comes what is beside what was added to the cart, and what the page is of
		cart, page := who%3, who/3%3
		view(who, 0, "start")
		view(who, 1, "a")
		event(who, 2, `"type":"track","event":"Product Added","properties":{"product_id":"`+itoa(100+cart)+`"}`)
		view(who, 3, itoa(200+cart))
		event(who, 4, `"type":"page","context":{"page":{"path":"/`+itoa(page)+`"}}`)
		view(who, 5, itoa(300+page))
	}
	path := filepath.Join(write(t, map[string]string{"events.jsonl": log.String()}), "events.jsonl")
	o := check(t, Options{Protocol: Prequential, Path: path})
	r, err := Eval(context.Background(), o, Models(o, recommender.SessionParams{}))
	if err != nil {
		t.Fatal(err)
	}
	mrr := func(model string) float64 { return r.Results[model]["mrr@20"].(float64) }
	if mrr("sr-items") < mrr("sr")+0.1 || mrr("sr-all") < mrr("sr-items")+0.1 {
		t.Errorf("sr %.3f, sr-items %.3f, sr-all %.3f", mrr("sr"), mrr("sr-items"), mrr("sr-all"))
	}
}

// What is known of a view before it: the way there, but not its own page, and what the
// customer viewed before, in any session.
func TestEventsBesideViews(t *testing.T) {
	event := func(at, what string) string {
		return `{"userId":"1","timestamp":"2024-01-01T` + at + `Z",` + what + "}\n"
	}
	view := func(at, item string) string {
		return event(at, `"type":"track","event":"Product Viewed","properties":{"product_id":"`+item+`","category":"A/B"}`)
	}
	page := func(at, path string) string {
		return event(at, `"type":"page","context":{"page":{"path":"`+path+`"}}`)
	}
	did := func(at, what, item string) string {
		return event(at, `"type":"track","event":"`+what+`","properties":{"product_id":"`+item+`"}`)
	}
	order := event("10:00:40", `"type":"track","event":"Order Completed","properties":{"order_id":"1","products":[{"product_id":"a"},{"product_id":"c"}]}`)
	log := page("09:00:00", "/old") + page("09:59:00", "/in") + view("10:00:00", "a") + did("10:00:20", "Product Added", "a") + did("10:00:30", "Product Clicked", "never viewed") + order + page("10:01:00", "/list") + page("10:02:00", "/b") +
		did("10:02:01", "Product Clicked", "b") + view("10:02:01.999", "b") + view("11:00:00", "a") + view("11:00:05", "c")
	path := filepath.Join(write(t, map[string]string{"events.jsonl": log}), "events.jsonl")
	for only, want := range map[bool]string{
		false: "[page /in] [] [] A/B\n" +
			"[Product Added 1 Product Clicked 0 Order Completed 1 Order Completed 3 page /list] [page /b Product Clicked 2] [0] A/B\n" +
			"[] [] [1 0] A/B\n[] [] [0 1] A/B\n",
		true: "[] [] [] \n[] [] [] \n[] [] [] \n[] [] [] \n",
	} {
		o := check(t, Options{Protocol: Prequential, Path: path, OnlyViews: only})
		d, err := Load(o)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, c := range d.Cases {
			got += fmt.Sprintln(steps(c.Way), steps(c.Late), c.Recent, c.Category)
		}
		if got != want {
			t.Errorf("only views %v: got\n%s", only, got)
		}
		r, err := Eval(context.Background(), o, Models(o, recommender.SessionParams{}))
		if err != nil || (r.Told == "") != only {
			t.Errorf("told %q, %v", r.Told, err)
		}
	}
}

func TestLiveLearnsAfterAsking(t *testing.T) {
	// Nothing in training says that z follows a; the first test session does.
	rows := "1\tz\t50\n1\ty\t51\n2\ta\t52\n2\tq\t53\n"
	test := "7\ta\t100\n7\tz\t101\n8\ta\t200\n8\tz\t201\n9\ta\t300\n9\tz\t301\n"
	dir := write(t, map[string]string{"train_full.txt": rows, "test.txt": test})
	for live, want := range map[bool]float64{false: 0, true: 2. / 3} {
		o := check(t, Options{Protocol: SessionRec, Path: dir, Live: live, K: 1, Repeats: "exclude"})
		r, err := Eval(context.Background(), o, []Model{&Rules{Steps: 10}})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Results["sr"]["hr@1"].(float64); math.Abs(got-want) > 0.34 || live == (got == 0) {
			t.Errorf("live %v: hr %v, want %v", live, got, want)
		}
	}
}

func TestMetrics(t *testing.T) {
	c := &Case{Next: 5, Rest: []uint32{5, 7, 5, 9}}
	s := score([]uint32{7, 1, 5}, c, 4)
	want := [means]float64{1, 1. / 3, 0.5, 2. / 4, 2. / 3, (1 + 2./3) / 3}
	for k := range want {
		if math.Abs(s.values[k]-want[k]) > 1e-12 {
			t.Errorf("%s: got %v, want %v", metricNames[k], s.values[k], want[k])
		}
	}
	if s := score(nil, c, 4); s.values != [means]float64{} {
		t.Errorf("no answer: %v", s.values)
	}
}

func TestIntervalsHoldTheMean(t *testing.T) {
	var list []sums
	for n := range 400 {
		list = append(list, sums{n: 1, values: [means]float64{float64(n % 2)}})
	}
	b := bootstrap(list)
	if b[0][0] > 0.5 || b[0][1] < 0.5 || b[0][1]-b[0][0] > 0.12 || b[1] != [2]float64{} || b != bootstrap(list) {
		t.Errorf("got %v", b)
	}
}

func TestWrongOptions(t *testing.T) {
	for _, o := range []Options{
		{}, {Protocol: "x"}, {Protocol: Serenade, Repeats: "yes"}, {Protocol: Serenade, K: -1}, {Protocol: Serenade, K: 5000},
		{Protocol: Serenade, First: -1}, {Protocol: SRGNN, Live: true},
	} {
		if err := o.Check(); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: got %v", o, err)
		}
	}
}

func TestBadFiles(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"none":      {},
		"empty":     {"train.txt": "", "test.txt": "", "train_sessions.txt": "", "test.tsv": "", "u.txt": "", "train_full.txt": ""},
		"no tabs":   {"train.txt": "1 2 3\n", "test.txt": "1\t2\t3\n", "train_sessions.txt": "a b\n", "test.tsv": "a b c\n", "train_full.txt": "1\n"},
		"no time":   {"train.txt": "1\t2\tx\n", "test.txt": "1\t2\tx\n", "train_full.txt": "1\t2\tNaN\n"},
		"not zstd":  {"train.txt": "\x28\xb5\x2f\xfd....", "train_full.txt": "\x28\xb5\x2f\xfd", "u.txt": "\x28\xb5\x2f\xfd"},
		"long line": {"train.txt": strings.Repeat("a", maxLine+1), "train_full.txt": strings.Repeat("a", maxLine+1)},
	} {
		dir := write(t, files)
		for _, p := range []string{SessionRec, Serenade, SRGNN, LeaveOneOut, Prequential} {
			o := check(t, Options{Protocol: p, Path: dir})
			if d, err := Load(o); err == nil && len(d.Cases) > 0 {
				t.Errorf("%s: %s: no error", name, p)
			}
		}
	}
}

func TestEndsWithItsContext(t *testing.T) {
	o := check(t, Options{Protocol: Serenade, Path: write(t, tiny(t))})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Eval(ctx, o, []Model{&Popular{}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// The figures of the real data must not fall behind what is published for them.
func TestRealData(t *testing.T) {
	root := os.Getenv("RAPPORT_DATA")
	if root == "" {
		root = "../../../shared/data"
	}
	dir := filepath.Join(root, "serenade-example")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no data: %v", err)
	}
	o := check(t, Options{Protocol: Serenade, Path: dir})
	models := Models(o, recommender.SessionParams{})
	r, err := Eval(context.Background(), o, models[:2])
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Results["vmis"]["mrr@20"].(float64); math.Abs(got-.3401) > .004 {
		t.Errorf("VMIS-kNN is published at .3401, here %v", got)
	}
	if got := r.Results["rapport"]["mrr@20"].(float64); got < .37 {
		t.Errorf("rapport: %v", got)
	}
	if len(r.Published) == 0 || !slices.Contains(Protocols(), r.Protocol) {
		t.Errorf("got %+v", r.Published)
	}
}
