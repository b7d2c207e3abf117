package reference_test

import (
	"fmt"

	"github.com/rapport-engine/rapport/bench/reference"
)

// generator makes random events of a few customers, who have a user id, a card
// and two browsers each.
type generator struct {
	*pool
	customers int
	made      int
	began     int64 // Unix ms
	past      []reference.Event
}

// event makes one: something new, now and then late, or something repeated.
func (g *generator) event(now, logged int64, model *reference.Model) *reference.Event {
	if len(g.past) > 0 && g.IntN(10) == 0 {
		i := g.IntN(len(g.past))
		e := g.past[i]
		// What is exactly a day ago may be either, and what is a week late is in no right place.
		if ago := logged - e.Logged; (ago < 23*60*60_000 || ago > 26*60*60_000) && logged-e.At < 6*dayMs {
			e.Logged = logged
			g.past[i] = e
			return &e
		}
	}
	g.made++
	e := reference.Event{ID: fmt.Sprintf("m%d", g.made), Channel: g.pick("web", "app", "pos"), At: logged, Logged: logged, IDs: g.ids(),
		Properties: map[string]any{}}
	if g.IntN(6) == 0 {
		e.At -= int64(1+g.IntN(5*24*60)) * 60_000
		e.IDs = e.IDs[:1] // who is who, told late, is the matter of the engine's own model of histories
	}
	// So is what turns out after a week, when what was removed from a cart may be forgotten.
	if g.began == 0 {
		g.began = now
	}
	if now-g.began > 6*dayMs {
		e.IDs = e.IDs[:1]
	}
	if g.IntN(3) == 0 {
		e.Properties["n"] = float64(g.IntN(6))
	}
	g.fill(&e, model)
	g.past = append(g.past, e)
	return &e
}

// ids are some of a customer's identifiers, the strongest first.
func (g *generator) ids() []string {
	k := g.IntN(g.customers)
	user, card, email := fmt.Sprintf("user:u%d", k), fmt.Sprintf("card:c%d", k), fmt.Sprintf("email:e%d@shop.example", k)
	browser := fmt.Sprintf("anonymous:a%d-%d", k, g.IntN(2))
	switch g.IntN(12) {
	case 0, 1, 2:
		return []string{user}
	case 3:
		return []string{user, browser}
	case 4:
		return []string{user, card}
	case 5:
		return []string{card}
	case 6:
		return []string{card, browser}
	case 7:
		return []string{user, email}
	}
	return []string{browser}
}

func (g *generator) line() reference.Line {
	l := reference.Line{ID: g.product(), Quantity: 1, Price: float64(10 * (1 + g.IntN(4)))}
	if g.IntN(2) == 0 {
		l.Quantity, l.Given = int64(1+g.IntN(3)), true
	}
	return l
}

func (g *generator) lines(n int) []reference.Line {
	out, known := []reference.Line{}, map[string]bool{}
	for range n {
		if l := g.line(); !known[l.ID] {
			known[l.ID] = true
			out = append(out, l)
		}
	}
	return out
}

// fill says what the event is.
func (g *generator) fill(e *reference.Event, model *reference.Model) {
	switch n := g.IntN(20); {
	case n < 4:
		e.Name, e.Product = "Product Viewed", g.line()
	case n < 8:
		e.Name, e.Product = "Product Added", g.line()
		if g.IntN(2) == 0 {
			e.Properties["cart_id"] = g.pick("k1", "k2")
		}
	case n == 8:
		e.Name, e.Product = "Product Removed", g.line()
	case n < 11:
		e.Name, e.Order, e.Products = "Order Completed", fmt.Sprintf("o%d", g.IntN(8)), g.lines(1+g.IntN(2))
		if g.IntN(2) == 0 {
			e.Total, e.HasTotal = float64(20*(1+g.IntN(5))), true
		}
	case n == 11:
		e.Name, e.Products = g.pick("Cart Updated", "Checkout Started"), g.lines(g.IntN(3))
	case n == 12:
		e.Name, e.Product = g.pick("Product Added to Wishlist", "Product Added to Waiting List"), g.line()
	case n < 15:
		e.Name, e.Traits = "identify", map[string]any{"plan": g.pick("gold", "silver")}
		if g.IntN(2) == 0 {
			e.Traits["birthday"] = fmt.Sprintf("1990-%02d-%02d", 1+g.IntN(12), 1+g.IntN(28))
		}
		if g.IntN(2) == 0 {
			e.Consents = map[string]bool{"email": g.IntN(4) > 0}
		}
	case n < 18:
		if list := sentMessages(model); len(list) > 0 {
			d := list[len(list)-1-g.IntN(min(len(list), 5))]
			e.Name = g.pick("Message Delivered", "Message Opened", "Message Clicked", "Message Failed", "Message Skipped")
			e.Message, e.IDs, e.At = d.ID, []string{d.Profile}, e.Logged
			return
		}
		e.Name = "page"
	default:
		e.Name = "page"
	}
}

func sentMessages(model *reference.Model) (list []reference.Decision) {
	for _, d := range model.Decisions {
		if d.Reason == "" {
			list = append(list, d)
		}
	}
	return list
}

// item is a product with another price or stock.
func (g *generator) item() *reference.Item {
	return &reference.Item{ID: g.product(), Price: float64(10 * (1 + g.IntN(4))), Stock: int64(g.IntN(5)), HasStock: true}
}
