package rules

import (
	"fmt"

	"github.com/goccy/go-json"
)

// setTraits sets traits of the turn's customer. Where they would be too large
// nothing is set, which is noted.
func (t *Turn) setTraits(trig *Trigger, list []setting) {
	values := make(map[string]json.RawMessage, len(list))
	for _, x := range list {
		b, err := json.Marshal(x.value)
		if err != nil {
			panic(fmt.Sprintf("BUG: cannot encode the value of trait %s: %v", x.trait, err))
		}
		values[x.trait] = b
	}
	if !t.Profile.SetTraits(values, t.Now) {
		t.Failures = append(t.Failures, Failure{Trigger: trig.Name, Kind: FailureCost})
		return
	}
	t.scope.traits, t.traitsSet = nil, true
}
