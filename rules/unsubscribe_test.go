package rules

import (
	"testing"

	"github.com/rapport-engine/rapport/streams"
)

func TestMessagesToAnAddressCanBeEnded(t *testing.T) {
	env := &Env{Secret: "s", URL: "https://shop.example"}
	to := &streams.Message{ID: "x.0.ab", Profile: "user:1", Channel: "email", To: "a@b.c"}
	want := streams.Unsubscribe{Profile: "user:1", Channel: "email", Message: "x.0.ab"}.URL("https://shop.example", "s")
	if got := env.unsubscribeURL(to); got != want || got == "" {
		t.Errorf("%q", got)
	}
	none := &streams.Message{ID: "x.0.ab", Profile: "user:1", Channel: "webhook"}
	for name, got := range map[string]string{"no address": env.unsubscribeURL(none), "no secret": (&Env{URL: "https://shop.example"}).unsubscribeURL(to), "no URL": (&Env{Secret: "s"}).unsubscribeURL(to), "no surroundings": (*Env)(nil).unsubscribeURL(to)} {
		if got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}
