// Package redis keeps snapshots in Redis, for several processes: a server, or
// a cluster when several addresses are given.
//
// Everything of a partition is in one hash slot. Profiles are spread over 256
// hashes a partition, which costs less memory than a key each and is read back
// by a few large commands. A save of up to 100 blobs is one script. A larger one
// first writes its blobs to a journal in scripts of 100; one small script then
// makes it count, naming the snapshot that it follows; only then are the blobs
// moved to their hashes, which may be repeated and which the next Acquire
// finishes. Every script compares the epoch, so a paused owner changes nothing.
package redis

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/rapport-engine/rapport/engine/snapshot"
)

// Options say where the store is.
type Options struct {
	Addrs    []string // host:port; several are nodes of one cluster
	Cluster  bool     // a cluster, though one address is given
	User     string
	Password string
	TLS      bool
	Prefix   string        // of every key; "" = "rapport:"
	Timeout  time.Duration // of one command; 0 = 5 s
}

const (
	chunk   = 100 // blobs in one script
	buckets = 256 // hashes of a partition
	reading = 8   // of them read at once
)

// Store is a snapshot.Store in Redis.
type Store struct {
	client redis.UniversalClient
	prefix string

	// interrupt, where not nil, is called before each script of a large save:
	// tests stop there.
	interrupt func(step string) error
}

var _ snapshot.Store = (*Store)(nil)

// The library prints, by one logger of the whole process, what it returns as
// errors, too.
func init() { redis.SetLogger(silent{}) }

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// New makes a store; it connects when first used. Close it.
func New(o Options) (*Store, error) {
	if len(o.Addrs) == 0 {
		return nil, errors.New("cannot use redis: no addresses are configured")
	}
	timeout := o.Timeout
	if timeout <= 0 {
		timeout = 5 * time.Second
	}
	opts := &redis.UniversalOptions{
		Addrs: o.Addrs, IsClusterMode: o.Cluster, Username: o.User, Password: o.Password,
		ContextTimeoutEnabled: true, DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		DisableIdentity:          true,
		DialerRetries:            1, // commands have retries of their own
	}
	if o.TLS {
		opts.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	s := &Store{client: redis.NewUniversalClient(opts), prefix: o.Prefix}
	s.client.AddHook(awayHook{})
	if s.prefix == "" {
		s.prefix = "rapport:"
	}
	return s, nil
}

// Close closes the connections.
func (s *Store) Close() error {
	if err := s.client.Close(); err != nil {
		return fmt.Errorf("cannot close redis: %w", err)
	}
	return nil
}

// space is a partition, or the catalogue's items: what one head, one journal
// and a set of hashes belong to. Its keys share a hash slot.
type space string

func (s *Store) partition(p int32) space { return space(fmt.Sprintf("%s{p%d}:", s.prefix, p)) }
func (s *Store) items() space            { return space(s.prefix + "{items}:") }

func (s space) head() string    { return string(s) + "head" }
func (s space) journal() string { return string(s) + "journal" }
func (s space) blobs() string   { return string(s) + "b:" }

// bucket is the hash that id is in.
func bucket(id string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return strconv.Itoa(int(h.Sum32() % buckets))
}

// Acquire implements snapshot.Store.
func (s *Store) Acquire(ctx context.Context, partition int32) (snapshot.Meta, error) {
	sp := s.partition(partition)
	epoch, err := acquireScript.Run(ctx, s.client, []string{sp.head()}).Int64()
	if err != nil {
		return snapshot.Meta{}, fmt.Errorf("cannot take over partition %d: %w", partition, err)
	}
	if err := s.apply(ctx, sp); err != nil {
		return snapshot.Meta{}, fmt.Errorf("cannot finish the last snapshot of partition %d: %w", partition, err)
	}
	fields, err := s.client.HMGet(ctx, sp.head(), "epoch", "number", "offset", "meta", "state").Result()
	if err != nil {
		return snapshot.Meta{}, fmt.Errorf("cannot read the head of partition %d: %w", partition, err)
	}
	meta, err := headOf(fields)
	if err != nil {
		return snapshot.Meta{}, fmt.Errorf("cannot read the head of partition %d: %w", partition, err)
	}
	if meta.Epoch != epoch {
		return snapshot.Meta{}, fmt.Errorf("cannot take over partition %d: somebody else did: %w", partition, snapshot.ErrFenced)
	}
	return meta, nil
}

// headOf decodes epoch, number, offset, meta and, if asked for, state.
func headOf(fields []any) (snapshot.Meta, error) {
	var meta snapshot.Meta
	if text, ok := fields[3].(string); ok {
		if err := json.Unmarshal([]byte(text), &meta); err != nil {
			return meta, err
		}
	}
	for i, to := range []*int64{&meta.Epoch, &meta.Number, &meta.Offset} {
		text, ok := fields[i].(string)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return meta, err
		}
		*to = n
	}
	if len(fields) > 4 {
		if text, ok := fields[4].(string); ok {
			meta.State = []byte(text)
		}
	}
	return meta, nil
}

