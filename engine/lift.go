package engine

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Rate is how many of those who were counted reached a goal.
type Rate struct {
	Runs    int64   `json:"runs"`    // whose first message was sent, or held out
	Reached int64   `json:"reached"` // of these, the goal
	Rate    float64 `json:"rate"`    // 0 to 1
	Revenue float64 `json:"revenue"`
}

func newRate(runs, reached int64, revenue float64) Rate {
	r := Rate{Runs: runs, Reached: reached, Revenue: math.Round(revenue*100) / 100}
	if runs > 0 {
		r.Rate = float64(reached) / float64(runs)
	}
	return r
}

// Lift compares the goals of those who were sent to with those of the holdout.
type Lift struct {
	// Difference is the difference of the rates, Relative their ratio less 1,
	// each with its 95% confidence interval [low, high]; Relative is absent
	// where either rate is 0.
	Difference float64     `json:"difference"`
	CI         [2]float64  `json:"difference_ci"`
	Relative   *float64    `json:"relative,omitempty"`
	RelativeCI *[2]float64 `json:"relative_ci,omitempty"`
	// P is the two-sided p-value of the two-proportion z-test.
	P float64 `json:"p_value"`
	// Significant says that P is below 0.05 and the sample is not too small.
	Significant bool   `json:"significant"`
	TooSmall    bool   `json:"too_small"`
	Note        string `json:"note"`
}

// leastExpected is how many of each group must be expected to reach the goal,
// and not to, for the z-test to hold (Cochran 1954).
const leastExpected = 5

// lift compares two groups; nil without a holdout.
func lift(sent, holdout Rate) *Lift {
	if sent.Runs == 0 || holdout.Runs == 0 {
		return nil
	}
	l := &Lift{Difference: sent.Rate - holdout.Rate, CI: differenceInterval(sent, holdout)}
	n1, n2 := float64(sent.Runs), float64(holdout.Runs)
	pooled := float64(sent.Reached+holdout.Reached) / (n1 + n2)
	if se := math.Sqrt(pooled * (1 - pooled) * (1/n1 + 1/n2)); se > 0 {
		l.P = 2 * distuv.UnitNormal.Survival(math.Abs(l.Difference)/se)
	} else {
		l.P = 1
	}
	if sent.Reached > 0 && holdout.Reached > 0 {
		relative := sent.Rate/holdout.Rate - 1
		ci := ratioInterval(sent, holdout)
		ci[0]--
		ci[1]--
		l.Relative, l.RelativeCI = &relative, &ci
	}
	least := min(n1, n2) * min(pooled, 1-pooled)
	l.TooSmall = least < leastExpected
	l.Significant = !l.TooSmall && l.P < 0.05
	switch {
	case l.TooSmall:
		l.Note = "the sample is too small to tell: in each group at least 5 must be expected to reach the goal, and 5 not to"
	case l.Significant:
		l.Note = "the difference is larger than chance explains (p < 0.05)"
	default:
		l.Note = "the difference may be chance (p >= 0.05)"
	}
	return l
}

// z95 is the 97.5% quantile of the normal distribution.
var z95 = distuv.UnitNormal.Quantile(0.975)

// differenceInterval is the 95% interval of the difference of two proportions:
// Newcombe's hybrid score interval, his method 10 (R. G. Newcombe, Interval
// estimation for the difference between independent proportions, Statistics in
// Medicine 17, 1998), which holds for small samples and rare goals too.
func differenceInterval(a, b Rate) [2]float64 {
	lowA, highA := scoreInterval(a)
	lowB, highB := scoreInterval(b)
	d := a.Rate - b.Rate
	return [2]float64{
		d - math.Hypot(a.Rate-lowA, highB-b.Rate),
		d + math.Hypot(highA-a.Rate, b.Rate-lowB),
	}
}

// scoreInterval is Wilson's score interval of one proportion.
func scoreInterval(r Rate) (low, high float64) {
	n, z2 := float64(r.Runs), z95*z95
	middle := (r.Rate + z2/(2*n)) / (1 + z2/n)
	half := z95 / (1 + z2/n) * math.Sqrt(r.Rate*(1-r.Rate)/n+z2/(4*n*n))
	return max(0, middle-half), min(1, middle+half)
}

// ratioInterval is the 95% interval of the ratio of two proportions, normal on
// the logarithm (Katz and others 1978).
func ratioInterval(a, b Rate) [2]float64 {
	half := z95 * math.Sqrt((1-a.Rate)/float64(a.Reached)+(1-b.Rate)/float64(b.Reached))
	ratio := a.Rate / b.Rate
	return [2]float64{ratio * math.Exp(-half), ratio * math.Exp(half)}
}
