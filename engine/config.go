package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"
)

// Config is everything that can be set about a process, in the shape of
// rapport.yaml. The tags `yaml` and `doc` are what the file, the environment,
// the flags and docs/configuration.md are made from.
type Config struct {
	Listen           string             `yaml:"listen" doc:"address of the HTTP API, host:port; port 0 takes a free one. Without keys only a loopback address is allowed"`
	URL              string             `yaml:"url" doc:"public address of the HTTP API, for links in messages, such as https://rapport.shop.example; empty: http:// and listen"`
	Admin            string             `yaml:"admin" doc:"address of the admin listener (metrics, profiling); empty turns it off"`
	Data             string             `yaml:"data" doc:"directory of the embedded broker and the snapshots"`
	DataLimit        Size               `yaml:"data_limit" doc:"most that the embedded broker may keep on disk; ingest answers 503 above it. At least 100MB"`
	Memory           Size               `yaml:"memory" doc:"what customers' profiles may take in memory, at least 10MB; above it those that changed least recently are left to the snapshot store, and read back with their next event. The process needs about as much again for the collector, and more for the recommender. 0: no limit"`
	Rules            string             `yaml:"rules" doc:"directory of rules (*.yaml); where there is none, the built-in triggers and placements"`
	Templates        string             `yaml:"templates" doc:"directory of message templates (*.html, *.txt); a message without one gets the built-in template"`
	Partitions       int                `yaml:"partitions" doc:"partitions of the events topic when it is created, 1 to 1024"`
	Kafka            KafkaConfig        `yaml:"kafka"`
	Redis            RedisConfig        `yaml:"redis"`
	Keys             KeysConfig         `yaml:"keys"`
	CORS             CORSConfig         `yaml:"cors"`
	Region           string             `yaml:"region" doc:"default region of phone numbers, two letters (ISO 3166)"`
	Timezone         string             `yaml:"timezone" doc:"time zone of customers whose own is unknown (IANA name)"`
	Currency         string             `yaml:"currency" doc:"currency that revenue is counted in, three letters (ISO 4217)"`
	Rates            map[string]float64 `yaml:"rates" doc:"what one unit of another currency is worth in currency; orders in currencies without a rate add nothing to revenue"`
	CartTTL          time.Duration      `yaml:"cart_ttl" doc:"how long a line stays in a cart, 1h to 52w"`
	Identity         IdentityConfig     `yaml:"identity"`
	IdentitySecret   string             `yaml:"identity_secret" doc:"signs strong identifiers sent from browsers; empty turns signing off"`
	Instance         string             `yaml:"instance" doc:"stable name of this process among others; empty takes the host's name"`
	SessionTimeout   time.Duration      `yaml:"session_timeout" doc:"after this long without a heartbeat another process takes over the partitions, 6s to 5m"`
	Secret           string             `yaml:"secret" doc:"signs links and coupons"`
	SnapshotInterval time.Duration      `yaml:"snapshot_interval" doc:"how often changed profiles are written to the snapshot store, 0.1s to 10m"`
	Sinks            SinksConfig        `yaml:"sinks"`
}

// KafkaConfig says which Kafka to use. Without brokers the process starts its
// own in the data directory.
type KafkaConfig struct {
	Brokers []string   `yaml:"brokers" doc:"addresses host:port of a Kafka cluster; empty starts a broker in the process"`
	TLS     bool       `yaml:"tls" doc:"speak TLS to the brokers"`
	SASL    SASLConfig `yaml:"sasl"`
	Prefix  string     `yaml:"prefix" doc:"begins the name of every topic and consumer group"`
}

// SASLConfig is how the process proves itself to Kafka.
type SASLConfig struct {
	Mechanism string `yaml:"mechanism" doc:"PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty for none"`
	User      string `yaml:"user" doc:"user name"`
	Password  string `yaml:"password" doc:"password"`
}

// RedisConfig says which Redis holds the snapshots. Without addresses they are
// kept in the data directory.
type RedisConfig struct {
	Addrs []string `yaml:"addrs" doc:"addresses host:port; several are a Redis Cluster; empty keeps snapshots in the data directory"`
}

// KeysConfig are the API keys by scope. With none everything is open.
type KeysConfig struct {
	Write []string `yaml:"write" doc:"public keys, for browsers: ingest and recommend"`
	Read  []string `yaml:"read" doc:"server keys: everything of a customer, the catalogue, and what write may"`
	Admin []string `yaml:"admin" doc:"operators' keys: everything"`
}

// Empty reports whether there is no key at all.
func (k KeysConfig) Empty() bool { return len(k.Write)+len(k.Read)+len(k.Admin) == 0 }

// CORSConfig says which web pages may call the API.
type CORSConfig struct {
	Origins []string `yaml:"origins" doc:"origins of web pages that may make write calls: * or https://shop.example"`
}

// IdentityConfig bounds how identifiers are linked.
type IdentityConfig struct {
	MaxConflicts int      `yaml:"max_conflicts" doc:"how many second profiles may claim an identifier before it is blocked, 1 to 1000"`
	Blocked      []string `yaml:"blocked" doc:"identifiers type:value that link nothing, such as the till's own card"`
}

