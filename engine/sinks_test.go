package engine

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rapport-engine/rapport/streams/kafka"
)

func TestEachChannelHasItsSink(t *testing.T) {
	cfg, err := LoadConfig("testdata/config/good/full.yaml", nil, map[string]string{"sinks.http.headers": "A=b c, D=e"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"A": "b c", "D": "e"}, cfg.Sinks.HTTP.Headers); diff != "" {
		t.Error(diff)
	}
	e := &Engine{cfg: cfg}
	sinks, routes, err := e.sinks()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range sinks {
		names = append(names, deliveryGroup+s.Name())
	}
	if groups := e.deliveryGroups()[kafka.TopicMessages]; !slices.Equal(slices.Sorted(slices.Values(names)), slices.Sorted(slices.Values(groups))) {
		t.Errorf("sinks %v, groups %v", names, groups)
	}
	for channel, want := range map[string]string{"webhook": "webhook", "push": "webhook", "sms": "webhook", "email": "smtp", "messenger": "http", "kiosk": "kafka", "kafka": "log", "log": "log", "web": "log"} {
		if got := routes.Sink(channel); got != want {
			t.Errorf("%s is served by %s, want %s", channel, got, want)
		}
	}
	byName := SinksConfig{Webhook: &WebhookSink{}, SMTP: &SMTPSink{}, HTTP: &HTTPSink{}, Kafka: &KafkaSink{}, Log: &LogSink{}}
	if got := slices.Sorted(maps.Keys(byName.channels())); !slices.Equal(got, []string{"http", "kafka", "log", "smtp", "webhook"}) || byName.channels()["smtp"][0] != "email" {
		t.Errorf("%v", byName.channels())
	}
}

func TestProblemsOfTemplatesSayWhere(t *testing.T) {
	dir := t.TempDir()
	cfg := DefaultConfig()
	cfg.Templates = dir
	if list := cfg.TemplateProblems(); list != nil {
		t.Errorf("%v", list)
	}
	file := filepath.Join(dir, "welcome.txt")
	if err := os.WriteFile(file, []byte("a\n{{end}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if list := cfg.TemplateProblems(); len(list) != 1 || !strings.HasPrefix(list[0].String(), file+":2:1: ") {
		t.Errorf("%v", list)
	}
}
