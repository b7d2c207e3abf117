package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/recommender"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Started once by fasthttp to write the Date header; it never ends.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// Asleep for at most ten seconds after its server has ended, then it ends.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// fakeEngine keeps what it is given in memory.
type fakeEngine struct {
	mu       sync.Mutex
	records  []streams.Record
	letters  []streams.DeadLetter
	profiles map[string]*profiles.Profile
	items    map[string]*streams.Item
	messages []streams.Message
	queries  []MessageQuery
	asked    []recommender.Request // the last call's
	askedBy  streams.Identifier
	deduped  bool
	fail     error
	age      time.Duration // of profiles, as if their store were away
	live     bool
	notReady bool
	panics   bool
}

func newFake() *fakeEngine {
	return &fakeEngine{profiles: map[string]*profiles.Profile{}, items: map[string]*streams.Item{}}
}

func (f *fakeEngine) Ingest(_ context.Context, recs []streams.Record) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	f.records = append(f.records, recs...)
	return nil
}

func (f *fakeEngine) DeadLetter(_ context.Context, letters []streams.DeadLetter) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.letters = append(f.letters, letters...)
	return f.fail
}

func (f *fakeEngine) DeadLetters(limit int, reason string) []streams.DeadLetter {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []streams.DeadLetter
	for _, l := range slices.Backward(f.letters) {
		if (reason == "" || l.Reason == reason) && len(list) < limit {
			list = append(list, l)
		}
	}
	return list
}

func (f *fakeEngine) Partitions() int32 { return 4 }
func (f *fakeEngine) Live() bool        { return f.live }
func (f *fakeEngine) Now() int64        { return 1_700_000_000_000 }
func (f *fakeEngine) Rules() *rules.Set { return rules.BuiltIn() }
func (f *fakeEngine) TriggerStats(name string) (*engine.TriggerStats, error) {
	if name != "abandoned_cart" {
		return nil, ErrNotFound
	}
	relative, ci := 0.5, [2]float64{0.1, 0.9}
	return &engine.TriggerStats{Trigger: name, Partitions: 4, Sent: 2, NotSent: map[string]int64{"capped": 1},
		Steps: []engine.StepStats{{Step: 1, Sent: 2, NotSent: map[string]int64{"capped": 1}}}, Variants: map[string]engine.Rate{"a": {}},
		Lift: &engine.Lift{Relative: &relative, RelativeCI: &ci, Note: "n"}}, nil
}
func (f *fakeEngine) SegmentSizes() map[string]int64 { return map[string]int64{"vip": 3} }
func (f *fakeEngine) Earned() ([]recommender.Earned, []string) {
	return []recommender.Earned{
		{Placement: "home", Strategy: "session", Served: 20, Impressions: 10, Clicks: 3, Adds: 2, Orders: 1, Revenue: 9.5},
		{Placement: "home", Strategy: "trending", Served: 5, Clicks: 1},
	}, []string{"cart", "home"}
}
func (f *fakeEngine) Ready() (bool, any) {
	return !f.notReady, map[string]any{"partitions": 4}
}

func (f *fakeEngine) ReadProfile(_ context.Context, id streams.Identifier) (*profiles.Profile, time.Duration, error) {
	if f.panics {
		panic("a bug of ours")
	}
	if f.fail != nil {
		return nil, 0, f.fail
	}
	p := f.profiles[id.String()]
	if p == nil {
		return nil, 0, ErrNotFound
	}
	if p.AliasOf != "" {
		p = f.profiles[p.AliasOf]
	}
	return p, f.age, nil
}

