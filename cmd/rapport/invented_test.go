package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/rapport-engine/rapport/bench/datasets"
)

// inventedFeed is so many events of a small shop: about eight hours of visits,
// carts that are left or bought, and logins; one in ten is sent late. What a customer does before a login
// stays apart from what follows it: when a forward arrives is no matter of the
// log.
func inventedFeed(n int, seed uint64) *feed {
	events := &inventor{left: n, random: rand.New(rand.NewPCG(seed, 2)), now: time.Date(2026, 3, 2, 5, 0, 0, 0, time.UTC)} //nolint:gosec // a test's choice
	f, err := readFeed(events, func(_, _ int64) bool { return false }, seed)
	if err != nil {
		panic("BUG: an inventor fails: " + err.Error())
	}
	return f
}

// inventor invents events; a datasets.Reader.
type inventor struct {
	left   int
	random *rand.Rand
	now    time.Time
	line   int
}

// Next implements datasets.Reader.
func (v *inventor) Next(ev *datasets.Event) error {
	if v.line == v.left {
		return io.EOF
	}
	v.line++
	v.now = v.now.Add(time.Duration(v.random.IntN(20_000)) * time.Millisecond)
	at := v.now
	if v.random.IntN(10) == 0 { // some come late
		at = at.Add(-time.Duration(v.random.IntN(90)) * time.Minute)
	}
	who := v.random.IntN(150)
	id, key := fmt.Sprintf(`"anonymousId":"a%d"`, who), fmt.Sprintf("anonymous:a%d", who)
	if who < 50 {
		id, key = fmt.Sprintf(`"userId":"u%d","anonymousId":"of-u%d"`, who, who), fmt.Sprintf("user:u%d", who)
	}
	ev.JSON = fmt.Appendf(ev.JSON[:0], `{"messageId":"invented:%d",%s,"timestamp":%q,"context":{"channel":%q},%s}`,
		v.line, id, at.Format(time.RFC3339Nano), []string{"web", "app", "pos"}[v.random.IntN(3)], v.call(who))
	ev.Key, ev.At, ev.Line = []byte(key), at.UnixMilli(), v.line
	return nil
}

// call is the type of a call and what it says.
func (v *inventor) call(who int) string {
	item := v.random.IntN(40)
	product := fmt.Sprintf(`"product_id":"p%d","price":%d.5,"category":"c%d/d%d"`, item, 10+item, item%3, item%7)
	switch n := v.random.IntN(100); {
	case n < 40:
		return fmt.Sprintf(`"type":"track","event":"Product Viewed","properties":{%s}`, product)
	case n < 60:
		return fmt.Sprintf(`"type":"track","event":"Product Added","properties":{%s,"quantity":%d}`, product, 1+v.random.IntN(3))
	case n < 65:
		return fmt.Sprintf(`"type":"track","event":"Product Removed","properties":{%s}`, product)
	case n < 75:
		return fmt.Sprintf(`"type":"track","event":"Order Completed","properties":{"order_id":"o%d","currency":"UAH","products":[{%s}]}`, v.line, product)
	case n < 80 && who < 50:
		return fmt.Sprintf(`"type":"identify","traits":{"email":"u%d@example.com","birthday":"1990-03-%02d","consents":{"email":true}}`, who, 8+who%4)
	}
	return fmt.Sprintf(`"type":"page","properties":{"path":"/p%d"}`, item)
}
