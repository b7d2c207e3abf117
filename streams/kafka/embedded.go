package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
)

// Defaults of EmbeddedConfig.
const (
	DefaultRetention      = 24 * time.Hour
	DefaultRetentionBytes = 1 << 30
	DefaultDataLimit      = 4 << 30
)

const (
	segmentBytes  = 16 << 20 // deleted as a whole, so small
	checkInterval = time.Second
)

// EmbeddedConfig configures the embedded broker.
type EmbeddedConfig struct {
	Dir    string // of its own; made if need be
	Memory bool   // keep nothing on disk; Dir is not used
	Port   int    // on loopback; 0 = any free one

	Prefix     string
	Partitions int32 // recorded at the first start; another number is refused later
	// SyncWrites makes each record that a client of this package has written,
	// or reads, survive a power cut, not only the end of the process.
	SyncWrites bool

	// Retention and RetentionBytes bound each topic but `catalog`; 0 = the
	// defaults, below 0 = no bound. What a holder still needs stays.
	Retention      time.Duration
	RetentionBytes int64
	// DataLimit is the size of all topics from which Full refuses; 0 = the
	// default, below 0 = none.
	DataLimit int64
	// Holders names, for each topic, who must have said by SetFloor what it
	// still needs of a partition before anything of it is deleted.
	Holders map[string][]string
	// Groups names, for each topic, the groups (without prefix) whose committed
	// offset is what they still need.
	Groups map[string][]string

	Logger *slog.Logger // nil = none

	journalBytes int64 // of each of the journal's files; 0 = 32 MiB
}

// Embedded is a broker in this process, with the protocol of Kafka: for one
// machine, not a replacement for a cluster.
type Embedded struct {
	cfg     EmbeddedConfig
	cluster *kfake.Cluster
	syncer  *syncer // nil where writes are not synced
	admin   *kadm.Client
	release func() // of the directory's lock
	stop    context.CancelFunc
	stopped sync.WaitGroup
	once    sync.Once

	size atomic.Int64 // of all topics, in bytes

	mu     sync.Mutex
	floors map[floor]int64 // guarded by mu
}

type floor struct {
	holder, topic string
	partition     int32
}

// StartEmbedded opens the log in the directory, which one process may use at
// a time, and serves it on loopback until Close. ctx bounds the start only.
func StartEmbedded(ctx context.Context, cfg EmbeddedConfig) (*Embedded, error) {
	if cfg.Partitions < 1 {
		return nil, fmt.Errorf("cannot start the embedded broker: %d partitions", cfg.Partitions)
	}
	cfg.setDefaults()
	b := &Embedded{cfg: cfg, release: func() {}, floors: map[floor]int64{}}
	if err := b.open(ctx); err != nil {
		b.release()
		return nil, err
	}
	own := Config{Brokers: b.Addrs(), Prefix: cfg.Prefix, Embedded: b, Logger: cfg.Logger}
	client, err := own.connect()
	if err != nil {
		return nil, errors.Join(err, b.shut())
	}
	b.admin = kadm.NewClient(client)
	b.measure()
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	b.stop = stop
	b.stopped.Go(func() { b.maintain(background) })
	return b, nil
}

func (c *EmbeddedConfig) setDefaults() {
	if c.Retention == 0 {
		c.Retention = DefaultRetention
	}
	if c.RetentionBytes == 0 {
		c.RetentionBytes = DefaultRetentionBytes
	}
	if c.DataLimit == 0 {
		c.DataLimit = DefaultDataLimit
	}
	if c.journalBytes == 0 {
		c.journalBytes = 32 << 20
	}
}

func (b *Embedded) open(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.GroupMinSessionTimeout(500 * time.Millisecond),
		kfake.BrokerConfigs(map[string]string{
			// Retention is ours: it must ask what is still needed.
			"log.retention.ms":          "-1",
			"log.retention.bytes":       "-1",
			"log.segment.bytes":         fmt.Sprint(segmentBytes),
			"log.cleaner.backoff.ms":    "600000",
			"offsets.retention.minutes": fmt.Sprint(10 * 365 * 24 * 60), // a machine may be off for long
		}),
	}
	if b.cfg.Port != 0 {
		opts = append(opts, kfake.Ports(b.cfg.Port))
	}
	if !b.cfg.Memory {
		if err := b.claim(); err != nil {
			return err
		}
		opts = append(opts, kfake.DataDir(b.logDir()))
	}
	journal, err := b.openJournal()
	if err != nil {
		return err
	}
	if !b.cfg.Memory {
		if err := mendStateFiles(b.logDir()); err != nil {
			return errors.Join(err, journal.close())
		}
	}
	if b.cluster, err = kfake.NewCluster(opts...); err != nil {
		return errors.Join(fmt.Errorf("cannot start the embedded broker in %q: %w", b.cfg.Dir, err), journal.close())
	}
	if b.cfg.SyncWrites {
		b.syncer = startSyncer(context.WithoutCancel(ctx), b.logDir(), b.cfg.Prefix+TopicCatalog, journal)
	}
	return nil
}

