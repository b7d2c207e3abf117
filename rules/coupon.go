package rules

import (
	"crypto/hmac"
	"crypto/sha256"
	"time"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// coupon is a kind of coupon: one code for all, or a code for each run.
type coupon struct {
	name   string
	code   string // for all
	prefix string
	length int
	valid  int64 // ms; 0: without end
}

// couponLetters are what codes are made of: no I, L, O or U, which are mistaken
// for others when read aloud or typed (Crockford's base 32).
const couponLetters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// issue is the run's coupon: the HMAC of run and name, so that it is the
// customer's own, the same in each message of the run, and the same in a replay.
func (c *coupon) issue(secret string, run *profiles.Run, at int64) *streams.MessageCoupon {
	out := &streams.MessageCoupon{Code: c.code}
	if c.code == "" {
		mac := hmac.New(sha256.New, []byte(secret))
		for _, part := range []string{run.Trigger, run.Profile, run.StartedBy, run.Key, c.name} {
			mac.Write([]byte(part))
			mac.Write([]byte{0})
		}
		sum := mac.Sum(nil)
		code := make([]byte, c.length)
		for i := range code {
			code[i] = couponLetters[sum[i]%32]
		}
		out.Code = c.prefix + string(code)
	}
	if c.valid > 0 {
		until := time.UnixMilli(at + c.valid).UTC()
		out.ValidUntil = &until
	}
	return out
}
