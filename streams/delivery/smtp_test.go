package delivery

import (
	"errors"
	"io"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// mailbox is a mail server on loopback that keeps what it takes.
type mailbox struct {
	addr string
	// refuse answers RCPT for an address; nil takes it.
	refuse func(to string) error

	mu    sync.Mutex // guards mails
	mails []mailed
}

type mailed struct{ from, to, text string }

func startMailbox(t *testing.T, refuse func(to string) error) *mailbox {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &mailbox{addr: ln.Addr().String(), refuse: refuse}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &mailSession{box: b}, nil }))
	server.Domain = "mail.example"
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return b
}

func (b *mailbox) all() []mailed {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mails
}

type mailSession struct {
	box  *mailbox
	mail mailed
}

func (s *mailSession) Reset()        { s.mail = mailed{} }
func (s *mailSession) Logout() error { return nil }
func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	s.mail.from = from
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mail.to = to
	if s.box.refuse != nil {
		return s.box.refuse(to)
	}
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.mail.text = string(text)
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.box.mails = append(s.box.mails, s.mail)
	return nil
}

func newSMTP(t *testing.T, addr string, templates *Templates) *SMTP {
	t.Helper()
	s, err := NewSMTP(SMTPConfig{Addr: addr, From: "The Shop <shop@shop.example>", Templates: templates, Timeout: 10 * time.Second,
		Now: func() time.Time { return time.Date(2026, 6, 2, 5, 32, 14, 0, time.UTC) }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMessagesAreSentAsMail(t *testing.T) {
	box := startMailbox(t, nil)
	m, body := sample(t, "abandoned_cart", "uk-UA")
	dir := files(t, map[string]string{"abandoned_cart.html": "<p>{{(index .data.items 0).name}}</p>", "abandoned_cart.txt": `{{define "subject"}}Ваш кошик{{end}}Hello`})
	if err := newSMTP(t, box.addr, NewTemplates(dir, nil)).Send(t.Context(), m, body); err != nil {
		t.Fatal(err)
	}
	mails := box.all()
	if len(mails) != 1 || mails[0].from != "shop@shop.example" || mails[0].to != "olena@mail.example" {
		t.Fatalf("%+v", mails)
	}
	mail, err := netmail.ReadMessage(strings.NewReader(mails[0].text))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"From": `"The Shop" <shop@shop.example>`, "To": "<olena@mail.example>", "Subject": "=?UTF-8?q?=D0=92=D0=B0=D1=88_=D0=BA=D0=BE=D1=88=D0=B8=D0=BA?=",
		"Message-Id": "<abandoned_cart.1.5f0c9a7e21b3d468@shop.example>", "X-Rapport-Message": m.ID, "Date": "Tue, 02 Jun 2026 05:32:14 +0000",
		"List-Unsubscribe": "<https://shop.example/u?a=1&b=2>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click", "Precedence": "bulk",
	} {
		if got := mail.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, want := range []string{"multipart/alternative", "text/plain", "Hello", "text/html", "&lt;red&gt;"} {
		if !strings.Contains(mails[0].text, want) {
			t.Errorf("no %q in %s", want, mails[0].text)
		}
	}
	m.Transactional, m.UnsubscribeURL = true, ""
	if err := newSMTP(t, box.addr, nil).Send(t.Context(), m, body); err != nil {
		t.Fatal(err)
	}
	if text := box.all()[1].text; strings.Contains(text, "Precedence") || strings.Contains(text, "List-Unsubscribe:") {
		t.Errorf("a receipt is sent as bulk: %s", text)
	}
}

func TestRefusedMail(t *testing.T) {
	box := startMailbox(t, func(to string) error {
		if strings.HasPrefix(to, "gone") {
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
		}
		if strings.HasPrefix(to, "wary") {
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "we do not know you"}
		}
		return &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 2, 1}, Message: "come back later"}
	})
	sink := newSMTP(t, box.addr, nil)
	for to, permanent := range map[string]bool{"gone@mail.example": true, "wary@mail.example": true, "busy@mail.example": false, "no address": true, "a@b.c\r\nBcc: d@e.f": true, "": true} {
		m, body := sample(t, "x", "")
		m.To = to
		err := sink.Send(t.Context(), m, body)
		var failure *SendError
		if !errors.As(err, &failure) || failure.Permanent != permanent {
			t.Errorf("to %q: %+v", to, err)
		}
		if bounced := strings.HasPrefix(to, "gone"); failure != nil && failure.Bounced != bounced {
			t.Errorf("to %q: bounced %v", to, failure.Bounced)
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	m, body := sample(t, "x", "")
	err = newSMTP(t, ln.Addr().String(), nil).Send(t.Context(), m, body)
	var failure *SendError
	if err == nil || errors.As(err, &failure) && failure.Permanent {
		t.Errorf("no server: %v", err)
	}
	if len(box.all()) != 0 {
		t.Errorf("%+v", box.all())
	}
}

func TestBadMailServers(t *testing.T) {
	for _, c := range []SMTPConfig{{Addr: "mail", From: "a@b.c"}, {Addr: "mail:x", From: "a@b.c"}, {Addr: ":25", From: "a@b.c"}, {Addr: "mail:25", From: "nobody"}, {Addr: "mail:99999", From: "a@b.c"}} {
		if _, err := NewSMTP(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
	if s, err := NewSMTP(SMTPConfig{Addr: "mail.example:465", From: "a@b.c", User: "u", Password: "p"}); err != nil || s.Name() != "smtp" {
		t.Errorf("%v, %v", s, err)
	}
}
