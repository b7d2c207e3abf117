package rules

import (
	"bytes"
	"sync"
	"time"
	_ "time/tzdata" // every process must know the same zones

	"github.com/valyala/fastjson"

	"github.com/rapport-engine/rapport/engine/profiles"
)

// maxZones bounds the zone names remembered: customers send any text.
const maxZones = 1024

// zones remembers time zones by name, unknown ones as nil.
type zones struct {
	mu    sync.RWMutex // guards known
	known map[string]*time.Location
}

func newZones() *zones { return &zones{known: map[string]*time.Location{}} }

// get is the zone of that IANA name, nil when there is none.
func (z *zones) get(name string) *time.Location {
	if name == "" || name == "Local" || len(name) > 64 {
		return nil
	}
	z.mu.RLock()
	loc, ok := z.known[name]
	z.mu.RUnlock()
	if ok {
		return loc
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		loc = nil
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if len(z.known) < maxZones {
		z.known[string([]byte(name))] = loc
	}
	return loc
}

// zoneOf is the customer's time zone: traits.timezone, else the last
// context.timezone, else the default, else UTC; the first that is known.
func (s *Set) zoneOf(p *profiles.Profile, env *Env) *time.Location {
	if bytes.Contains(p.Traits, []byte(`"timezone"`)) {
		if loc := s.zones.get(fastjson.GetString(p.Traits, "timezone")); loc != nil {
			return loc
		}
	}
	if loc := s.zones.get(p.Timezone); loc != nil {
		return loc
	}
	if env != nil {
		if loc := s.zones.get(env.Timezone); loc != nil {
			return loc
		}
	}
	return time.UTC
}
