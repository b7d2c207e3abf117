package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/rapport-engine/rapport/streams/kafka"
)

// OpenLog opens the log of a configuration for who only reads it: that of its
// brokers, or the embedded one in its data directory, of which nothing is deleted
// and which no other process may have open. Its error is ErrNotFound where the
// data directory has no log. A nil log tells nobody.
func OpenLog(ctx context.Context, cfg Config, log *slog.Logger) (client kafka.Config, closeLog func() error, err error) {
	client = kafkaConfig(&cfg)
	client.Logger = log
	if len(client.Brokers) > 0 {
		return client, func() error { return nil }, nil
	}
	dir := filepath.Join(cfg.Data, "log")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return client, nil, fmt.Errorf("cannot read the log in %q: %w: no server has written one there", dir, ErrNotFound)
	}
	broker, err := kafka.StartEmbedded(ctx, kafka.EmbeddedConfig{
		Dir: dir, Partitions: client.Partitions, Prefix: client.Prefix, Retention: -1, RetentionBytes: -1, DataLimit: -1, Logger: log,
	})
	if err != nil {
		return client, nil, fmt.Errorf("cannot read the log in %q, which nobody else may have open meanwhile: %w", dir, err)
	}
	client.Brokers, client.Embedded = broker.Addrs(), broker
	return client, broker.Close, nil
}

// kafkaConfig is what the configuration says of Kafka.
func kafkaConfig(cfg *Config) kafka.Config {
	return kafka.Config{
		Brokers: cfg.Kafka.Brokers, TLS: cfg.Kafka.TLS, Prefix: cfg.Kafka.Prefix,
		SASL:       kafka.SASL{Mechanism: cfg.Kafka.SASL.Mechanism, User: cfg.Kafka.SASL.User, Password: cfg.Kafka.SASL.Password},
		Partitions: int32(cfg.Partitions), SessionTimeout: cfg.SessionTimeout,
	}
}
