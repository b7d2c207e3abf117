package recommender

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rapport-engine/rapport/streams"
)

// ErrUnknownPlacement is returned when a request names a placement that is not
// configured; the error's text names those that are.
var ErrUnknownPlacement = errors.New("unknown placement")

// Names of the strategies that a placement may list (RULES.md, Placements).
const (
	Session        = "session"
	ViewedTogether = "viewed_together"
	BoughtTogether = "bought_together"
	Similar        = "similar"
	ForYou         = "for_you"
	BuyAgain       = "buy_again"
	RecentlyViewed = "recently_viewed"
	Trending       = "trending"
	Newest         = "new"
)

// Names that Answer.Strategy and Ranked.Reason can have besides strategies:
// StrategyCatalog when the newest items of the catalogue filled the list,
// StrategyPinned for pinned items, StrategyNone when there was nothing to answer.
const (
	StrategyCatalog = "catalog"
	StrategyPinned  = "pinned"
	StrategyNone    = "none"
)

// Config bounds what the models remember. A zero field takes the default named
// beside it.
type Config struct {
	Placements []Placement // DefaultPlacements()

	MaxItems     int // 1,000,000 item ids learned; new ids beyond are not, unless they are in the catalogue
	Sessions     int // 262,144 sessions in progress
	PastSessions int // 1,048,576 sessions of two items or more that session compares with; a power of two
	Places       int // 65,536 places in the shop (pages, lists, searches, categories) from which items are viewed; a power of two
	Customers    int // 65,536 customers whose recent orders are remembered
	Touched      int // 32,768 customers of whom it is known what recommendations brought to them, 400 bytes each, twice
	Neighbors    int // 64 neighbours kept for an item, in each of the two pair models
	Top          int // 1,000 trending items
	Alike        int // 131,072 items whose neighbours similar keeps, 300 bytes each; a power of two
	Scan         int // 131,072 items of the catalogue looked at to fill one list

	Session SessionParams

	ViewHalfLife  time.Duration // 14 days: viewed_together
	BuyHalfLife   time.Duration // 60 days: bought_together
	TrendHalfLife time.Duration // 1 day: trending
	SessionGap    time.Duration // 30 minutes
	OrderWindow   time.Duration // 30 days: orders of a customer taken together by bought_together
	ViewedWindow  time.Duration // 30 days: recently_viewed shows nothing older
}

func (c Config) withDefaults() Config {
	if c.Placements == nil {
		c.Placements = DefaultPlacements()
	}
	setInt(&c.MaxItems, 1_000_000)
	setInt(&c.Sessions, 1<<18)
	setInt(&c.PastSessions, 1<<20)
	c.Session = c.Session.withDefaults()
	setInt(&c.Places, 1<<16)
	setInt(&c.Customers, 1<<16)
	setInt(&c.Touched, 1<<15)
	setInt(&c.Neighbors, 64)
	setInt(&c.Top, 1000)
	setInt(&c.Alike, 1<<17)
	setInt(&c.Scan, 1<<17)
	const day = 24 * time.Hour
	setDuration(&c.ViewHalfLife, 14*day)
	setDuration(&c.BuyHalfLife, 60*day)
	setDuration(&c.TrendHalfLife, day)
	setDuration(&c.SessionGap, 30*time.Minute)
	setDuration(&c.OrderWindow, 30*day)
	setDuration(&c.ViewedWindow, 30*day)
	return c
}

func setInt(v *int, def int) {
	if *v <= 0 {
		*v = def
	}
}

func setDuration(v *time.Duration, def time.Duration) {
	if *v < time.Millisecond {
		*v = def
	}
}

// Placement is a named spot and how its list is made.
type Placement struct {
	Name string
	// Strategies fill the list in this order.
	Strategies []string
	// Exclude leaves out the customer's "cart", "purchased" and "viewed" items.
	Exclude []string
	// Filter, where not nil, must be true of an item. For one that the catalogue
	// does not know it gets an item with only the ID, which it must not keep.
	Filter func(*streams.Item) bool
	// Mix, where not empty, adds up the strategies that it names before the others
	// fill: each one's scores, as parts of its best, times its weight.
	Mix map[string]float64
	// Promote and PromoteShare give a share of the places to items that match.
	Promote      func(*streams.Item) bool
	PromoteShare float64
	// Pin names items that come first, where they may be shown.
	Pin []string
	// Rotate, where not 0, lets items that were shown so often without a click come
	// after those that were not (Customer.Shown).
	Rotate int
	// MMR, from 0 to 1, is what having something in common with items of the list
	// weighs against the score.
	MMR float64
	// Diversity says how many items of one "category" (the whole path) and of one
	// "brand" the strategies may give; what fills up the list may give more.
	Diversity map[string]int
}

// DefaultPlacements returns the placements of a shop that configures none.
func DefaultPlacements() []Placement {
	return []Placement{
		{Name: "home", Strategies: []string{Session, ForYou, Trending}, Exclude: []string{"purchased"}},
		{Name: "product", Strategies: []string{Session, ViewedTogether, Similar, Trending}},
		{Name: "cart", Strategies: []string{BoughtTogether, Session, ViewedTogether, Trending}, Exclude: []string{"cart", "purchased"}},
		{Name: "viewed", Strategies: []string{RecentlyViewed}},
		{Name: "trending", Strategies: []string{Trending}},
	}
}

// Seen is an item that a customer viewed, and when (Unix ms).
type Seen struct {
	ID string
	At int64
}

