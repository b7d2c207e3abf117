package api

import (
	"testing"

	"github.com/rapport-engine/rapport/engine/profiles"
)

func TestDecisionsAreListedByTrigger(t *testing.T) {
	s := start(t, Options{})
	p := &profiles.Profile{Id: "user:42"}
	p.Decide(&profiles.Decision{At: 1_700_000_000_000, Trigger: "a", Step: 1, Reason: "capped"})
	p.Decide(&profiles.Decision{At: 1_700_000_001_000, Trigger: "b", Step: 2, Reason: "sent", Channel: "email", Message: "00ff"})
	s.engine.profiles["user:42"] = p
	var all decisionsAnswer
	s.get("/v1/profiles/user:42/decisions").want(t, 200, `"message_id":"b.2.00ff"`).decode(t, &all)
	if len(all.Decisions) != 2 || all.Decisions[0].Trigger != "b" {
		t.Errorf("answered %+v", all)
	}
	s.get("/v1/profiles/user:42/decisions?trigger=a").want(t, 200, `{"decisions":[{"at":"2023-11-14T22:13:20Z","trigger":"a","step":1,"reason":"capped"}]}`)
	s.get("/v1/profiles/user:42/decisions?trigger=none").want(t, 200, `{"decisions":[]}`)
	s.get("/v1/profiles/user:404/decisions").want(t, 404, "no customer")
}

func TestTriggersSayWhatTheyEarned(t *testing.T) {
	s := start(t, Options{})
	s.get("/v1/triggers/abandoned_cart/stats").want(t, 200, `"not_sent":{"capped":1}`)
	s.get("/v1/triggers/nothing/stats").want(t, 404, "no trigger is called")
	s.get("/v1/segments").want(t, 200, `{"segments":[{"name":"vip","customers":3}]}`)
}
