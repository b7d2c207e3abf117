package rules

import (
	"maps"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// The types of the rule language (RULES.md, "Conditions"). A field is read from
// the Go value named beside its type.
// The types of the rule language (RULES.md, "Conditions"). A field is read from
// the Go value that its func takes.
var structTypes = []*structType{
	eventType, lineType, cartLineType, orderType, itemType, runType, lastType, sessionType, profileType,
	channelType, cartType, interestType, ordersType, affinityType, statsType, changeType, ctxType,
}

var ctxType = newStruct("ctx", nil) // what functions such as catalog read: *scope

var (
	textList = types.NewListType(types.StringType)
	dynMap   = types.NewMapType(types.StringType, types.DynType)
)

// The four functions below make fields of a Go type T.

func text[T any](get func(T) string) field {
	return field{types.StringType, func(v any) any { return get(v.(T)) }}
}

func integer[T any, N int | int64 | uint32 | uint64](get func(T) N) field {
	return field{types.IntType, func(v any) any { return int64(get(v.(T))) }}
}

func double[T any](get func(T) float64) field {
	return field{types.DoubleType, func(v any) any { return get(v.(T)) }}
}

func instant[T any](get func(T) int64) field {
	return field{types.TimestampType, func(v any) any { return stamp(get(v.(T))) }}
}

func boolean[T any](get func(T) bool) field {
	return field{types.BoolType, func(v any) any { return get(v.(T)) }}
}

func texts[T any](get func(T) []string) field {
	return field{textList, func(v any) any { return get(v.(T)) }}
}

func other[T any](t *types.Type, get func(T) any) field {
	return field{t, func(v any) any { return get(v.(T)) }}
}

var eventType = newStruct("event", map[string]field{
	"name":       text(func(e *eventView) string { return e.Name }),
	"type":       text(func(e *eventView) string { return kindName(e.Kind) }),
	"channel":    text(func(e *eventView) string { return e.Channel }),
	"store":      text(func(e *eventView) string { return e.Store }),
	"message_id": text(func(e *eventView) string { return e.MessageID }),
	"at":         instant(func(e *eventView) int64 { return e.At }),
	"logged_at":  instant(func(e *eventView) int64 { return e.LoggedAt }),
	"properties": other(dynMap, func(e *eventView) any { return e.object(0, e.Properties) }),
	"traits":     other(dynMap, func(e *eventView) any { return e.object(1, e.Traits) }),
	"context":    other(dynMap, func(e *eventView) any { return e.object(2, e.Context) }),
	"products": other(types.NewListType(lineType.typ), func(e *eventView) any {
		return &list{lineType, len(e.Products), func(i int) any { return &e.Products[i] }}
	}),
})

var lineType = newStruct("line", map[string]field{
	"id":       text(func(l any) string { return lineOf(l).Id }),
	"name":     text(func(l any) string { return lineOf(l).Name }),
	"brand":    text(func(l any) string { return lineOf(l).Brand }),
	"variant":  text(func(l any) string { return lineOf(l).Variant }),
	"category": texts(func(l any) []string { return lineOf(l).Category }),
	"quantity": integer(func(l any) int64 { return lineOf(l).Quantity }),
	"price":    double(func(l any) float64 { return lineOf(l).Price }),
	"total":    double(func(l any) float64 { x := lineOf(l); return x.Price * float64(x.Quantity) }),
})

var cartLineType = newStruct("cartLine", func() map[string]field {
	f := maps.Clone(lineType.fields)
	f["added_at"] = instant(func(l *profiles.Line) int64 { return l.AddedAt })
	f["channel"] = text(func(l *profiles.Line) string { return l.Channel })
	return f
}())

// lineOf is a line as profiles keep it.
func lineOf(v any) *profiles.Line {
	if l, ok := v.(*profiles.Line); ok {
		return l
	}
	l := v.(*streams.Line)
	return &profiles.Line{
		Id: l.ID, Name: l.Name, Brand: l.Brand, Variant: l.Variant, Category: l.Category,
		Url: l.URL, ImageUrl: l.ImageURL, Quantity: int64(l.Quantity), Price: l.Price,
	}
}

func kindName(k streams.Kind) string {
	switch k {
	case streams.Track:
		return "track"
	case streams.Identify:
		return "identify"
	case streams.Page:
		return "page"
	case streams.Screen:
		return "screen"
	case streams.Alias:
		return "alias"
	case streams.Group:
		return "group"
	}
	return ""
}

var orderType = newStruct("order", map[string]field{
	"id":      text(func(o *profiles.Order) string { return o.Id }),
	"status":  text(func(o *profiles.Order) string { return o.Status }),
	"channel": text(func(o *profiles.Order) string { return o.Channel }),
	"coupon":  text(func(o *profiles.Order) string { return o.Coupon }),
	"at":      instant(func(o *profiles.Order) int64 { return o.At }),
	"total":   double(func(o *profiles.Order) float64 { return o.Total }),
	"products": other(types.NewListType(lineType.typ), func(o *profiles.Order) any {
		return listOf(lineType, o.Products)
	}),
})

var itemType = newStruct("item", map[string]field{
	"id":         text((*itemView).id),
	"name":       text((*itemView).name),
	"url":        text((*itemView).url),
	"image_url":  text((*itemView).imageURL),
	"brand":      text((*itemView).brand),
	"group_id":   text(func(v *itemView) string { return v.get().GroupID }),
	"category":   texts((*itemView).category),
	"price":      double((*itemView).price),
	"old_price":  double(func(v *itemView) float64 { return v.get().OldPrice }),
	"stock":      integer((*itemView).stock),
	"available":  boolean((*itemView).available),
	"created_at": instant((*itemView).createdAt),
	"attributes": other(dynMap, func(v *itemView) any { return nonNil(v.get().Attributes) }),
})

var (
	zeroItem streams.Item
	zeroLine streams.Line
)

func (v *itemView) get() *streams.Item        { return orZero(v.item, &zeroItem) }
func (v *itemView) lineOrZero() *streams.Line { return orZero(v.line, &zeroLine) }
func (v *itemView) id() string                { return or(v.get().ID, v.lineOrZero().ID) }
func (v *itemView) name() string              { return or(v.get().Name, v.lineOrZero().Name) }
func (v *itemView) url() string               { return or(v.get().URL, v.lineOrZero().URL) }
func (v *itemView) imageURL() string          { return or(v.get().ImageURL, v.lineOrZero().ImageURL) }
func (v *itemView) brand() string             { return or(v.get().Brand, v.lineOrZero().Brand) }
func (v *itemView) price() float64            { return or(v.get().Price, v.lineOrZero().Price) }
func (v *itemView) available() bool           { return v.item.IsAvailable() }

func (v *itemView) category() []string {
	if c := v.get().Category; len(c) > 0 {
		return c
	}
	return v.lineOrZero().Category
}

func (v *itemView) stock() int64 {
	if s := v.get().Stock; s != nil {
		return *s
	}
	return 0
}

func (v *itemView) createdAt() int64 {
	t, err := time.Parse(time.RFC3339, v.get().CreatedAt)
	if err != nil {
		return 0
	}
	return t.UnixMilli()
}

func or[T comparable](a, b T) T {
	var zero T
	if a != zero {
		return a
	}
	return b
}

func nonNil(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

var runType = newStruct("run", map[string]field{
	"event":      other(eventType.typ, func(s *scope) any { return object{eventType, s.view(s.eventOf(s.run))} }),
	"items":      texts(func(s *scope) []string { return s.runItems() }),
	"key":        text(func(s *scope) string { return s.run.Key }),
	"variant":    text(func(s *scope) string { return s.run.Variant }),
	"started_at": instant(func(s *scope) int64 { return s.run.StartedAt }),
	"sent":       integer(func(s *scope) uint32 { return s.run.Sent }),
	"last":       other(lastType.typ, func(s *scope) any { return object{lastType, s.run} }),
})

var lastType = newStruct("last", map[string]field{
	"channel": text(func(r *profiles.Run) string { return r.LastChannel }),
	"status":  text(func(r *profiles.Run) string { return r.LastStatus }),
	"at":      instant(func(r *profiles.Run) int64 { return r.LastAt }),
})

var changeType = newStruct("change", map[string]field{
	"old": other(types.DynType, func(c *change) any { return c.old }),
	"new": other(types.DynType, func(c *change) any { return c.now }),
})

var sessionType = newStruct("session", map[string]field{
	"started_at": instant(func(n *profiles.Session) int64 { return n.StartedAt }),
	"last_at":    instant(func(n *profiles.Session) int64 { return n.LastAt }),
	"channel":    text(func(n *profiles.Session) string { return n.Channel }),
	"events":     integer(func(n *profiles.Session) uint64 { return n.Events }),
	"viewed":     texts(func(n *profiles.Session) []string { return n.Viewed }),
	"added":      texts(func(n *profiles.Session) []string { return n.Added }),
	"searched":   texts(func(n *profiles.Session) []string { return n.Searched }),
})

var interests = types.NewListType(interestType.typ)
var profileType = newStruct("profile", map[string]field{
	"id":          text(func(s *scope) string { return s.profile.Id }),
	"locale":      text(func(s *scope) string { return s.profile.Locale }),
	"timezone":    text(func(s *scope) string { return s.profile.Timezone }),
	"known":       boolean(func(s *scope) bool { return s.profile.Known() }),
	"identifiers": texts(func(s *scope) []string { return s.profile.Identifiers }),
	"segments":    texts(func(s *scope) []string { return segmentNames(s.profile) }),
	"traits":      other(dynMap, func(s *scope) any { return s.profileTraits() }),
	"consents":    other(types.NewMapType(types.StringType, types.BoolType), func(s *scope) any { return consents(s.profile) }),
	"events":      integer(func(s *scope) uint64 { return s.profile.Events }),
	"first_at":    instant(func(s *scope) int64 { return s.profile.FirstAt }),
	"last_at":     instant(func(s *scope) int64 { return s.profile.LastAt }),
	"channels":    other(types.NewMapType(types.StringType, channelType.typ), func(s *scope) any { return channelEntries(s.profile) }),
	"cart":        other(cartType.typ, func(s *scope) any { return object{cartType, s.cart()} }),
	"viewed":      other(interests, func(s *scope) any { return listOf(interestType, s.profile.Viewed) }),
	"wishlist":    other(interests, func(s *scope) any { return listOf(interestType, s.profile.Wishlist) }),
	"waiting":     other(interests, func(s *scope) any { return listOf(interestType, s.profile.Waiting) }),
	"orders":      other(ordersType.typ, func(s *scope) any { return object{ordersType, orZero(s.profile.Orders, &zeroOrders)} }),
	"affinities":  other(affinityType.typ, func(s *scope) any { return object{affinityType, s} }),
	"messages":    other(types.NewMapType(types.StringType, statsType.typ), func(s *scope) any { return statsEntries(s.profile) }),
})

var cartType = newStruct("cart", map[string]field{
	"id":         text(func(c *profiles.Cart) string { return c.Id }),
	"url":        text(func(c *profiles.Cart) string { return c.Url }),
	"items":      other(types.NewListType(cartLineType.typ), func(c *profiles.Cart) any { return listOf(cartLineType, c.Lines) }),
	"total":      double(func(c *profiles.Cart) float64 { return profiles.CartTotal(c.Lines) }),
	"updated_at": instant(func(c *profiles.Cart) int64 { return c.UpdatedAt }),
})

var interestType = newStruct("interest", map[string]field{
	"id":        text(func(i *profiles.Interest) string { return i.Id }),
	"channel":   text(func(i *profiles.Interest) string { return i.Channel }),
	"at":        instant(func(i *profiles.Interest) int64 { return i.At }),
	"first_at":  instant(func(i *profiles.Interest) int64 { return i.FirstAt }),
	"times":     integer(func(i *profiles.Interest) uint32 { return i.Times }),
	"days":      integer(func(i *profiles.Interest) uint32 { return i.Days }),
	"price":     double(func(i *profiles.Interest) float64 { return i.Price }),
	"available": boolean(func(i *profiles.Interest) bool { return i.Available }),
})

var ordersType = newStruct("orders", map[string]field{
	"count":    integer(func(o *profiles.Orders) uint64 { return o.Count }),
	"revenue":  double(func(o *profiles.Orders) float64 { return o.Revenue }),
	"first_at": instant(func(o *profiles.Orders) int64 { return o.FirstAt }),
	"last_at":  instant(func(o *profiles.Orders) int64 { return o.LastAt }),
	"recent":   other(types.NewListType(orderType.typ), func(o *profiles.Orders) any { return listOf(orderType, o.Recent) }),
})

var weights = types.NewMapType(types.StringType, types.DoubleType)
var affinityType = newStruct("affinity", map[string]field{
	"category": other(weights, func(s *scope) any { return affinities(s.profile.Categories, s.now) }),
	"brand":    other(weights, func(s *scope) any { return affinities(s.profile.Brands, s.now) }),
})

var channelType = newStruct("channel", map[string]field{
	"first_at": instant(func(c *profiles.Channel) int64 { return c.FirstAt }),
	"last_at":  instant(func(c *profiles.Channel) int64 { return c.LastAt }),
	"events":   integer(func(c *profiles.Channel) uint64 { return c.Events }),
})

var statsType = newStruct("stats", map[string]field{
	"sent":            integer(func(m *profiles.MessageStats) uint64 { return m.Sent }),
	"opened":          integer(func(m *profiles.MessageStats) uint64 { return m.Opened }),
	"clicked":         integer(func(m *profiles.MessageStats) uint64 { return m.Clicked }),
	"unopened":        integer(func(m *profiles.MessageStats) uint64 { return m.Unopened }),
	"last_sent_at":    instant(func(m *profiles.MessageStats) int64 { return m.LastSentAt }),
	"last_opened_at":  instant(func(m *profiles.MessageStats) int64 { return m.LastOpenedAt }),
	"last_clicked_at": instant(func(m *profiles.MessageStats) int64 { return m.LastClickedAt }),
})

func segmentNames(p *profiles.Profile) []string {
	names := make([]string, len(p.Segments))
	for i, m := range p.Segments {
		names[i] = m.Name
	}
	return names
}

func affinities(list []byte, now int64) map[string]float64 {
	m := make(map[string]float64, len(list))
	for _, a := range profiles.AffinityShares(list, now) {
		m[a.Name] = a.Share
	}
	return m
}

func consents(p *profiles.Profile) map[string]bool {
	m := make(map[string]bool, len(p.Consents))
	for _, c := range p.Consents {
		m[c.Channel] = c.Granted
	}
	return m
}

func channelEntries(p *profiles.Profile) ref.Val {
	names := make([]string, len(p.Channels))
	for i, c := range p.Channels {
		names[i] = c.Name
	}
	return newEntries(channelType, names, func(name string) any {
		for _, c := range p.Channels {
			if c.Name == name {
				return c
			}
		}
		return &profiles.Channel{Name: name}
	})
}

func statsEntries(p *profiles.Profile) ref.Val {
	names := make([]string, 0, len(p.MessageStats)+1)
	for _, m := range p.MessageStats {
		names = append(names, m.Channel)
	}
	return newEntries(statsType, append(names, "*"), func(name string) any {
		sum := &profiles.MessageStats{Channel: name}
		for _, m := range p.MessageStats {
			switch name {
			case m.Channel:
				return m
			case "*":
				addStats(sum, m)
			}
		}
		return sum
	})
}

// addStats adds a channel's messages to those of all channels.
func addStats(sum, m *profiles.MessageStats) {
	sum.Sent += m.Sent
	sum.Opened += m.Opened
	sum.Clicked += m.Clicked
	sum.Unopened += m.Unopened
	sum.LastSentAt = max(sum.LastSentAt, m.LastSentAt)
	sum.LastOpenedAt = max(sum.LastOpenedAt, m.LastOpenedAt)
	sum.LastClickedAt = max(sum.LastClickedAt, m.LastClickedAt)
}
