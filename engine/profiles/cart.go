package profiles

import "time"

// LiveCart returns the lines of the cart that are in it at a time (Unix ms):
// those added less than ttl before. It shares memory with p.
func (p *Profile) LiveCart(now int64, ttl time.Duration) []*Line {
	if p.Cart == nil {
		return nil
	}
	dead := func(l *Line) bool { return l.AddedAt+ttl.Milliseconds() <= now }
	for i, l := range p.Cart.Lines {
		if !dead(l) {
			continue
		}
		live := append([]*Line(nil), p.Cart.Lines[:i]...)
		for _, l := range p.Cart.Lines[i+1:] {
			if !dead(l) {
				live = append(live, l)
			}
		}
		return live
	}
	return p.Cart.Lines
}

// CartTotal returns what lines cost, rounded to 1/10000.
func CartTotal(lines []*Line) float64 {
	total := 0.0
	for _, l := range lines {
		total += l.Price * float64(l.Quantity)
	}
	return round(total)
}