// openJournal opens the journal before kfake opens the log, also where writes
// are not synced now, but were before.
func (b *Embedded) openJournal() (*journal, error) {
	if b.cfg.Memory {
		b.cfg.SyncWrites = false
		return nil, nil
	}
	j, err := openJournal(b.cfg.Dir, b.logDir(), b.cfg.journalBytes)
	if err != nil || b.cfg.SyncWrites {
		return j, err
	}
	return nil, j.close()
}

func (b *Embedded) logDir() string { return filepath.Join(b.cfg.Dir, "log") }

// claim locks the directory and compares its number of partitions with ours.
func (b *Embedded) claim() error {
	if b.cfg.Dir == "" {
		return errors.New("cannot start the embedded broker: it has no directory")
	}
	if err := os.MkdirAll(b.cfg.Dir, 0o755); err != nil {
		return fmt.Errorf("cannot make the broker's directory: %w", err)
	}
	release, err := lockFile(filepath.Join(b.cfg.Dir, "LOCK"))
	if err != nil {
		return fmt.Errorf("cannot lock %q: another process is using it; stop that one, or give this one another data directory: %w", b.cfg.Dir, err)
	}
	b.release = release
	return b.checkPartitions()
}

// layout is what the directory was made for.
type layout struct {
	Partitions int32  `json:"partitions"`
	Prefix     string `json:"prefix"`
}

func (b *Embedded) checkPartitions() error {
	path := filepath.Join(b.cfg.Dir, "layout.json")
	want := layout{b.cfg.Partitions, b.cfg.Prefix}
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return writeFile(path, want)
	}
	if err != nil {
		return fmt.Errorf("cannot read the layout of the log: %w", err)
	}
	var have layout
	if err := json.Unmarshal(data, &have); err != nil {
		return fmt.Errorf("cannot read the layout of the log in %q: %w", path, err)
	}
	if have != want {
		return fmt.Errorf("cannot open the log in %q: it has %d partitions and prefix %q, the configuration says %d and %q; set partitions: %d and kafka.prefix: %q, or start with an empty data directory",
			b.cfg.Dir, have.Partitions, have.Prefix, want.Partitions, want.Prefix, have.Partitions, have.Prefix)
	}
	return nil
}

// writeFile writes v as JSON, whole or not at all.
func writeFile(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("cannot write %q: %w", path, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("cannot write %q: %w", path, err)
	}
	return nil
}

// Addrs are the broker's addresses, for Config.Brokers.
func (b *Embedded) Addrs() []string { return b.cluster.ListenAddrs() }

// Size is that of all topics in bytes, at most a second old.
func (b *Embedded) Size() int64 { return b.size.Load() }

// Full returns ErrFull while the topics hold more than DataLimit.
func (b *Embedded) Full() error {
	if limit := b.cfg.DataLimit; limit > 0 && b.size.Load() >= limit {
		return fmt.Errorf("%w: %d bytes of %d (data_limit)", ErrFull, b.size.Load(), limit)
	}
	return nil
}

// Close stops the broker and unlocks its directory. Close the clients first.
func (b *Embedded) Close() (err error) {
	b.once.Do(func() {
		b.stop()
		b.stopped.Wait()
		b.admin.Close()
		err = b.shut()
	})
	return err
}

// shut ends what open began.
func (b *Embedded) shut() (err error) {
	defer b.release()
	if b.syncer == nil {
		b.cluster.Close()
		return nil
	}
	err = b.syncer.close()
	b.cluster.Close() // writes its state files anew
	for _, f := range stateFiles(b.logDir()) {
		err = errors.Join(err, f.sync())
	}
	return err
}
