package api

import (
	"sync"

	"github.com/rapport-engine/rapport/rules"
)

const (
	maxFilter   = 2 << 10 // bytes
	filtersKept = 256     // in each generation
)

// filterCache keeps compiled filters by their text, in two generations: when
// the younger is full it becomes the older, and what was not used since then
// goes.
type filterCache struct {
	mu           sync.RWMutex // guards both maps
	young, older map[string]*rules.Filter
}

func newFilterCache() *filterCache {
	return &filterCache{young: map[string]*rules.Filter{}}
}

// compile returns the filter of a text; its error says what is wrong in it.
func (c *filterCache) compile(text string) (*rules.Filter, error) {
	c.mu.RLock()
	f, ok := c.young[text]
	c.mu.RUnlock()
	if ok {
		return f, nil
	}
	c.mu.RLock()
	f, ok = c.older[text]
	c.mu.RUnlock()
	if !ok {
		var err error
		if f, err = rules.CompileFilter(text); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= filtersKept {
		c.older, c.young = c.young, make(map[string]*rules.Filter, filtersKept)
	}
	c.young[text] = f
	return f, nil
}
