package engine

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite expected output and generated files")

func TestConfigSamplesThatLoad(t *testing.T) {
	files, err := filepath.Glob("testdata/config/good/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		if _, err := LoadConfig(file, nil, nil); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// Each bad sample has all of its problems beside it, in *.problems.
func TestConfigSamplesThatFail(t *testing.T) {
	files, err := filepath.Glob("testdata/config/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = ParseConfig(filepath.Base(file), data)
			var problems *ConfigError
			if !errors.As(err, &problems) {
				t.Fatalf("want a *ConfigError, got %v", err)
			}
			expected := strings.TrimSuffix(file, ".yaml") + ".problems"
			if *update {
				if err := os.WriteFile(expected, []byte(err.Error()+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(expected)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimSpace(string(want)), problems.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestConfigFullSample(t *testing.T) {
	got, err := LoadConfig("testdata/config/good/full.yaml", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultConfig()
	want.Listen, want.Admin = "0.0.0.0:9000", ""
	want.URL = "https://rapport.shop.example"
	want.DataLimit, want.Memory = 1500*MB, 4*GB
	want.Partitions = 32
	want.Kafka = KafkaConfig{
		Brokers: []string{"k1:9092", "k2:9092"}, TLS: true,
		SASL: SASLConfig{Mechanism: "SCRAM-SHA-256", User: "rapport", Password: "p"}, Prefix: "shop.",
	}
	want.Redis.Addrs = []string{"r1:6379"}
	want.Keys = KeysConfig{Write: []string{"w1"}, Read: []string{"r1"}, Admin: []string{"a1", "a2"}}
	want.CORS.Origins = []string{"https://shop.example"}
	want.Rates = map[string]float64{"USD": 41.5, "EUR": 45}
	want.CartTTL = 14 * 24 * time.Hour
	want.Identity = IdentityConfig{MaxConflicts: 5, Blocked: []string{"card:0000"}}
	want.IdentitySecret = "s3cret"
	want.SnapshotInterval = 500 * time.Millisecond
	want.Sinks = SinksConfig{
		Webhook: &WebhookSink{
			URL: "https://crm.example/hook", Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
			Channels: []string{"webhook", "push", "sms"},
		},
		SMTP: &SMTPSink{Addr: "mail.example:587", From: "shop@example", User: "shop", Password: "p", Channels: []string{"email"}},
		HTTP: &HTTPSink{
			URL: "https://sms.example/v1/messages", Headers: map[string]string{"Authorization": "Bearer k", "X-Id": "{{.id}}"},
			Body: "{\"to\": {{json .to}}, \"text\": {{json .text}}}\n", Channels: []string{"messenger"},
		},
		Kafka: &KafkaSink{Channels: []string{"kiosk"}},
		Log:   &LogSink{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestConfigLayers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte("partitions: 4\nregion: DE\ncurrency: EUR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{
		"RAPPORT_PARTITIONS=8", "RAPPORT_REGION=PL", "RAPPORT_KAFKA_BROKERS=a:1, b:2",
		"RAPPORT_SERVICE_HOST=10.0.0.1", "RAPPORT_RATES=USD=41.5,EUR=45", "RAPPORT_KAFKA_TLS=true", "HOME=/",
	}
	flags := map[string]string{"partitions": "12", "sinks.webhook.url": "http://127.0.0.1:1/hook"}
	c, err := LoadConfig(file, env, flags)
	if err != nil {
		t.Fatal(err)
	}
	if c.Currency != "EUR" || c.Region != "PL" || c.Partitions != 12 || !c.Kafka.TLS {
		t.Errorf("a layer is missing: %+v", c)
	}
	if !reflect.DeepEqual(c.Kafka.Brokers, []string{"a:1", "b:2"}) || c.Rates["USD"] != 41.5 {
		t.Errorf("lists and maps: %+v %+v", c.Kafka, c.Rates)
	}
	if c.Sinks.Webhook == nil || c.Sinks.Webhook.URL != "http://127.0.0.1:1/hook" {
		t.Errorf("webhook: %+v", c.Sinks.Webhook)
	}
}

func TestConfigLayersNameTheirProblems(t *testing.T) {
	_, err := LoadConfig("testdata/config/good/empty.yaml",
		[]string{"RAPPORT_PARTITIONS=many", "RAPPORT_KAFKA_BROKERS=a:1,b"},
		map[string]string{"region": "Ukraine", "no.such": "1", "listen": "0.0.0.0:80"})
	want := `RAPPORT_PARTITIONS: partitions: must be a whole number, not "many"
--no-such: no.such: unknown key
RAPPORT_KAFKA_BROKERS: kafka.brokers[1]: must be host:port, not "b"
--region: region: must be a country's two capital letters such as UA, not "Ukraine"`
	if err == nil {
		t.Fatal("accepted")
	}
	for line := range strings.SplitSeq(want, "\n") {
		if !strings.Contains(err.Error(), line) {
			t.Errorf("missing %q in\n%v", line, err)
		}
	}
	if !strings.Contains(err.Error(), "--listen: listen: must be a loopback address") {
		t.Errorf("open server accepted:\n%v", err)
	}
}

func TestConfigMissingFile(t *testing.T) {
	var wrong *ConfigError
	_, err := LoadConfig(filepath.Join(t.TempDir(), "no.yaml"), nil, nil)
	if !errors.As(err, &wrong) || !strings.HasSuffix(err.Error(), "no.yaml: cannot be read: no such file or directory") {
		t.Errorf("a named file that is missing: %v", err)
	}
	t.Chdir(t.TempDir())
	c, err := LoadConfig("", nil, nil)
	if err != nil || !reflect.DeepEqual(c, DefaultConfig()) {
		t.Errorf("no file: %v %+v", err, c)
	}
}

func TestConfigWarnings(t *testing.T) {
	c := DefaultConfig()
	if w := c.Warnings(); len(w) != 0 {
		t.Errorf("defaults warn: %v", w)
	}
	c.Listen = "0.0.0.0:80"
	if w := c.Warnings(); len(w) != 1 || !strings.Contains(w[0].Text, "identity_secret") {
		t.Errorf("unsigned identifiers in public: %v", w)
	}
	c = DefaultConfig()
	c.Sinks.SMTP = &SMTPSink{}
	for _, want := range []string{"secret: ", "url: ", ""} {
		if w := c.Warnings(); len(w) > 1 || (len(w) == 1) != (want != "") || len(w) == 1 && !strings.HasPrefix(w[0].Text, want) {
			t.Errorf("mail to people: %v, want %q", w, want)
		}
		if c.Secret != "" {
			c.URL = "https://rapport.shop.example"
		}
		c.Secret = "s"
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "5m": 5 * time.Minute, "1d12h": 36 * time.Hour, "2w": 14 * 24 * time.Hour, "0.5s": 500 * time.Millisecond,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
		if got, err := ParseDuration(formatDuration(want)); err != nil || got != want {
			t.Errorf("%v written as %q: %v, %v", want, formatDuration(want), got, err)
		}
	}
	for _, text := range []string{"", "5", "s", "-5s", "1s1m", "5 years", "1e9s", "99999999w", "1..5s", "5ms"} {
		if d, err := ParseDuration(text); err == nil {
			t.Errorf("%q read as %v", text, d)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]Size{"512KB": 512 * KB, "1.5GB": 1500 * MB, "100 MB": 100 * MB} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "4", "GB", "-1GB", "4G", "99999999999999GB"} {
		if s, err := ParseSize(text); err == nil {
			t.Errorf("%q read as %v", text, s)
		}
	}
}

func TestConfigReferenceIsUpToDate(t *testing.T) {
	const file = "../docs/configuration.md"
	want := ConfigReference()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("run go test ./engine -run Reference -update\n%s", diff)
	}
}

func FuzzParseConfig(f *testing.F) {
	files, _ := filepath.Glob("testdata/config/*/*.yaml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig("fuzz.yaml", data)
		var problems *ConfigError
		if err != nil && (!errors.As(err, &problems) || len(problems.Problems) == 0) {
			t.Fatalf("not a list of problems: %v", err)
		}
		if err == nil && (c.Partitions < 1 || c.Listen == "") {
			t.Fatalf("accepted: %+v", c)
		}
	})
}
