package kafka

import (
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestGroupTakesItsNameBack: a member that is told once that another process has
// its instance's name loses its partitions, and goes on as a new member.
func TestGroupTakesItsNameBack(t *testing.T) {
	broker, cfg := startBroker(t, EmbeddedConfig{Partitions: 1})
	cfg.Instance = "a"
	p := newProducer(t, cfg)
	produce(t, p, numbered(0, 0, 4))
	f := &committer{newFolder(), map[int32]string{}, 0}
	m := join(t, cfg, f, RunCommitted)
	f.wait(t, "the first records", func() bool { return len(f.values[0]) == 4 })
	broker.cluster.ControlKey(int16(kmsg.Heartbeat), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.HeartbeatResponse)
		resp.ErrorCode = kerr.FencedInstanceID.Code
		return resp, nil, true
	})
	f.wait(t, "the partition again", func() bool { return len(f.log) >= 3 })
	produce(t, p, numbered(0, 4, 2))
	f.wait(t, "the rest", func() bool { return slices.Contains(f.values[0], "0/5") })
	if err := m.stop(); err != nil {
		t.Error(err)
	}
	if !slices.Equal(f.log[:3], []string{"assigned 0", "lost 0", "assigned 0"}) {
		t.Errorf("%v", f.log)
	}
}

// TestGroupNameOfTwoProcesses: two that run under one name take it from each other
// until one ends, and says why.
func TestGroupNameOfTwoProcesses(t *testing.T) {
	_, cfg := startBroker(t, EmbeddedConfig{Partitions: 1})
	cfg.Instance = "till"
	first := join(t, cfg, newFolder(), RunGroup)
	second := join(t, cfg, newFolder(), RunGroup)
	ended := make(chan error, 2)
	for _, m := range []*member{first, second} {
		go func() { ended <- m.end() }()
	}
	err := <-ended
	if err == nil || !strings.Contains(err.Error(), `another process runs under the instance name "till"; give each its own`) {
		t.Errorf("one of two under one name ended with %v", err)
	}
	first.cancel()
	second.cancel()
}
