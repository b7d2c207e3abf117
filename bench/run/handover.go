package run

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"time"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/engine/snapshot/redis"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// RedisStart as RestConfig.Redis starts a redis-server for the benchmark.
const RedisStart = "start"

// HandOver is how long partitions that have profiles take from one process to
// another.
type HandOver struct {
	Seconds    float64 `json:"seconds"` // from the first given up to the last restored
	Partitions int     `json:"partitions"`
	Of         int     `json:"of"`
}

// reachRedis returns the address of the Redis that is asked for, and what ends one
// that was started for it.
func reachRedis(ctx context.Context, redisAt, dir string) (addr string, end func() error, err error) {
	if redisAt != RedisStart {
		return redisAt, func() error { return nil }, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("cannot find a free port: %w", err)
	}
	addr = l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	if err := l.Close(); err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", "everysec")
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("cannot start redis-server: %w", err)
	}
	end = func() error {
		err := cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		return err
	}
	if err := answers(ctx, addr); err != nil {
		return "", nil, errors.Join(err, end())
	}
	return addr, end, nil
}

// answers waits until a Redis does.
func answers(ctx context.Context, addr string) error {
	store, err := redis.New(redis.Options{Addrs: []string{addr}, Prefix: "bench.started.", Timeout: time.Second})
	if err != nil {
		return err
	}
	defer store.Close()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := store.CheckPartitions(ctx, 1)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("redis-server on %s does not answer: %w", addr, err)
		case <-ticker.C:
		}
	}
}

// handOver lets a process that owns everything share with a second one, on a
// broker of theirs.
func handOver(ctx context.Context, config engine.Config) (h *HandOver, err error) {
	broker, err := kafka.StartEmbedded(ctx, kafka.EmbeddedConfig{Memory: true, Partitions: int32(config.Partitions), Prefix: config.Kafka.Prefix, DataLimit: -1})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	config.Kafka.Brokers = broker.Addrs()
	config.Admin, config.SessionTimeout = "", engine.DefaultConfig().SessionTimeout
	var nodes [2]*server
	for i := range nodes {
		config.Instance = "bench" + strconv.Itoa(i)
		if nodes[i], err = launchServer(ctx, config, rules.BuiltIn()); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, nodes[i].close()) }()
		if i == 0 {
			if err := nodes[0].owns(ctx, config.Partitions); err != nil {
				return nil, err
			}
		}
	}
	h = &HandOver{Of: config.Partitions, Partitions: config.Partitions / 2}
	if err := nodes[0].owns(ctx, config.Partitions-h.Partitions); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := nodes[1].owns(ctx, h.Partitions); err != nil {
		return nil, err
	}
	h.Seconds = time.Since(began).Seconds()
	return h, nil
}

// owns waits until a process has restored so many partitions.
func (s *server) owns(ctx context.Context, n int) error {
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for {
		_, detail := s.Ready()
		if r, ok := detail.(engine.Readiness); ok && r.Partitions == n {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ended:
			return errors.New("the engine stopped while partitions were handed over")
		case <-ticker.C:
		}
	}
}