// SinksConfig are the receivers of messages. A nil one is not configured; what
// no sink serves goes to the log.
type SinksConfig struct {
	Webhook *WebhookSink `yaml:"webhook"`
	SMTP    *SMTPSink    `yaml:"smtp"`
	HTTP    *HTTPSink    `yaml:"http"`
	Kafka   *KafkaSink   `yaml:"kafka"`
	Log     *LogSink     `yaml:"log"`
}

// WebhookSink posts messages to a URL, signed as Standard Webhooks say.
type WebhookSink struct {
	URL      string   `yaml:"url" doc:"where messages are posted to, http or https"`
	Secret   string   `yaml:"secret" doc:"signs requests: whsec_ and base64; empty sends them unsigned"`
	Channels []string `yaml:"channels" doc:"channels that the sink serves; empty: webhook"`
}

// SMTPSink sends e-mail.
type SMTPSink struct {
	Addr     string   `yaml:"addr" doc:"mail server, host:port; TLS from the beginning on port 465, else STARTTLS where the server offers it"`
	From     string   `yaml:"from" doc:"sender's address, such as shop@example or Shop <shop@example>"`
	User     string   `yaml:"user" doc:"user name at the mail server; empty sends without logging in"`
	Password string   `yaml:"password" doc:"password at the mail server"`
	Channels []string `yaml:"channels" doc:"channels that the sink serves; empty: email"`
}

// HTTPSink makes requests to a provider of SMS, push or chat messages. URL, Body
// and the values of Headers are Go templates over the message's JSON.
type HTTPSink struct {
	URL      string            `yaml:"url" doc:"where requests go to, http or https; a template: {{.to}} is the receiver"`
	Method   string            `yaml:"method" doc:"POST, PUT, PATCH or GET; empty: POST"`
	Headers  map[string]string `yaml:"headers" doc:"headers of the request; their values are templates"`
	Body     string            `yaml:"body" doc:"template of the body, over the message's JSON with subject, text and html as its template renders them; empty: the message's JSON"`
	Channels []string          `yaml:"channels" doc:"channels that the sink serves; empty: http"`
}

// KafkaSink leaves messages to whoever else reads the topic, and reports what
// became of them.
type KafkaSink struct {
	Channels []string `yaml:"channels" doc:"channels whose messages others take from the topic messages; empty: kafka"`
}

// LogSink writes messages to the process's log.
type LogSink struct {
	Channels []string `yaml:"channels" doc:"channels that the sink serves; empty: log"`
}

// PublicURL is where customers reach the API: URL, else what it listens on; ""
// where neither says.
func (c Config) PublicURL() string {
	if c.URL != "" {
		return c.URL
	}
	if _, port, err := net.SplitHostPort(c.Listen); err != nil || port == "0" {
		return ""
	}
	return "http://" + c.Listen
}

// DefaultConfig is the configuration of a process that is told nothing.
func DefaultConfig() Config {
	return Config{
		Listen:           "127.0.0.1:8080",
		Admin:            "127.0.0.1:8081",
		Data:             "./data",
		DataLimit:        4 * GB,
		Rules:            "./rules",
		Templates:        "./templates",
		Partitions:       16,
		Kafka:            KafkaConfig{Prefix: "rapport."},
		CORS:             CORSConfig{Origins: []string{"*"}},
		Region:           "UA",
		Timezone:         "Europe/Kyiv",
		Currency:         "UAH",
		CartTTL:          30 * 24 * time.Hour,
		Identity:         IdentityConfig{MaxConflicts: 3},
		SessionTimeout:   6 * time.Second,
		SnapshotInterval: 2 * time.Second,
	}
}

// Problem is one thing wrong with a configuration.
type Problem struct {
	File         string // the file, environment variable or flag it is in
	Line, Column int    // from 1; 0 where there is none
	Text         string // names the key and says what is allowed
}

// String is "file:line:column: text", without what is not known.
func (p Problem) String() string {
	switch {
	case p.File == "":
		return p.Text
	case p.Line == 0:
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Text)
}

// ConfigError is returned by LoadConfig with everything wrong at once, in the
// order of the file, then of the environment, then of the flags.
type ConfigError struct {
	Problems []Problem
}

// Error lists the problems, one a line.
func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// ConfigFile is the file that LoadConfig reads when it is given none.
const ConfigFile = "rapport.yaml"

// LoadConfig reads the file at path over the defaults, then the environment
// (as os.Environ returns it), then flags: values by path, such as
// "kafka.brokers", in the text form of the environment. An empty path reads
// rapport.yaml of the current directory if there is one. All problems are
// returned together as a *ConfigError.
func LoadConfig(path string, env []string, flags map[string]string) (Config, error) {
	b := newConfigBuilder()
	name := path
	if name == "" {
		name = ConfigFile
	}
	data, err := os.ReadFile(name)
	switch {
	case err == nil:
		b.file(name, data)
	case path == "" && errors.Is(err, os.ErrNotExist):
	default:
		return b.config, &ConfigError{Problems: []Problem{{File: name, Text: fmt.Sprintf("cannot be read: %v", unwrapPath(err))}}}
	}
	b.environment(env)
	b.flags(flags)
	return b.finish()
}

// unwrapPath is err without the path that it repeats.
func unwrapPath(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// ParseConfig is LoadConfig of a file's content; name is what problems call it.
func ParseConfig(name string, data []byte) (Config, error) {
	b := newConfigBuilder()
	b.file(name, data)
	return b.finish()
}
