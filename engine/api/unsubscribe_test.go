package api

import (
	"net/url"
	"strings"
	"testing"

	"github.com/rapport-engine/rapport/streams"
)

func TestUnsubscribeLinksAreBelievedWhenSigned(t *testing.T) {
	s := start(t, Options{Keys: threeKeys, Secret: "links"})
	link := func(id, channel string) string {
		u, err := url.Parse(streams.Unsubscribe{Profile: id, Channel: channel, Message: "x.0.ab"}.URL("http://shop.example", "links"))
		if err != nil {
			t.Fatal(err)
		}
		return u.RequestURI()
	}
	s.get(link("user:42", "email")).want(t, 200, "No more messages by email?")
	if len(s.engine.records) != 0 {
		t.Error("looking at the page has unsubscribed")
	}
	s.post(link("user:42", "email"), "List-Unsubscribe=One-Click").want(t, 200, `{"success":true}`)
	s.post(link("phone:+380501234567", "sms"), "", "Accept", "text/html,*/*").want(t, 200, "Done: no more messages by sms.")
	if len(s.engine.records) != 2 || string(s.engine.records[1].Key) != "phone:+380501234567" {
		t.Fatalf("%+v", s.engine.records)
	}
	for _, want := range []string{`"event":"Unsubscribed"`, `"userId":"42"`, `"channel":"email"`, `"reason":"link"`, `"message_id":"x.0.ab"`} {
		if rec := string(s.engine.records[0].Value); !strings.Contains(rec, want) {
			t.Errorf("no %s in %s", want, rec)
		}
	}
	for _, bad := range []string{streams.UnsubscribePath, strings.Replace(link("user:42", "email"), "user%3A42", "user%3A43", 1), link("user:42", "email") + "x"} {
		s.post(bad, "").want(t, 403, "sig")
		s.get(bad).want(t, 403, "sig")
	}
	none := start(t, Options{})
	none.post(link("user:42", "email"), "").want(t, 403, "sig")
}
