package engine

import "github.com/rapport-engine/rapport/streams"

// outdated reports whether what a message offers is no longer so: none of its
// items can be had, or one costs more by now than it says. What is told about
// an order, or asked for (transactional), holds whatever the shelves have.
func (e *Engine) outdated(m *streams.Message) bool {
	if m.Transactional || len(m.Data.Order) > 0 || len(m.Data.Items) == 0 {
		return false
	}
	if !e.anyAvailable(m.Data.Items) {
		return true
	}
	if !e.Live() { // history runs faster than messages are delivered
		return false
	}
	for i := range m.Data.Items {
		shown := &m.Data.Items[i]
		if now := e.catalogue.Get(shown.ID); now != nil && shown.Price > 0 && now.Price > shown.Price {
			return true
		}
	}
	return false
}
