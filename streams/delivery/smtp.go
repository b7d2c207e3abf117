package delivery

import (
	"context"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/rapport-engine/rapport/streams"
)

// SMTPConfig is through which mail server e-mail is sent, and as whom.
type SMTPConfig struct {
	Name      string // default "smtp"
	Addr      string // host:port; TLS from the beginning on 465, else STARTTLS where it is offered
	From      string // an address, with a name or without
	User      string // "" sends without logging in
	Password  string
	Templates *Templates
	Timeout   time.Duration // of one attempt; default 30s
	Now       func() time.Time
}

// SMTP sends messages as e-mail.
type SMTP struct {
	name      string
	from      string
	domain    string // of From, for Message-ID
	client    *mail.Client
	templates *Templates
	timeout   time.Duration
	now       func() time.Time
}

// NewSMTP checks c and returns the sink. It opens no connection.
func NewSMTP(c SMTPConfig) (*SMTP, error) {
	host, port, err := net.SplitHostPort(c.Addr)
	number, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || host == "" {
		return nil, fmt.Errorf("cannot use mail server %q: must be host:port", c.Addr)
	}
	from, err := netmail.ParseAddress(c.From)
	if err != nil {
		return nil, fmt.Errorf("cannot use sender %q: must be an e-mail address", c.From)
	}
	s := &SMTP{name: c.Name, from: c.From, templates: c.Templates, timeout: orDefault(c.Timeout, 30*time.Second), now: c.Now}
	_, s.domain, _ = strings.Cut(from.Address, "@")
	if s.name == "" {
		s.name = "smtp"
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.templates == nil {
		s.templates = NewTemplates("", nil)
	}
	options := []mail.Option{mail.WithPort(int(number)), mail.WithTimeout(s.timeout), mail.WithTLSPolicy(mail.TLSOpportunistic)}
	if number == 465 {
		options = append(options, mail.WithSSL())
	}
	if c.User != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(c.User), mail.WithPassword(c.Password))
	}
	if s.client, err = mail.NewClient(host, options...); err != nil {
		return nil, fmt.Errorf("cannot use mail server %q: %w", c.Addr, err)
	}
	return s, nil
}

// Name returns the sink's name.
func (s *SMTP) Name() string { return s.name }

// Send sends a message as one e-mail, with its id in Message-ID and
// X-Rapport-Message. What the server refuses for good (5xx) is permanent.
func (s *SMTP) Send(ctx context.Context, m *streams.Message, body []byte) error {
	msg, err := s.compose(m, body)
	if err != nil {
		return &SendError{Err: err, Permanent: true}
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	conn, err := s.client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return fmt.Errorf("cannot reach the mail server: %w", err)
	}
	// Once the server has taken the mail, how it says goodbye is no failure.
	defer func() { _ = s.client.CloseWithSMTPClient(conn) }()
	if err := s.client.SendWithSMTPClient(conn, msg); err != nil {
		return smtpError(err)
	}
	return nil
}

// smtpError says what a server's refusal means. A receiver refused with 550, 551
// or 553 and a status of addresses (5.1.x), or none at all, is not there.
func smtpError(err error) *SendError {
	failure := &SendError{Err: fmt.Errorf("cannot send mail: %w", err)}
	var refused *mail.SendError
	if !errors.As(err, &refused) || refused.IsTemp() || refused.ErrorCode() < 500 {
		return failure
	}
	failure.Permanent = true
	if refused.Reason == mail.ErrSMTPRcptTo {
		status := refused.EnhancedStatusCode()
		gone := status == "" || strings.HasPrefix(status, "5.1.")
		failure.Bounced = gone && slices.Contains([]int{550, 551, 553}, refused.ErrorCode())
	}
	return failure
}

// compose makes the e-mail of a message.
func (s *SMTP) compose(m *streams.Message, body []byte) (*mail.Msg, error) {
	content, err := s.templates.Render(m, body)
	if err != nil {
		return nil, err
	}
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := msg.From(s.from); err != nil {
		return nil, fmt.Errorf("cannot use sender %q: %w", s.from, err)
	}
	if err := msg.To(m.To); err != nil {
		return nil, fmt.Errorf("cannot use receiver %q: %w", m.To, err)
	}
	msg.Subject(content.Subject)
	msg.SetDateWithValue(s.now())
	msg.SetMessageIDWithValue(plainID(m.ID) + "@" + s.domain)
	msg.SetGenHeader("X-Rapport-Message", plainID(m.ID))
	if m.UnsubscribeURL != "" {
		msg.SetGenHeader(mail.HeaderListUnsubscribe, "<"+m.UnsubscribeURL+">")
		msg.SetGenHeader(mail.HeaderListUnsubscribePost, "List-Unsubscribe=One-Click")
	}
	if !m.Transactional {
		msg.SetBulk()
	}
	switch {
	case content.HTML == "":
		msg.SetBodyString(mail.TypeTextPlain, content.Text)
	case content.Text == "":
		msg.SetBodyString(mail.TypeTextHTML, content.HTML)
	default:
		msg.SetBodyString(mail.TypeTextPlain, content.Text)
		msg.AddAlternativeString(mail.TypeTextHTML, content.HTML)
	}
	return msg, nil
}

// plainID is an id with only what may stand in a header.
func plainID(id string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '_'
	}, id)
}
