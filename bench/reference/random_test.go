package reference_test

import (
	"flag"
	"testing"
)

var (
	ruleSets = flag.Int("rulesets", 300, "how many random sets of rules engine and model are compared on")
	seed     = flag.Uint64("seed", 1, "the first random set of rules")
)

// TestRandomRules holds the engine to the model for random rules over random
// events: of customers who turn out to be the same, late, repeated, with messages
// that are opened and fail, prices that change and processes that start again.
func TestRandomRules(t *testing.T) {
	decisions := 0
	for n := range *ruleSets {
		s := newScenario(*seed + uint64(n)) //nolint:gosec // a count
		differences, err := s.run(t.Context())
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", *seed+uint64(n), err, s.rules) //nolint:gosec // a count
		}
		if len(differences) > 0 {
			s.shrink(t.Context())
			differences, _ = s.run(t.Context())
			t.Errorf("seed %d: live %v, gradual %v, %d partitions\n%s", *seed+uint64(n), s.live, s.gradual, s.partitions, s.rules) //nolint:gosec // a count
			for i := range s.actions {
				if a := &s.actions[i]; a.tick == 0 || i+1 == len(s.actions) || s.actions[i+1].tick == 0 {
					t.Log(a.String())
				}
			}
			for _, d := range differences {
				t.Log(d)
			}
			return
		}
		model, _ := s.model()
		for i := range s.actions {
			s.actions[i].tell(model)
		}
		model.Finish()
		decisions += len(model.Decisions)
	}
	t.Logf("%d sets of rules, %d decisions", *ruleSets, decisions)
}
