package reference

// Times and durations are Unix ms and ms.
const (
	second = int64(1000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour

	never  = int64(-1 << 62) // long before everything
	notDue = int64(1 << 62)
)

// Cond is what a condition's text means.
type Cond struct {
	Holds func(v *View) bool
	// Moments are times around which it may change without any event; nil for
	// none.
	Moments func(v *View) []int64
}

// Conditions says what each condition of the rules means, by its text.
type Conditions map[string]Cond

// Rules are a set of rules.
type Rules struct {
	triggers []*trigger // the order in which an event meets them
	segments []*segment // by name
	policy   policy
}

type segment struct {
	name   string
	cond   Cond
	traits bool // it reads some
}

// policy bounds all messages.
type policy struct {
	quiet   *hours
	caps    []limit
	expire  int64
	holdout float64
	consent map[string]bool // by channel, "default" for others: it must have been given
	wait    bool            // when capped
}

// hours are a part of the day, in minutes after midnight.
type hours struct {
	from, to int
	days     []string // "mon"; none: all
}

// limit is a cap.
type limit struct {
	channel  string
	triggers []string
	times    int
	per      int64
}

// trigger is one trigger.
type trigger struct {
	name     string
	priority int
	start    start
	restart  bool
	while    *Cond
	exits    []match
	steps    []*step // all of them, depth first
	first    *step
	reentry  int64 // -1: once per person
	late     int64
	holdout  float64
	shadow   bool
}

// start is what begins a run.
type start struct {
	kind     string   // event, segment, trait, inactive, date, item
	names    []string // of events, or of the segment, the trait, the event
	leaves   bool     // the segment is exited
	channels []string
	key      []string
	cond     *Cond
	long     int64 // of inactive
	offset   int   // days, of date
	clock    int   // minutes after midnight, of date

	kinds     []string // of item
	min       float64
	seen      bool
	most      int64 // pieces, of low_stock
	interests []string
	within    int64
	collect   int64
	perItem   bool
}

// match is an event that something waits for.
type match struct {
	names    []string
	segment  string
	leaves   bool
	channels []string
	key      []string
	cond     *Cond
}

// step is one step of a trigger.
type step struct {
	index  int
	kind   string // wait, idle, clock, send, until, if, suppress, set
	long   int64  // of wait, idle, until
	clock  int    // minutes after midnight
	days   []string
	send   send
	until  match
	cond   *Cond
	stop   []string // channels
	traits map[string]any

	then, other []*step
	after       *step // the next of the same list
	parent      *step
}

// send is a message to be decided.
type send struct {
	channels      []string
	cond          *Cond
	items         string
	expire        int64
	transactional bool
	hours         *hours
	wait, drop    bool // when capped
	variants      []variant
}

type variant struct {
	name  string
	share float64
}

// next is the step that follows a step and all that is nested in it, nil at the
// end.
func (s *step) next() *step {
	for ; s != nil; s = s.parent {
		if s.after != nil {
			return s.after
		}
	}
	return nil
}

// yes is where a step goes on whose condition held, or whose event came.
func (s *step) yes() *step { return s.branch(s.then) }

// no is where it goes on otherwise.
func (s *step) no() *step { return s.branch(s.other) }

func (s *step) branch(list []*step) *step {
	if len(list) > 0 {
		return list[0]
	}
	return s.next()
}

// nextSend is the send that a run at a step would reach: of branches the first
// send in either.
func nextSend(s *step) *step {
	for s != nil {
		if s.kind == "send" {
			return s
		}
		if nested := firstSend(append(append([]*step{}, s.then...), s.other...)); nested != nil {
			return nested
		}
		s = s.next()
	}
	return nil
}

func firstSend(list []*step) *step {
	for _, s := range list {
		if s.kind == "send" {
			return s
		}
		if nested := firstSend(append(append([]*step{}, s.then...), s.other...)); nested != nil {
			return nested
		}
	}
	return nil
}