func (f *fakeEngine) Recommend(_ context.Context, id streams.Identifier, reqs []*recommender.Request, dedupe bool, answers []recommender.Answer) error {
	if f.fail != nil {
		return f.fail
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked, f.askedBy, f.deduped = f.asked[:0], id, dedupe
	for i, r := range reqs {
		f.asked = append(f.asked, *r)
		if r.Placement == "nowhere" {
			return fmt.Errorf("%w %q: known are home, product", recommender.ErrUnknownPlacement, r.Placement)
		}
		a := &answers[i]
		a.ID, a.Placement, a.Strategy, a.Items, a.Age = r.ID, r.Placement, "trending", a.Items[:0], f.age
		for n := range r.Limit {
			item := &streams.Item{ID: fmt.Sprintf("i%03d", n+r.Offset), Name: `Shoe "Run"`, URL: "https://shop/x?a=1&b=2", Price: 450}
			if r.Filter != nil && !r.Filter(item) {
				continue
			}
			ranked := recommender.Ranked{ID: item.ID, Score: 1 / float64(n+1), Reason: "trending", Item: item}
			if r.Explain {
				ranked.Explain = map[string]float64{"trending": 1}
			}
			a.Items = append(a.Items, ranked)
		}
	}
	return nil
}

func (f *fakeEngine) Rank(_ context.Context, id streams.Identifier, req *recommender.Request, a *recommender.Answer) error {
	if f.fail != nil {
		return f.fail
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked, f.askedBy = append(f.asked[:0], *req), id
	if req.Placement == "nowhere" {
		return fmt.Errorf("%w %q: known are home, product", recommender.ErrUnknownPlacement, req.Placement)
	}
	a.ID, a.Placement, a.Strategy, a.Items, a.Age = req.ID, req.Placement, "trending", a.Items[:0], f.age
	for _, id := range slices.Backward(req.Items) {
		a.Items = append(a.Items, recommender.Ranked{ID: id, Reason: "trending"})
	}
	return nil
}

func (f *fakeEngine) Messages(_ context.Context, q MessageQuery) ([]streams.Message, string) {
	f.queries = append(f.queries, q)
	return f.messages, "17"
}

func (f *fakeEngine) Item(id string) *streams.Item {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.items[id]
}

func (f *fakeEngine) Items(after string, limit int) (list []*streams.Item, next string) {
	var ids []string
	for id := range f.items {
		if id > after {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for i, id := range ids {
		if i == limit {
			return list, ids[i-1]
		}
		list = append(list, f.items[id])
	}
	return list, ""
}

func (f *fakeEngine) PutItems(_ context.Context, items []*streams.Item) (unchanged int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range items {
		a, _ := json.Marshal(i)
		b, _ := json.Marshal(f.items[i.ID])
		if bytes.Equal(a, b) {
			unchanged++
		}
		f.items[i.ID] = i
	}
	return unchanged, f.fail
}

func (f *fakeEngine) DeleteItem(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.items, id)
	return f.fail
}

// site is a running server and a client of it.
type site struct {
	t      testing.TB
	server *Server
	engine *fakeEngine
	client *http.Client
}

// start runs a real server on a free port until the test ends.
func start(t testing.TB, o Options) *site {
	t.Helper()
	e := newFake()
	o.Listen, o.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
	s, err := New(e, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return &site{t: t, server: s, engine: e, client: &http.Client{Transport: transport}}
}

// reply is an answer of the server.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request; headers are names and values in turn.
func (s *site) do(method, path string, body []byte, headers ...string) reply {
	s.t.Helper()
	req, err := http.NewRequest(method, "http://"+s.server.Addr()+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if resp.Header.Get("X-Request-ID") == "" {
		s.t.Errorf("%s %s: no X-Request-ID", method, path)
	}
	return reply{resp.StatusCode, resp.Header, b}
}

func (s *site) get(path string, headers ...string) reply {
	s.t.Helper()
	return s.do("GET", path, nil, headers...)
}

func (s *site) post(path, body string, headers ...string) reply {
	s.t.Helper()
	return s.do("POST", path, []byte(body), headers...)
}

// want checks the status and, where not empty, that the body contains a text.
func (r reply) want(t testing.TB, status int, text string) reply {
	t.Helper()
	if r.status != status || !bytes.Contains(r.body, []byte(text)) {
		t.Errorf("answered %d %s; want %d with %q", r.status, clip(r.body), status, text)
	}
	if status >= 400 {
		var p struct {
			Title, Detail string
			Status        int
		}
		if err := json.Unmarshal(r.body, &p); err != nil || p.Status != status || p.Detail == "" || p.Title == "" ||
			r.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("no problem document: %s %s", r.header.Get("Content-Type"), clip(r.body))
		}
	}
	return r
}

func clip(b []byte) []byte { return b[:min(len(b), 600)] }

func (r reply) decode(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(r.body, v); err != nil {
		t.Fatalf("cannot decode %s: %v", clip(r.body), err)
	}
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}
