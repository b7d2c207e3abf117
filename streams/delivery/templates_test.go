package delivery

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/streams"
)

// sample is a message with its JSON, for a template and a locale.
func sample(t testing.TB, template, locale string) (*streams.Message, []byte) {
	t.Helper()
	until := time.Date(2026, 6, 16, 5, 0, 0, 0, time.UTC)
	m := &streams.Message{
		ID: "abandoned_cart.1.5f0c9a7e21b3d468", Trigger: "abandoned_cart", Profile: "user:42", Channel: "email", To: "olena@mail.example",
		Template: template, Locale: locale, UnsubscribeURL: "https://shop.example/u?a=1&b=2",
		Data: streams.MessageData{
			Items: []streams.MessageItem{{ID: "1", Name: `Boots "Alba" <red>`, URL: "https://shop.example/1", Price: 1450000, Available: true}},
			Cart:  streams.MessageCart{URL: "https://shop.example/cart", Total: 12.5}, Traits: map[string]any{"name": "Olena & Co"},
			Coupon: &streams.MessageCoupon{Code: "GIFT-7K2M9QXA", ValidUntil: &until},
		},
		Recommendations: &streams.Recommendations{ID: "rec_1", Items: []streams.MessageItem{{ID: "2", Name: "Socks"}}},
	}
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return m, body
}

