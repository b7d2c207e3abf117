package api

import (
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/rapport-engine/rapport/streams"
)

// tickEvery is how often, in event time, history ticks on every partition, so
// that quiet ones' clocks move too. Milliseconds.
const tickEvery = 10 * 60 * 1000

// farFuture is later than any event may be, Unix ms: with it as the clock, an
// event's time is decoded as sent.
const farFuture = 253402300799999

// historyClock is the clock of a log that is fed over HTTP by event time.
type historyClock struct {
	mu       sync.Mutex // held while a request's records are made and written
	position historyPosition
}

// historyPosition is how far the clock has come, in Unix ms: the latest event,
// and the latest tick to every partition. A restart begins at zero again and
// may repeat a tick, which changes nothing: what a record says of the time
// depends on the record alone.
type historyPosition struct{ latest, ticked int64 }

// tick moves the clock to the time of an event, gives its record the tick that
// rides in it, and appends a tick for every partition before it where a
// multiple of tickEvery was passed.
func (p *historyPosition) tick(records []streams.Record, rec *streams.Record, at int64, partitions int32) []streams.Record {
	p.latest = max(p.latest, at)
	rec.Headers = append(rec.Headers, historyHeader(at)) // a late one moves no clock
	boundary := p.latest - p.latest%tickEvery
	if boundary <= p.ticked {
		return records
	}
	p.ticked = boundary
	for i := range partitions {
		records = append(records, streams.Record{
			Topic: "events", Partition: i, Time: rec.Time, LeaderEpoch: -1,
			Headers: []streams.Header{historyHeader(boundary)},
		})
	}
	return records
}

func historyHeader(ms int64) streams.Header {
	return streams.Header{Key: streams.HeaderClock, Value: strconv.AppendInt([]byte("history:"), ms, 10)}
}

// checkHistory refuses times that would stop the clock for good.
func checkHistory(at int64, now time.Time) error {
	switch {
	case at >= farFuture:
		return &streams.InvalidError{Reason: streams.ReasonInvalid, Field: "timestamp", Detail: "is needed with Rapport-Clock: event"}
	case at > now.UnixMilli()+streams.MaxAhead:
		return &streams.InvalidError{Reason: streams.ReasonInvalid, Field: "timestamp", Detail: "must not be in the future with Rapport-Clock: event"}
	}
	return nil
}

// allowHistory answers where a request may not set the clock.
func (s *Server) allowHistory(ctx *fasthttp.RequestCtx, by scope) bool {
	switch {
	case string(ctx.Request.Header.Peek("Rapport-Clock")) != "event":
		s.problem(ctx, fasthttp.StatusBadRequest, "Rapport-Clock: must be `event` or absent")
	case by < scopeAdmin:
		s.problem(ctx, fasthttp.StatusForbidden, "Rapport-Clock: event needs an admin key")
	case s.engine.Live():
		s.problem(ctx, fasthttp.StatusConflict, "this log has live events: history goes to an empty log only")
	default:
		return true
	}
	return false
}