// Load implements snapshot.Store.
func (s *Store) Load(ctx context.Context, partition int32, fn func(id string, data []byte) error) error {
	sp := s.partition(partition)
	err := s.apply(ctx, sp) // what the last save left in the journal
	if err == nil {
		err = s.each(ctx, sp, fn)
	}
	if err != nil {
		return fmt.Errorf("cannot load partition %d: %w", partition, err)
	}
	return nil
}

// each calls fn with the blobs of a space that are in their places.
func (s *Store) each(ctx context.Context, sp space, fn func(id string, data []byte) error) error {
	for first := 0; first < buckets; first += reading {
		pipe := s.client.Pipeline()
		hashes := make([]*redis.MapStringStringCmd, reading)
		for i := range hashes {
			hashes[i] = pipe.HGetAll(ctx, sp.blobs()+strconv.Itoa(first+i))
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return err
		}
		for _, cmd := range hashes {
			for id, data := range cmd.Val() {
				if err := fn(id, []byte(data)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Save implements snapshot.Store.
func (s *Store) Save(ctx context.Context, partition int32, prev, next snapshot.Meta, blobs []snapshot.Blob) error {
	if err := snapshot.CheckNext(prev, next); err != nil {
		return err
	}
	held, err := s.save(ctx, s.partition(partition), prev, next, blobs)
	if err != nil {
		return fmt.Errorf("cannot save the snapshot of partition %d: %w", partition, err)
	}
	return snapshot.Refusal(partition, prev, held)
}

// Get implements snapshot.Store.
func (s *Store) Get(ctx context.Context, partition int32, id string) ([]byte, snapshot.Meta, error) {
	sp := s.partition(partition)
	var head *redis.SliceCmd
	var waiting, kept *redis.StringCmd
	_, err := s.client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		head = pipe.HMGet(ctx, sp.head(), "epoch", "number", "offset", "meta", "pending")
		waiting = pipe.HGet(ctx, sp.journal(), id)
		kept = pipe.HGet(ctx, sp.blobs()+bucket(id), id)
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, snapshot.Meta{}, fmt.Errorf("cannot read %q of partition %d: %w", id, partition, err)
	}
	fields := head.Val()
	data, err := kept.Bytes()
	if fields[4] == "1" { // the journal counts already
		if entry, e := waiting.Bytes(); e == nil {
			data, err = entryOf(entry)
		}
	}
	meta, e := headOf(fields[:4])
	switch {
	case e != nil:
		return nil, snapshot.Meta{}, fmt.Errorf("cannot read the head of partition %d: %w", partition, e)
	case errors.Is(err, redis.Nil), errors.Is(err, snapshot.ErrNotFound):
		return nil, meta, snapshot.ErrNotFound
	case err != nil:
		return nil, snapshot.Meta{}, fmt.Errorf("cannot read %q of partition %d: %w", id, partition, err)
	}
	return data, meta, nil
}

// Head implements snapshot.Store.
func (s *Store) Head(ctx context.Context, partition int32) (snapshot.Meta, error) {
	fields, err := s.client.HMGet(ctx, s.partition(partition).head(), "epoch", "number", "offset", "meta").Result()
	var meta snapshot.Meta
	if err == nil {
		meta, err = headOf(fields)
	}
	if err != nil {
		return snapshot.Meta{}, fmt.Errorf("cannot read the head of partition %d: %w", partition, err)
	}
	return meta, nil
}

// SaveItems implements snapshot.Store.
func (s *Store) SaveItems(ctx context.Context, prevOffset, nextOffset int64, items []snapshot.Blob) error {
	// Items have no owner; their offset numbers the snapshots.
	prev := snapshot.Meta{Number: prevOffset, Offset: prevOffset}
	next := snapshot.Meta{Number: nextOffset, Offset: nextOffset}
	held, err := s.save(ctx, s.items(), prev, next, items)
	if err != nil {
		return fmt.Errorf("cannot save items: %w", err)
	}
	if !held.Same(prev) {
		return fmt.Errorf("cannot save items: they follow offset %d, the store is at %d: %w", prevOffset, held.Offset, snapshot.ErrDiverged)
	}
	return nil
}

// LoadItems implements snapshot.Store.
func (s *Store) LoadItems(ctx context.Context, fn func(id string, data []byte) error) (int64, error) {
	sp := s.items()
	if err := s.apply(ctx, sp); err != nil {
		return 0, fmt.Errorf("cannot load items: %w", err)
	}
	offset, err := s.client.HGet(ctx, sp.head(), "offset").Int64()
	if err != nil && !errors.Is(err, redis.Nil) {
		return 0, fmt.Errorf("cannot load items: %w", err)
	}
	if err := s.each(ctx, sp, fn); err != nil {
		return 0, fmt.Errorf("cannot load items: %w", err)
	}
	return offset, nil
}

// CheckPartitions implements snapshot.Store.
func (s *Store) CheckPartitions(ctx context.Context, n int32) error {
	key := s.prefix + "partitions"
	if err := s.client.SetNX(ctx, key, n, 0).Err(); err != nil {
		return fmt.Errorf("cannot record the number of partitions: %w", err)
	}
	held, err := s.client.Get(ctx, key).Int64()
	if err != nil {
		return fmt.Errorf("cannot read the number of partitions: %w", err)
	}
	if held != int64(n) {
		return snapshot.PartitionsError(int32(held), n)
	}
	return nil
}
