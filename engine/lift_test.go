package engine

import (
	"math"
	"testing"
)

// near compares to the digits that a publication prints.
func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.Abs(got-want) > within {
		t.Errorf("%s: got %.5f, want %.4f", what, got, want)
	}
}

// TestLiftIsAsPublished checks the intervals against worked examples.
func TestLiftIsAsPublished(t *testing.T) {
	// R. G. Newcombe, Statistics in Medicine 17 (1998), 873-890, table II, method 10.
	for _, c := range []struct {
		a, n, b, m int64
		low, high  float64
	}{
		{56, 70, 48, 80, 0.0524, 0.3339},
		{9, 10, 3, 10, 0.1705, 0.8090},
		{6, 7, 2, 7, 0.0582, 0.8062},
		{5, 56, 0, 29, -0.0381, 0.1926},
	} {
		l := lift(newRate(c.n, c.a, 0), newRate(c.m, c.b, 0))
		near(t, "low", l.CI[0], c.low, 0.00005)
		near(t, "high", l.CI[1], c.high, 0.00005)
	}
	// A. Agresti, An Introduction to Categorical Data Analysis, section 2.2: heart
	// attacks with placebo, 189 of 11,034, and with aspirin, 104 of 11,037. The
	// relative risk is 1.82, its interval (1.43, 2.30).
	l := lift(newRate(11034, 189, 0), newRate(11037, 104, 0))
	near(t, "difference", l.Difference, 0.0077, 0.00005)
	near(t, "relative", *l.Relative, 0.82, 0.005)
	near(t, "relative low", l.RelativeCI[0], 0.43, 0.007)
	near(t, "relative high", l.RelativeCI[1], 1.30, 0.007)
	if !l.Significant || l.TooSmall || l.P > 1e-5 {
		t.Errorf("got %+v", l)
	}
}

func TestLiftSaysWhenTheSampleIsTooSmall(t *testing.T) {
	for _, c := range []struct {
		a, n, b, m int64
		small      bool
	}{{3, 10, 1, 10, true}, {0, 1000, 0, 50, true}, {50, 1000, 3, 50, true}, {200, 1000, 5, 50, false}, {10, 10, 10, 10, true}} {
		l := lift(newRate(c.n, c.a, 0), newRate(c.m, c.b, 0))
		if l.TooSmall != c.small || l.Note == "" || math.IsNaN(l.P) || math.IsNaN(l.CI[0]+l.CI[1]) {
			t.Errorf("%+v: got %+v", c, l)
		}
	}
	if lift(newRate(10, 1, 0), Rate{}) != nil || lift(Rate{}, newRate(10, 1, 0)) != nil {
		t.Error("a lift without a holdout")
	}
}
