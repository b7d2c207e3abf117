package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/engine/snapshot"
	"github.com/rapport-engine/rapport/engine/snapshot/pebble"
	"github.com/rapport-engine/rapport/engine/snapshot/redis"
	"github.com/rapport-engine/rapport/recommender"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/delivery"
	"github.com/rapport-engine/rapport/streams/kafka"
)

var (
	// ErrUnavailable is returned while the broker or the store is away, or the
	// engine is not running: nothing was lost, try again.
	ErrUnavailable = errors.New("unavailable")
	// ErrNotFound is returned for a customer or an item that is not known.
	ErrNotFound = errors.New("not found")
)

// Options are an engine's surroundings. The zero value logs and measures
// nothing.
type Options struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Rules      *rules.Set // nil: loaded from the configured directory
	MessageLog io.Writer  // where the log sink writes; nil: standard output
	// Quiet delivers nothing: messages are decided only.
	Quiet bool
	// Unsynced leaves it to the operating system when to write the log and the
	// snapshots to disk: for what can be done again, such as a replay.
	Unsynced bool
	// Volatile keeps nothing: the embedded broker's log stays in memory.
	Volatile bool
	// AcceptLogLoss goes on where the log has lost records that the snapshots
	// need, or is another one, instead of returning ErrLogLost.
	AcceptLogLoss bool
}

// Engine is Rapport without its HTTP side: the partitions that this process
// owns, the recommender, the catalogue, and the way in for events.
type Engine struct {
	cfg      Config
	opts     Options
	settings settings
	log      *slog.Logger
	decoder  streams.Decoder

	rules     atomic.Pointer[rules.Set]
	catalogue *recommender.Catalogue
	model     *recommender.Recommender
	messages  *recent[streams.Message]
	letters   *recent[streams.DeadLetter]
	parsed    parsedRules
	overlay   overlay
	moves     moves

	catalogOffset atomic.Int64 // next record of `catalog` to fold
	catalogSeen   atomic.Int64 // number of the last change that the catalogue shows
	live          atomic.Bool
	modelRead     atomic.Bool // the model has read what other processes' partitions had at the start
	snapshotError atomic.Pointer[error]
	modelSaved    atomic.Pointer[[]int64] // positions of the model's last checkpoint
	saving        sync.Mutex              // one snapshot at a time; before mu

	mu          sync.RWMutex // guards what follows
	running     bool
	broker      *kafka.Embedded // nil with a Kafka of its own
	client      kafka.Config
	producer    *kafka.Producer
	store       snapshot.Store
	copies      *copies
	catalogLost bool // and that was accepted
	owned       map[int32]*partition
	stores      map[int32]*profiles.Store     // of owned partitions, and of those being restored
	changed     chan struct{}                 // closed, and made anew, when owned changes
	gone        Counts                        // of partitions given up
	deliveries  map[string]*delivery.Delivery // by sink; never changed once set
}

