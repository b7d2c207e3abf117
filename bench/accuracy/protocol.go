package accuracy

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// ErrOptions is returned for options that do not fit together; its text says what is
// allowed.
var ErrOptions = errors.New("wrong options")

// Names of the protocols.
const (
	SessionRec  = "session-rec"   // slices by time: train_full, test
	Serenade    = "serenade"      // train, test (valid)
	SRGNN       = "srgnn"         // train_sessions, test: every prefix
	LeaveOneOut = "leave-one-out" // the last item of each user
	Prequential = "prequential"   // any events: test, then learn
)

// Protocols lists the names of the protocols.
func Protocols() []string { return []string{SessionRec, Serenade, SRGNN, LeaveOneOut, Prequential} }

// Options choose what is measured.
type Options struct {
	Protocol string
	Path     string // a directory, for Prequential or a file
	Live     bool   // each test click is learned after it was asked for
	Repeats  string // "allow" or "exclude" the current item; "" as the protocol has it
	First    int    // only the first so many predictions count; 0 all
	K        int    // length of the lists; 0 is 20, for LeaveOneOut 10
	// OnlyViews leaves out of events all but views: where customers went, what else they
	// did with items, in which category they viewed one and what they viewed in earlier
	// sessions.
	OnlyViews bool
	Valid     bool // measure on the validation split instead of the test: for choosing parameters
}

// Check completes the options. The error wraps ErrOptions.
func (o *Options) Check() error {
	if !slices.Contains(Protocols(), o.Protocol) {
		return fmt.Errorf("%w: --protocol: must be one of %s, not %q", ErrOptions, strings.Join(Protocols(), ", "), o.Protocol)
	}
	if o.Repeats == "" {
		o.Repeats = "allow"
		if o.Protocol == Serenade || o.Protocol == Prequential {
			o.Repeats = "exclude"
		}
	}
	if o.Repeats != "allow" && o.Repeats != "exclude" {
		return fmt.Errorf("%w: --repeats: must be allow or exclude, not %q", ErrOptions, o.Repeats)
	}
	if o.K == 0 {
		o.K = 20
		if o.Protocol == LeaveOneOut {
			o.K = 10
		}
	}
	if o.K < 1 || o.K > 1000 {
		return fmt.Errorf("%w: --k: must be 1 to 1000, not %d", ErrOptions, o.K)
	}
	if o.First < 0 {
		return fmt.Errorf("%w: --first: must not be negative", ErrOptions)
	}
	if o.Live && o.Protocol == SRGNN {
		return fmt.Errorf("%w: --live: the test prefixes of %s overlap and cannot be learned", ErrOptions, SRGNN)
	}
	o.Live = o.Live || o.Protocol == Prequential
	return nil
}

// Policy says in words what may be answered.
func (o *Options) Policy() string {
	switch {
	case o.Protocol == LeaveOneOut:
		return "all items ranked, those that the user had are masked"
	case o.Repeats == "exclude":
		return "current item excluded"
	}
	return "repeats allowed"
}

// Case is one prediction: what comes after Items in a session.
type Case struct {
	Session uint32
	Items   []uint32 // the session so far; empty: nothing is asked
	Next    uint32
	Rest    []uint32 // Next and all after it
	Skip    bool     // answered, but not counted
	At      int64

	// Of events only:
	Category  string   // in which Next is viewed
	Way, Late []Place  // where the customer went since the last of Items; Late, when it was asked already
	Recent    []uint32 // items that the customer viewed last, newest first, in any session
}

// Data are what a protocol learns and asks.
type Data struct {
	Name  string
	Train []Click
	Cases []Case
	Items int // distinct items
}

// Load reads the data of a protocol.
func Load(o *Options) (*Data, error) {
	var d *Data
	var err error
	switch o.Protocol {
	case SessionRec:
		d, err = loadSplit(o, pick(o, "train_full.txt", "train_tr.txt"), pick(o, "test.txt", "train_valid.txt"), true)
	case Serenade:
		d, err = loadSplit(o, "train.txt", pick(o, "test.txt", "valid.txt"), false)
	case SRGNN:
		d, err = loadPrefixes(o)
	case LeaveOneOut:
		d, err = loadUsers(o)
	default:
		d, err = loadEvents(o)
	}
	if err != nil {
		return nil, err
	}
	d.Name = filepath.Base(filepath.Clean(o.Path))
	return d, nil
}

func pick(o *Options, test, valid string) string {
	if o.Valid {
		return valid
	}
	return test
}

// loader numbers sessions and items.
type loader struct {
	sessions, items numbers
	data            Data
}

// loadSplit reads sessions to learn and sessions to ask. Known drops test clicks on
// items that were not learned, then test sessions of one click.
func loadSplit(o *Options, train, test string, known bool) (*Data, error) {
	learn, err := readRows(o.Path, train)
	if err != nil {
		return nil, err
	}
	ask, err := readRows(o.Path, test)
	if err != nil {
		return nil, err
	}
	byTimeOf(learn)
	var l loader
	for _, r := range learn {
		l.data.Train = append(l.data.Train, Click{Session: l.sessions.of("train " + r.session), Item: l.items.of(r.item), At: r.at})
	}
	if known {
		ask = slices.DeleteFunc(ask, func(r row) bool { return !l.items.has(r.item) })
	}
	var steps []step
	for _, s := range bySession(ask) {
		if len(s) > 1 {
			steps = l.session(steps, s)
		}
	}
	l.cases(o, steps)
	return &l.data, nil
}

// step is a click of a test session.
type step struct {
	session uint32
	place   int // in the session
	items   []uint32
	at      int64
	order   int
	row     *row
	recent  []uint32
}

func (l *loader) session(steps []step, rows []row) []step {
	var items []uint32
	for _, r := range rows {
		items = append(items, l.items.of(r.item))
	}
	number := l.sessions.of("test " + rows[0].session)
	for k := range rows {
		s := step{session: number, place: k, items: items, at: rows[k].at, order: len(steps), row: &rows[k]}
		if a := rows[k].around; a != nil {
			s.recent = l.ids(a.recent)
		}
		steps = append(steps, s)
	}
	return steps
}

// cases turns the clicks of the test sessions, session by session, into cases: in this
// order, or by time where they are learned. The first predictions are those that come
// first session by session.
func (l *loader) cases(o *Options, steps []step) {
	limit, asked := len(steps), 0
	for k := range steps {
		if steps[k].place > 0 {
			if asked++; o.First > 0 && asked == o.First {
				limit = k + 1
			}
		}
	}
	if o.Live {
		slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	}
	for _, s := range steps {
		c := Case{
			Session: s.session, Items: s.items[:s.place], Next: s.items[s.place], Rest: s.items[s.place:],
			Skip: s.order >= limit, At: s.at, Category: s.row.category, Recent: s.recent,
		}
		if a := s.row.around; a != nil {
			c.Way, c.Late = a.way, a.late
		}
		l.data.Cases = append(l.data.Cases, c)
	}
	l.data.Items = len(l.items.names)
}
