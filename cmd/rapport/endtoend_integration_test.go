//go:build integration

package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rapport-engine/rapport/engine/snapshot/redis/redistest"
	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
	"github.com/rapport-engine/rapport/streams/kafka/kafkatest"
)

// TestEndToEndWithKafkaAndRedis is the day of TestEndToEnd with a real Kafka
// and a real Redis, and what can happen only there.
func TestEndToEndWithKafkaAndRedis(t *testing.T) {
	node, store := kafkatest.Start(t), redistest.Start(t)
	s := newTestShop(t, fmt.Sprintf("instance: one\nkafka: {brokers: [%q], prefix: e2e.}\nredis: {addrs: [%q]}\n", node.Addr(), store.Addr()))
	s.day()
	s.foreignRecords(node)
	s.restarts()
	s.kafkaAway(node)
	s.redisAway(store)
	s.twoProcesses(node)
	s.hook.once()
}

// delivered waits until the webhook's group has committed all messages: only
// what it has not may be sent again by the next process.
func (s *testShop) delivered(node *kafkatest.Node) {
	s.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(node.Addr()))
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	s.until("the commits of delivery", func() bool {
		lags, err := kadm.NewClient(client).Lag(s.t.Context(), "e2e.delivery.webhook")
		if err != nil {
			s.t.Fatal(err)
		}
		lag := lags["e2e.delivery.webhook"]
		return lag.Error() == nil && lag.Lag.Total() == 0
	})
}

// foreignRecords are written to Kafka by another program, under any keys.
func (s *testShop) foreignRecords(node *kafkatest.Node) {
	s.t.Helper()
	p, err := kafka.NewProducer(kafka.Config{Brokers: []string{node.Addr()}, Prefix: "e2e.", Partitions: 4})
	if err != nil {
		s.t.Fatal(err)
	}
	defer p.Close()
	before := s.profile(olena).Events
	recs := []streams.Record{}
	for i, key := range []string{"", "anything", "anonymous:a42", "user:42"} {
		recs = append(recs, streams.Record{Topic: kafka.TopicEvents, Partition: -1, Key: []byte(key), Value: fmt.Appendf(nil,
			`{"type":"page","messageId":"foreign%d","userId":"42","context":{"channel":"kiosk"},"properties":{"path":"/"}}`, i)})
	}
	recs = append(recs, streams.Record{Topic: kafka.TopicEvents, Partition: -1, Key: []byte("junk"), Value: []byte("not JSON")})
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	if _, err := p.ProduceSync(ctx, recs); err != nil {
		s.t.Fatal(err)
	}
	if got := s.knows(olena, before+4); got.Channels["kiosk"].Events != 4 {
		s.t.Errorf("%+v", got.Channels)
	}
	s.until("the dead letter of what is no JSON", func() bool {
		return s.get("/v1/deadletters?reason=malformed", nil) == http.StatusOK && strings.Contains(s.last, "malformed")
	})
}

// kafkaAway kills Kafka: events are refused, reads go on; and starts it again.
func (s *testShop) kafkaAway(node *kafkatest.Node) {
	s.t.Helper()
	before := s.profile(olena)
	node.Kill()
	event := track("web", `"userId":"42"`, "Cart Viewed", `"products":[]`)
	status, header := s.post("/v1/track", event)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		s.t.Errorf("without kafka: %d %v", status, header)
	}
	if got := s.profile("email:olena@example.com"); got.ID != olena || got.Orders.Count != before.Orders.Count {
		s.t.Errorf("without kafka: %s", s.last)
	}
	if got := s.recommend("placement=beside&items=p1"); got["p4"] != "viewed_together" {
		s.t.Errorf("without kafka the recommender answers %v", got)
	}
	node.Run()
	s.until("events to be taken again", func() bool {
		status, _ := s.post("/v1/batch", `{"batch":[`+track("web", `"userId":"back"`, "Product Viewed", `"product_id":"p1"`)+`]}`)
		return status == http.StatusOK
	})
	s.until("the event after kafka came back", func() bool { return s.profile("user:back").Events > 0 })
	s.leaveCarts("back", 4)
	s.remembers("back", 4)
}

// post sends a body and returns the answer's status and header.
func (s *testShop) post(path, body string) (int, http.Header) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.last = fmt.Sprintf("POST %s: %s", path, resp.Status)
	return resp.StatusCode, resp.Header
}

// redisAway hangs Redis for a while: events are taken and applied, snapshots
// wait.
func (s *testShop) redisAway(store *redistest.Server) {
	s.t.Helper()
	store.Pause()
	defer store.Resume()
	s.leaveCarts("hanging", 4)
	s.remembers("hanging", 4)
	s.until("snapshots to wait", func() bool {
		return s.get("/readyz", nil) == http.StatusOK && !strings.Contains(s.last, `"snapshots":"ok"`)
	})
	store.Resume()
	s.until("snapshots to go on", func() bool {
		return s.get("/readyz", nil) == http.StatusOK && strings.Contains(s.last, `"snapshots":"ok"`)
	})
}

// twoProcesses share the partitions; each answers for every customer. One of
// them is killed, and the other goes on alone.
func (s *testShop) twoProcesses(node *kafkatest.Node) {
	s.t.Helper()
	other := &testShop{hook: s.hook, child: newChild(s.t, append([]string{"--instance", "two"}, s.args...)...)}
	other.begin()
	s.until("each to have two partitions", func() bool {
		a, b := s.ready(), other.ready()
		return a != nil && b != nil && a.Detail.Partitions == 2 && b.Detail.Partitions == 2 && b.Detail.Live
	})
	s.leaveCarts("shared", 8)
	other.leaveCarts("other", 8)
	for _, name := range []string{"shared", "other"} {
		s.remembers(name, 8)
		other.remembers(name, 8)
	}
	want := s.profile(olena)
	for _, id := range []string{olena, "anonymous:a42", "email:olena@example.com", "phone:0501234567", "card:7001"} {
		for _, process := range []*testShop{s, other} {
			process.until(id, func() bool { return process.profile(id).Events == want.Events })
		}
	}
	if other.get("/v1/items/p3", nil) != http.StatusOK {
		s.t.Error(other.last)
	}
	if got := other.recommend("placement=beside&items=p1"); got["p2"] != "" || got["p4"] != "viewed_together" {
		s.t.Errorf("the other process recommends %v", got)
	}
	s.delivered(node)
	other.leaveCarts("orphan", 8)
	other.kill()
	s.until("all partitions", func() bool { r := s.ready(); return r != nil && r.Detail.Partitions == 4 })
	for _, name := range []string{"shared", "other", "orphan"} {
		s.remembers(name, 8)
	}
}