// Affinity is how much a customer prefers something: the logarithm to base 2 of a
// weight that compares with others of its list.
type Affinity struct {
	Name string
	Log2 float64
}

// Shown is how often an item was shown to a customer without a click.
type Shown struct {
	ID    string
	Times int
}

// Customer is what a request knows about who is asking. The zero value is a
// stranger.
type Customer struct {
	// Key is the strongest identifier as "type:value"; with it the session in
	// progress is found where Session is empty. "" for a stranger.
	Key       string
	Recent    []Seen   // recently viewed, newest first
	Session   []string // items of the session in progress, oldest first
	Cart      []string
	Purchased []string // newest last
	Bought    []Seen   // lines of orders that stand, oldest first
	// Categories and Brands that the customer prefers; a category is its path with /.
	Categories, Brands []Affinity
	Shown              []Shown // for Placement.Rotate
	Known              bool    // more than anonymous
}

// Request asks for one list.
type Request struct {
	ID        string // copied to the answer, with what Track adds
	Placement string // "" is "home"
	Customer  Customer
	// Items is the context: the product on the page, the cart, or the session so
	// far, oldest first. They are never recommended.
	Items   []string
	Limit   int    // at most 1,000; 0 is 10
	Offset  int    // items to skip; at most 10,000
	Seed    string // names the list that Offset continues; a ranking without chance needs none
	Exclude []string
	Filter  func(*streams.Item) bool // as Placement.Filter; both must hold
	Channel string                   // leaves out items whose channels do not name it
	Store   string                   // leaves out items that this store lists with stock 0
	Explain bool
	Track   bool  // the answer counts as served; its ID, which must begin with "rec_" and have no other "_", tells what is in it
	Repeats bool  // session may answer items of the session in progress; those in Items never
	Now     int64 // Unix ms; 0 is the time of the newest event learned
}

// Ranked is one recommended item. Reason is the strategy that it came from. Item
// is nil where the catalogue does not know it. Explain is nil unless asked for:
// the scores, by strategy and, after a colon, by context item, and the rules that
// moved it: rule:pin, rule:promote by so many places, rule:rotate.
type Ranked struct {
	ID      string
	Score   float64
	Reason  string
	Item    *streams.Item
	Explain map[string]float64
}

// Answer is a ranked list. Strategy names the first strategy that gave an item,
// StrategyCatalog or StrategyNone. Items is reused when the answer is.
type Answer struct {
	ID, Placement, Strategy string
	Items                   []Ranked
	// Messages are those that wait for the customer, as JSON. The recommender
	// does not read them; who asks it may pass them on here.
	Messages [][]byte
	// Age is that of the copy of the customer's profile, where it is one of a store
	// that is away; likewise.
	Age time.Duration
}

// Recommender learns from events and answers requests. Safe for any number of
// goroutines: events are learned one at a time, requests wait for none of them.
type Recommender struct {
	cfg        Config
	catalogue  *Catalogue
	placements atomic.Pointer[placements]
	alike      *alikes // similar
	scratch    sync.Pool
	served     [servedShards]served

	// saving is held by Save and by Load.
	saving sync.Mutex
	// learning, inside it, is held while an event is learned; it guards waiting.
	learning sync.Mutex
	waiting  *backlog // not nil while Save copies the models, which do not change then
	drained  sync.Cond
	models   atomic.Pointer[models]
	saved    atomic.Int64 // size of the last checkpoint, a guess at the next one's
}

// New returns a recommender that has learned nothing, over a catalogue that it
// shares with its caller.
func New(cfg Config, cat *Catalogue) *Recommender {
	cfg = cfg.withDefaults()
	r := &Recommender{cfg: cfg, catalogue: cat, alike: newAlikes(cat.items, cfg.Alike)}
	r.drained.L = &r.learning
	r.models.Store(newModels(&r.cfg, cat.items))
	for k := range r.served {
		r.served[k].book = newBook(r.cfg.Touched / servedShards)
	}
	r.scratch.New = func() any { return newScratch() }
	r.SetPlacements(cfg.Placements)
	return r
}

// SetPlacements replaces all placements at once. The last of two with the same
// name counts.
func (r *Recommender) SetPlacements(list []Placement) {
	p := &placements{byName: make(map[string]*placement, len(list))}
	for _, pl := range list {
		p.byName[pl.Name] = compile(pl)
	}
	for name := range p.byName {
		p.names = append(p.names, name)
	}
	slices.Sort(p.names)
	r.placements.Store(p)
}

// Position returns the next offset of a partition to learn, 0 when none was
// learned.
func (r *Recommender) Position(partition int32) int64 {
	r.learning.Lock()
	defer r.learning.Unlock()
	return r.positions()[partition]
}

// Stats are figures for metrics.
type Stats struct {
	Items               int    // ids known, of the catalogue and of events
	Refused             uint64 // ids in events for which there was no room (Config.MaxItems)
	Sessions, Customers int    // places in use of the bounded tables
	PastSessions        int    // sessions that the strategy session compares with
	IndexBytes          int64  // memory of these and of the items' rings of them
	CheckpointBytes     int64  // size of the last checkpoint saved, 0 before
}

// Stats returns figures for metrics.
func (r *Recommender) Stats() Stats {
	r.learning.Lock()
	defer r.learning.Unlock()
	m := r.models.Load()
	return Stats{
		Items:           m.ids.len(),
		Refused:         m.refused,
		Sessions:        m.sessions.table.used,
		PastSessions:    int(m.index.used),
		IndexBytes:      m.index.bytes(),
		Customers:       m.customers.used,
		CheckpointBytes: r.saved.Load(),
	}
}
