package streams

// Header keys of what Rapport adds to a record. Producers outside need none.
const (
	// HeaderClock makes a record a tick, or lets a tick ride in it: "live"
	// (the tick's time is the record's) or "history:<unix ms>". The tick comes
	// before the record that it rides in; a record with this header and no
	// value is a tick alone.
	HeaderClock = "rapport-clock"
	// HeaderOwner of a tick is the epoch of the owner who appended it: one that
	// does not see its own any more may have been replaced.
	HeaderOwner = "rapport-owner"
	// HeaderEffect is the number of the effect that the record is:
	// "<topic>/<partition>/<incarnation>/<offset>/<index>".
	HeaderEffect = "rapport-effect"
	// HeaderPrev is the effect number before it to the same destination.
	HeaderPrev = "rapport-prev"
	// HeaderKind says what a record of Rapport's own is; see the Kind... constants.
	HeaderKind = "rapport-kind"
	// HeaderFirst of a forwarded event says what was read where it was first
	// logged: "<logged ms> <at ms> <messageId>".
	HeaderFirst = "rapport-first"
	// HeaderPassed are the identifiers that a forward has passed, by line feeds.
	HeaderPassed = "rapport-passed"
	// HeaderRetry of a record in `retry` says whose message it is and when it was
	// first tried: "<sink> <unix ms>".
	HeaderRetry = "rapport-retry"
	// HeaderTrust marks an event of a public key: "anonymous", only anonymous
	// identifiers are believed, or "anonymous <type:value>", that one is signed
	// and believed, too.
	HeaderTrust = "rapport-trust"
)

// TrustAnonymous begins each value of HeaderTrust.
const TrustAnonymous = "anonymous"

// Values of HeaderKind. A record without the header is an event as a producer
// wrote it.
const (
	KindForward = "forward" // an event on its way to another identifier's partition
	KindLink    = "link"    // a Link: the identifier points to a stronger one
	KindRefuse  = "refuse"  // a Link that was refused: to its profile, which does not have the identifier
	KindMerge   = "merge"   // a Merge: what a weaker identifier had collected
	KindUnlink  = "unlink"  // a Link that is undone, or permitted again
	KindUnmerge = "unmerge" // a Merge that is undone
	KindCatalog = "catalog" // a CatalogChanges: what changed in the catalogue
	KindRules   = "rules"   // the rules that run from here on
	KindSegment = "segment" // an event of Rapport's own, applied already: a customer entered or exited a segment
	KindStep    = "step"    // how far the next step of work goes that is done little by little
	KindReport  = "report"  // an event of Rapport's own: what became of a message
)

// Header is one header of a record.
type Header struct {
	Key   string
	Value []byte
}

// Record is one record of a log, as read or to be written.
type Record struct {
	Topic     string // without the configured prefix: "events", "messages", ...
	Partition int32  // to be written: -1 lets the key decide (murmur2)
	Offset    int64
	Time      int64 // Unix ms; on Kafka with LogAppendTime the broker's
	Key       []byte
	Value     []byte
	Headers   []Header
	// LeaderEpoch of the record as read; -1 when unknown.
	LeaderEpoch int32
}

// Header returns the value of the first header with this key, nil without one.
func (r *Record) Header(key string) []byte {
	for i := range r.Headers {
		if r.Headers[i].Key == key {
			return r.Headers[i].Value
		}
	}
	return nil
}

// CatalogChange is one changed item, with the values before and after; New is
// nil where the item was deleted, Old where it was not known.
type CatalogChange struct {
	Number int64  `json:"n"` // the change's number: its offset in `catalog` + 1
	ID     string `json:"id"`
	Old    *Item  `json:"old,omitempty"`
	New    *Item  `json:"new,omitempty"`
}

// CatalogChanges is the value of a KindCatalog record.
type CatalogChanges struct {
	Changes []CatalogChange `json:"changes"`
}