// files writes a directory of templates.
func files(t testing.TB, texts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestMessagesWithoutATemplateGetTheBuiltInOne(t *testing.T) {
	m, body := sample(t, "abandoned_cart", "uk-UA")
	c, err := NewTemplates(filepath.Join(t.TempDir(), "none"), nil).Render(m, body)
	if err != nil {
		t.Fatal(err)
	}
	if c.Subject != "Abandoned cart" {
		t.Errorf("subject %q", c.Subject)
	}
	for _, want := range []string{"Olena &amp; Co", "Boots &#34;Alba&#34; &lt;red&gt;", `<a href="https://shop.example/cart?rpt_mid=abandoned_cart.1.5f0c9a7e21b3d468">https://shop.example/cart</a>`, "1450000", "GIFT-7K2M9QXA", "2026-06-16", "Socks", "https://shop.example/u?a=1&amp;b=2", `lang="uk-UA"`} {
		if !strings.Contains(c.HTML, want) {
			t.Errorf("no %q in %s", want, c.HTML)
		}
	}
	want := "Olena & Co,\n\nBoots \"Alba\" <red> 1450000 https://shop.example/1?rpt_mid=abandoned_cart.1.5f0c9a7e21b3d468\nhttps://shop.example/cart?rpt_mid=abandoned_cart.1.5f0c9a7e21b3d468\nGIFT-7K2M9QXA (2026-06-16)\n* Socks\n\nhttps://shop.example/u?a=1&b=2\n"
	if c.Text != want {
		t.Errorf("text %q, want %q", c.Text, want)
	}
	m.Data.Custom = map[string]any{"subject": "For you:\r\nboots"}
	if c, err = NewTemplates("", nil).Render(m, []byte(`{}`)); err != nil || c.Subject != "For you: boots" {
		t.Errorf("subject %q, %v", c.Subject, err)
	}
}

func TestTheMostSpecialTemplateWins(t *testing.T) {
	dir := files(t, map[string]string{
		"welcome.txt": "any", "welcome.uk.txt": "uk", "welcome.sms.txt": "sms", "welcome.sms.UK-ua.txt": "sms uk-UA", "welcome.sms.uk.txt": "sms uk", "notes.md": "{{",
	})
	templates := NewTemplates(dir, nil)
	for _, c := range []struct{ channel, locale, want string }{
		{"push", "", "any"}, {"push", "en-US", "any"}, {"push", "uk-UA", "uk"}, {"sms", "en", "sms"}, {"sms", "uk_UA", "sms uk-UA"}, {"sms", "uk", "sms uk"},
	} {
		m, body := sample(t, "welcome", c.locale)
		m.Channel = c.channel
		if got, err := templates.Render(m, body); err != nil || got.Text != c.want || got.HTML != "" {
			t.Errorf("%s %s: %+v, %v", c.channel, c.locale, got, err)
		}
	}
}

func TestTemplatesReadTheMessageByItsNames(t *testing.T) {
	dir := files(t, map[string]string{
		"a.txt":  `{{define "subject"}}Hi {{.data.traits.name}}{{end}}{{range .data.items}}{{.name}}: {{.price}} {{money .price}}{{if gt (number .price) 100.0}} dear{{end}}{{end}} {{.data.traits.surname}}|{{json .data.traits.name}}|{{money .data.cart.total}}`,
		"b.html": "{{define \"subject\"}}\n Hi {{.data.traits.name}}\n{{end}}<b>{{.data.traits.name}}</b>",
	})
	templates := NewTemplates(dir, nil)
	m, body := sample(t, "a", "")
	c, err := templates.Render(m, body)
	if want := `Boots "Alba" <red>: 1450000 1450000 dear |"Olena \u0026 Co"|12.50`; err != nil || c.Text != want || c.Subject != "Hi Olena & Co" {
		t.Errorf("%+v, %v", c, err)
	}
	m, body = sample(t, "b", "")
	c, err = templates.Render(m, body)
	if err != nil || c.HTML != "<b>Olena &amp; Co</b>" || c.Text != "" || c.Subject != "Hi Olena & Co" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestBrokenTemplates(t *testing.T) {
	dir := files(t, map[string]string{"a.txt": "fine\n{{if}}", "b.html": "{{.x", "c.txt": "{{nofunc}}", "d.txt": "ok"})
	problems := CheckTemplates(dir)
	if len(problems) != 3 {
		t.Fatalf("%v", problems)
	}
	var e *TemplateError
	if !errors.As(problems[0], &e) || e.Line != 2 || filepath.Base(e.File) != "a.txt" || strings.Contains(e.Text, "template:") {
		t.Errorf("%+v", e)
	}
	if list := CheckTemplates(filepath.Join(dir, "none")); list != nil {
		t.Errorf("no directory: %v", list)
	}
	if list := CheckTemplates(filepath.Join(dir, "a.txt")); len(list) != 1 {
		t.Errorf("a file for a directory: %v", list)
	}
	templates := NewTemplates(dir, nil)
	m, body := sample(t, "d", "")
	if c, err := templates.Render(m, body); err != nil || c.Text != "ok" {
		t.Errorf("beside broken ones: %+v, %v", c, err)
	}
	if _, err := templates.Render(m, []byte("{")); err == nil {
		t.Error("half a message was rendered")
	}
}

func TestChangedTemplatesCountAtOnceAndBrokenOnesDoNot(t *testing.T) {
	dir := files(t, map[string]string{"a.txt": "old"})
	templates := NewTemplates(dir, nil)
	m, body := sample(t, "a", "")
	for _, step := range []struct{ write, want string }{{"", "old"}, {"newer", "newer"}, {"{{broken", "newer"}, {"{{index .data.items 7}}", ""}} {
		if step.write != "" {
			if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte(step.write), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c, err := templates.Render(m, body)
		if c.Text != step.want || (err != nil) != (step.want == "") {
			t.Errorf("after %q: %+v, %v", step.write, c, err)
		}
	}
}

func TestLinksCarryTheMessage(t *testing.T) {
	for in, want := range map[string]string{
		"https://shop.example/a?b=c%20d#e": "https://shop.example/a?b=c%20d&rpt_mid=x%26y#e", "https://shop.example": "https://shop.example?rpt_mid=x%26y", "": "", "/a": "/a", "://": "://",
	} {
		if got := link(in, "x&y"); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if got := link(nil, nil); got != "" {
		t.Errorf("no link: %q", got)
	}
}