// New checks the configuration and wires an engine; Run starts it.
func New(cfg Config, opts Options) (*Engine, error) {
	set := opts.Rules
	if set == nil {
		var err error
		if set, err = rules.Load(cfg.Rules); err != nil {
			return nil, err
		}
	}
	e := &Engine{
		cfg: cfg, opts: opts, settings: newSettings(&cfg, set), log: opts.Logger,
		decoder:   streams.Decoder{Region: cfg.Region},
		catalogue: recommender.NewCatalogue(),
		messages:  newRecent(recentKept, func(m *streams.Message) string { return m.ID }),
		letters:   newRecent(recentKept, func(l *streams.DeadLetter) string { return l.Number }),
		owned:     map[int32]*partition{}, stores: map[int32]*profiles.Store{}, changed: make(chan struct{}), gone: newCounts(),
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	e.model = recommender.New(recommender.Config{Placements: placements(set)}, e.catalogue)
	e.rules.Store(set)
	if opts.Registerer != nil {
		if err := opts.Registerer.Register(newCollector(e)); err != nil {
			return nil, fmt.Errorf("cannot register metrics: %w", err)
		}
	}
	return e, nil
}

func newSettings(cfg *Config, set *rules.Set) settings {
	s := settings{
		Partitions: int32(cfg.Partitions), Timezone: cfg.Timezone, Crowd: crowdSize, Step: stepSize,
		Profile:  profiles.DefaultSettings(),
		Identity: profiles.IdentityLimits{MaxConflicts: cfg.Identity.MaxConflicts, Blocked: map[string]bool{}},
	}
	s.Profile.Currency, s.Profile.Rates = cfg.Currency, cfg.Rates
	s.Profile.CartTTL = cfg.CartTTL
	s.Profile.Counted = counted(set)
	for _, id := range cfg.Identity.Blocked {
		s.Identity.Blocked[id] = true
	}
	return s
}

// counted are the event names that the rules count.
func counted(set *rules.Set) map[string]bool {
	names := map[string]bool{}
	for _, name := range set.CountedEvents() {
		names[name] = true
	}
	return names
}

// Run opens the broker, the store and the partitions, and folds until ctx ends.
// It starts again by itself after a failure that can pass; it returns an error
// only for one that cannot, and nil when ctx ended.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.open(ctx); err != nil {
		if ctx.Err() != nil {
			return e.close()
		}
		return errors.Join(err, e.close())
	}
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := e.fold(ctx)
		if ctx.Err() != nil {
			return e.close()
		}
		if !passing(err) {
			return errors.Join(lost(err), e.close())
		}
		e.log.Warn("starting again from the snapshots", "error", err, "in", wait)
		select {
		case <-ctx.Done():
			return e.close()
		case <-time.After(wait):
		}
	}
}

// passing reports whether a failure may be gone at the next try.
func passing(err error) bool {
	return err == nil || errors.Is(err, kafka.ErrUnavailable) || errors.Is(err, ErrUnavailable) || errors.Is(err, snapshot.ErrFenced) ||
		errors.Is(err, snapshot.ErrDiverged) || errors.Is(err, snapshot.ErrUnavailable)
}

// open starts or reaches the broker and the store and loads what every
// partition needs.
func (e *Engine) open(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.openBroker(ctx); err != nil {
		return err
	}
	warnings, err := kafka.EnsureTopics(ctx, e.client)
	if err != nil {
		return err
	}
	for _, warning := range warnings {
		e.log.Warn(warning)
	}
	if e.producer, err = kafka.NewProducer(e.client); err != nil {
		return err
	}
	if err := e.openStore(ctx); err != nil {
		return err
	}
	if e.opts.AcceptLogLoss {
		if e.catalogLost, err = e.acceptCatalogueLoss(ctx); err != nil {
			return err
		}
	}
	if err := e.restoreCatalogue(ctx); err != nil {
		return err
	}
	if err := e.restoreModel(ctx); err != nil {
		return err
	}
	if err := e.offerRules(ctx, e.rules.Load()); err != nil {
		return err
	}
	e.running = true
	return nil
}

func (e *Engine) openBroker(ctx context.Context) error {
	e.client = kafkaConfig(&e.cfg)
	e.client.Instance, e.client.Logger, e.client.Registerer = e.instance(), e.opts.Logger, e.opts.Registerer
	if len(e.cfg.Kafka.Brokers) > 0 {
		return nil
	}
	broker, err := kafka.StartEmbedded(ctx, kafka.EmbeddedConfig{
		Dir: filepath.Join(e.cfg.Data, "log"), Memory: e.opts.Volatile, Partitions: e.settings.Partitions,
		Prefix: e.cfg.Kafka.Prefix, SyncWrites: !e.opts.Unsynced, DataLimit: int64(e.cfg.DataLimit), Logger: e.opts.Logger,
		Holders: map[string][]string{kafka.TopicEvents: {holderSnapshots, holderModel}},
		Groups:  e.deliveryGroups(),
	})
	if err != nil {
		return err
	}
	e.broker, e.client.Brokers, e.client.Embedded, e.client.Full = broker, broker.Addrs(), broker, broker.Full
	e.client.ProduceTimeout, e.client.SessionTimeout = embeddedPatience, embeddedSession
	e.client.Instance = "embedded" // the only member: the directory is locked
	return nil
}

