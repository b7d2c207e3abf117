package streams

import (
	"net/url"
	"testing"
)

func TestUnsubscribeLinks(t *testing.T) {
	u := Unsubscribe{Profile: "phone:+380501234567", Channel: "sms", Message: "x.0.ab"}
	if u.URL("", "s") != "" || u.URL("https://shop.example", "") != "" {
		t.Error("a link without an address or a secret")
	}
	link, err := url.Parse(u.URL("https://shop.example/", "s"))
	if err != nil || link.Host != "shop.example" || link.Path != UnsubscribePath || link.Query().Get("id") != u.Profile {
		t.Errorf("%v, %v", link, err)
	}
	sig := link.Query().Get("sig")
	if !u.Signed(sig, "s") || u.Signed(sig, "") || u.Signed("", "s") || u.Signed(sig, "t") {
		t.Errorf("signature %q", sig)
	}
	for _, other := range []Unsubscribe{{Profile: "user:1", Channel: "sms", Message: "x.0.ab"}, {Profile: u.Profile, Channel: "email", Message: "x.0.ab"}, {Profile: u.Profile, Channel: "sms"}} {
		if other.Signed(sig, "s") {
			t.Errorf("%+v has the signature of another", other)
		}
	}
}
