package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Topics of Rapport, without prefix.
const (
	TopicEvents     = "events"
	TopicMessages   = "messages"
	TopicCatalog    = "catalog"
	TopicRetry      = "retry"
	TopicDeadLetter = "deadletter"
)

// Config says where the brokers are and how to use them.
type Config struct {
	Brokers    []string // host:port
	TLS        bool
	SASL       SASL
	Prefix     string // of topics and groups, "rapport."
	Partitions int32  // of `events` and `messages`

	// Instance is this process's stable name. A group gives a process that
	// comes back under it what it had before, without a rebalance. Empty: a
	// name of the broker's choice.
	Instance       string
	SessionTimeout time.Duration // 0 = 6 s
	// ProduceTimeout bounds how long a record may wait for its acknowledgement
	// before its produce fails with ErrUnavailable; 0 = 5 s, at least 1 s.
	ProduceTimeout time.Duration

	// Embedded is the broker where it is our own, else nil: not compressed for,
	// and without the settings that it does not know.
	Embedded *Embedded
	// Full, where not nil, is asked before each produce; an error refuses it,
	// but not that of Producer.Unlimited. Embedded.Full is one.
	Full func() error

	Logger     *slog.Logger          // nil = none
	Registerer prometheus.Registerer // nil = none
}

// SASL authenticates to the brokers. Mechanism is "" (none), "PLAIN",
// "SCRAM-SHA-256" or "SCRAM-SHA-512".
type SASL struct {
	Mechanism, User, Password string
}

// Errors that callers tell apart.
var (
	// ErrUnavailable is returned when the broker cannot be reached or did not
	// answer in time. What was to be written may or may not have been.
	ErrUnavailable = errors.New("kafka is unavailable")
	// ErrFull is returned when the embedded broker has reached its data limit.
	ErrFull = errors.New("the embedded broker is full")
	// ErrTooLarge is returned when a record is larger than the broker takes.
	ErrTooLarge = errors.New("the record is too large")
)

// OffsetError is returned when a log does not hold the offset to read from:
// it was deleted, or this is another log. Nothing resets by itself.
type OffsetError struct {
	Topic      string // as on the broker
	Partition  int32
	Wanted     int64
	Start, End int64 // what there is: from Start up to before End
}

// Error says what was wanted and what there is.
func (e *OffsetError) Error() string {
	return fmt.Sprintf("cannot read partition %d of %q from offset %d: the log holds offsets %d to %d; it lost records that were not yet read, or it is another log",
		e.Partition, e.Topic, e.Wanted, e.Start, e.End)
}

func (c *Config) topic(name string) string { return c.Prefix + name }

func (c *Config) sessionTimeout() time.Duration {
	if c.SessionTimeout <= 0 {
		return 6 * time.Second
	}
	return c.SessionTimeout
}

func (c *Config) produceTimeout() time.Duration {
	if c.ProduceTimeout <= 0 {
		return 5 * time.Second
	}
	return max(c.ProduceTimeout, time.Second)
}

// syncs reports whether what the broker has acknowledged is still to be synced.
func (c *Config) syncs() bool { return c.Embedded != nil && c.Embedded.syncer != nil }

// durable waits until all records of a topic's partition before an offset
// survive a power cut. With a broker that is not our own they do.
func (c *Config) durable(ctx context.Context, topic string, partition int32, next int64) error {
	if !c.syncs() {
		return nil
	}
	return await(ctx, func(done func(error)) { c.Embedded.syncer.sync(c.topic(topic), partition, next, done) })
}

// durableCommits is durable for the commits of groups.
func (c *Config) durableCommits(ctx context.Context) error {
	if !c.syncs() {
		return nil
	}
	return await(ctx, c.Embedded.syncer.syncCommits)
}

func await(ctx context.Context, start func(done func(error))) error {
	result := make(chan error, 1)
	start(func(err error) { result <- err })
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// connect returns a client with what every use of the brokers shares. It dials
// when first used.
func (c *Config) connect(opts ...kgo.Opt) (*kgo.Client, error) {
	if len(c.Brokers) == 0 {
		return nil, errors.New("cannot connect to kafka: no brokers are configured")
	}
	id := c.Instance
	if id == "" {
		id = "rapport"
	}
	all := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID(id),
		kgo.DisableClientMetrics(),
		kgo.DialTimeout(3 * time.Second),
		kgo.RequestTimeoutOverhead(5 * time.Second),
		kgo.RetryTimeout(15 * time.Second),
		kgo.RetryBackoffFn(backoff),
		kgo.MetadataMinAge(250 * time.Millisecond), // a moved partition is found within ProduceTimeout
	}
	if c.Logger != nil {
		all = append(all, kgo.WithLogger(logger{c.Logger}))
	}
	if c.TLS {
		all = append(all, kgo.DialTLSConfig(&tls.Config{MinVersion: tls.VersionTLS12}))
	}
	mechanism, err := c.SASL.mechanism()
	if err != nil {
		return nil, err
	}
	if mechanism != nil {
		all = append(all, kgo.SASL(mechanism))
	}
	client, err := kgo.NewClient(append(all, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("cannot make a kafka client: %w", err)
	}
	return client, nil
}

// backoff is how long to wait after so many failures.
func backoff(failures int) time.Duration {
	const first, longest = 50 * time.Millisecond, 2 * time.Second
	wait := longest
	if failures < 6 {
		wait = min(longest, first<<max(failures-1, 0))
	}
	return wait*3/4 + rand.N(wait/2) // members of a group do not come back together
}

func (s SASL) mechanism() (sasl.Mechanism, error) {
	switch strings.ToUpper(s.Mechanism) {
	case "":
		return nil, nil
	case "PLAIN":
		return plain.Auth{User: s.User, Pass: s.Password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: s.User, Pass: s.Password}.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return scram.Auth{User: s.User, Pass: s.Password}.AsSha512Mechanism(), nil
	}
	return nil, fmt.Errorf("cannot authenticate to kafka by %q: must be PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", s.Mechanism)
}

// unreachable reports whether err is that of a broker that is away.
func unreachable(err error) bool {
	var network net.Error
	var first *kgo.ErrFirstReadEOF // a connection that was closed at once
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.As(err, &network) || errors.As(err, &first)
}

// logger passes the client's log on, its details as debug.
type logger struct{ to *slog.Logger }

func (l logger) Level() kgo.LogLevel {
	if l.to.Enabled(context.Background(), slog.LevelDebug) {
		return kgo.LogLevelInfo
	}
	return kgo.LogLevelWarn
}

func (l logger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	to := slog.LevelDebug
	switch level {
	case kgo.LogLevelError:
		to = slog.LevelError
	case kgo.LogLevelWarn:
		to = slog.LevelWarn
	}
	l.to.Log(context.Background(), to, "kafka: "+msg, keyvals...)
}