// instance is this process's stable name: the host's where none is given.
func (e *Engine) instance() string {
	if e.cfg.Instance != "" {
		return e.cfg.Instance
	}
	name, err := os.Hostname()
	if err != nil {
		e.log.Warn("the host has no name; set instance, so that a restart keeps its partitions", "error", err)
	}
	return name
}

// embeddedPatience bounds a produce to the embedded broker, which shares the
// process's cores: slow is not away.
const embeddedPatience = 30 * time.Second

// embeddedSession is how long the embedded broker waits for a sign of life:
// nobody else could take over.
const embeddedSession = 5 * time.Minute

func (e *Engine) openStore(ctx context.Context) error {
	store, err := e.newStore()
	if err != nil {
		return err
	}
	e.store = store
	if e.copies, err = newCopies(store); err != nil {
		return err
	}
	return store.CheckPartitions(ctx, e.settings.Partitions)
}

func (e *Engine) newStore() (snapshot.Store, error) {
	if len(e.cfg.Redis.Addrs) > 0 {
		return redis.New(redis.Options{Addrs: e.cfg.Redis.Addrs, Prefix: e.cfg.Kafka.Prefix})
	}
	return pebble.Open(filepath.Join(e.cfg.Data, "snapshots"), pebble.Options{Memory: e.opts.Volatile, NoSync: e.opts.Unsynced, Logger: e.opts.Logger})
}

// fold owns partitions and folds them until ctx ends or something fails.
func (e *Engine) fold(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return kafka.RunGroup(ctx, e.client, "engine", kafka.TopicEvents, partitions{e}) })
	g.Go(func() error { return kafka.RunGroup(ctx, e.client, "catalog", kafka.TopicCatalog, catalogOwner{e}) })
	g.Go(func() error { return e.tick(ctx) })
	g.Go(func() error { return e.saveSnapshots(ctx) })
	g.Go(func() error { return e.saveModel(ctx) })
	if e.broker == nil {
		g.Go(func() error { return e.readOthers(ctx) })
	}
	if e.cfg.Memory > 0 {
		g.Go(func() error { return e.keepBudget(ctx) })
	}
	if !e.opts.Quiet {
		g.Go(func() error { return e.deliver(ctx) })
		g.Go(func() error { return e.follow(ctx, kafka.TopicMessages, e.noteMessage) })
		g.Go(func() error { return e.follow(ctx, kafka.TopicDeadLetter, e.noteLetter) })
	}
	return g.Wait()
}

// close stops what open started: the producer while the broker still answers,
// the store when nobody writes any more, the broker last.
func (e *Engine) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running = false
	var errs []error
	if e.producer != nil {
		e.producer.Close()
	}
	if e.copies != nil {
		e.copies.close()
	}
	if e.store != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		errs = append(errs, e.checkpointModel(ctx), e.store.Close())
	}
	if e.broker != nil {
		errs = append(errs, e.broker.Close())
	}
	return errors.Join(errs...)
}

// goLive notes that the log takes live events: its owner ticks from now on.
func (e *Engine) goLive() { e.live.Store(true) }

// Live reports whether the log has had a live event: it takes no history then.
func (e *Engine) Live() bool { return e.live.Load() }

// Partitions is the number of partitions of `events`.
func (e *Engine) Partitions() int32 { return e.settings.Partitions }

// Rules are the rules in force.
func (e *Engine) Rules() *rules.Set { return e.rules.Load() }
