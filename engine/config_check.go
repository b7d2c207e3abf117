package engine

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // time zones are the same on every machine

	"golang.org/x/text/currency"
	"golang.org/x/text/language"

	"github.com/rapport-engine/rapport/streams/delivery"
)

// Warnings are what is allowed but hardly meant, for `rapport check` and the log.
func (c Config) Warnings() []Problem {
	var list []Problem
	warn := func(format string, args ...any) {
		list = append(list, Problem{Text: fmt.Sprintf(format, args...)})
	}
	if c.IdentitySecret == "" && !loopback(c.Listen) {
		warn("identity_secret: is empty while listen is %s: anybody may claim to be any customer; "+
			"set it and sign identifiers sent from browsers", c.Listen)
	}
	if c.Sinks.Webhook != nil && c.Sinks.Webhook.Secret == "" {
		warn("sinks.webhook.secret: is empty: the receiver cannot tell our messages from others'")
	}
	if people := c.Sinks.SMTP != nil || c.Sinks.HTTP != nil; people && c.Secret == "" {
		warn("secret: is empty: messages have no link to unsubscribe, and codes of coupons can be guessed")
	} else if people && c.URL == "" {
		warn("url: is empty: links to unsubscribe lead to %q; set the public address of this API", c.PublicURL())
	}
	return list
}

// check looks at the values, wherever they came from.
func (b *configBuilder) check() {
	b.checkBasics()
	b.checkKafka()
	b.checkKeys()
	b.checkCustomers()
	b.checkSinks()
}

// problem adds a problem at the place that the value at path came from. A list's
// element stands where the list does when its own place is not known.
func (b *configBuilder) problem(path, format string, args ...any) {
	p, ok := b.origin[path]
	for at := path; !ok && at != ""; {
		at = at[:max(0, strings.LastIndexAny(at, ".["))]
		p, ok = b.origin[at]
	}
	if !ok {
		p.File = b.name
	}
	p.Text = path + ": " + fmt.Sprintf(format, args...)
	b.problems = append(b.problems, p)
}

func indexed(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

func (b *configBuilder) checkBasics() {
	c := &b.config
	b.checkAddr("listen", c.Listen)
	if c.Admin != "" {
		b.checkAddr("admin", c.Admin)
	}
	if c.Admin == c.Listen && !strings.HasSuffix(c.Admin, ":0") {
		b.problem("admin", "must not be the same address as listen")
	}
	if u, err := url.Parse(c.URL); c.URL != "" && (err != nil || !webURL(u)) {
		b.problem("url", "must be a URL such as https://rapport.shop.example, not %q", c.URL)
	}
	if c.Data == "" {
		b.problem("data", "must name a directory")
	}
	if c.DataLimit < 100*MB {
		b.problem("data_limit", "must be at least 100MB, not %v", c.DataLimit)
	}
	if c.Memory != 0 && c.Memory < 10*MB {
		b.problem("memory", "must be 0, or at least 10MB, not %v", c.Memory)
	}
	if c.Partitions < 1 || c.Partitions > 1024 {
		b.problem("partitions", "must be 1 to 1024, not %d", c.Partitions)
	}
	b.checkDuration("cart_ttl", c.CartTTL, time.Hour, 52*7*24*time.Hour)
	b.checkDuration("session_timeout", c.SessionTimeout, 6*time.Second, 5*time.Minute)
	b.checkDuration("snapshot_interval", c.SnapshotInterval, 100*time.Millisecond, 10*time.Minute)
	if c.Keys.Empty() && addrError(c.Listen) == "" && !loopback(c.Listen) {
		b.problem("listen", "must be a loopback address such as 127.0.0.1:8080 while there are no keys, not %q; "+
			"set keys.write, keys.read and keys.admin to listen elsewhere", c.Listen)
	}
}

func (b *configBuilder) checkDuration(path string, d, low, high time.Duration) {
	if d < low || d > high {
		b.problem(path, "must be %s to %s, not %s", formatDuration(low), formatDuration(high), formatDuration(d))
	}
}

func (b *configBuilder) checkAddr(path, addr string) {
	if text := addrError(addr); text != "" {
		b.problem(path, "%s", text)
	}
}

// addrError says what is wrong with an address to listen on, "" if nothing is.
func addrError(addr string) string {
	_, port, err := net.SplitHostPort(addr)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || n > 65535 {
		return fmt.Sprintf("must be host:port such as 127.0.0.1:8080, not %q", addr)
	}
	return ""
}

// loopback reports whether only this machine can reach the address.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// checkRemote checks a list of addresses to connect to.
func (b *configBuilder) checkRemote(path string, addrs []string) {
	for i, addr := range addrs {
		host, port, err := net.SplitHostPort(addr)
		n, portErr := strconv.ParseUint(port, 10, 16)
		if err != nil || portErr != nil || n == 0 || host == "" {
			b.problem(indexed(path, i), "must be host:port, not %q", addr)
		}
	}
}

var prefixPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{0,200}$`)

func (b *configBuilder) checkKafka() {
	c := &b.config.Kafka
	b.checkRemote("kafka.brokers", c.Brokers)
	b.checkRemote("redis.addrs", b.config.Redis.Addrs)
	if !prefixPattern.MatchString(c.Prefix) {
		b.problem("kafka.prefix", "must be at most 200 letters, digits and . _ -, not %q", c.Prefix)
	}
	switch c.SASL.Mechanism {
	case "":
		if c.SASL.User != "" || c.SASL.Password != "" {
			b.problem("kafka.sasl.mechanism", "must be PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512 when a user or password is given")
		}
	case "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512":
		if c.SASL.User == "" {
			b.problem("kafka.sasl.user", "must be given with mechanism %s", c.SASL.Mechanism)
		}
	default:
		b.problem("kafka.sasl.mechanism", "must be PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or empty, not %q", c.SASL.Mechanism)
	}
}

func (b *configBuilder) checkKeys() {
	keys := b.config.Keys
	scope := map[string]string{}
	for _, group := range []struct {
		path string
		keys []string
	}{{"keys.write", keys.Write}, {"keys.read", keys.Read}, {"keys.admin", keys.Admin}} {
		for i, key := range group.keys {
			at := indexed(group.path, i)
			switch {
			case key == "" || strings.ContainsAny(key, " \t\r\n:"):
				b.problem(at, "must be a text without spaces and colons")
			case scope[key] != "":
				b.problem(at, "is the same key as %s; every key has one scope", scope[key])
			default:
				scope[key] = at
			}
		}
	}
	for i, origin := range b.config.CORS.Origins {
		if u, err := url.Parse(origin); origin != "*" && (err != nil || !webURL(u) || u.Path != "") {
			b.problem(indexed("cors.origins", i), "must be * or an origin such as https://shop.example, not %q", origin)
		}
	}
}

func webURL(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}

func (b *configBuilder) checkCustomers() {
	c := &b.config
	if region, err := language.ParseRegion(c.Region); err != nil || !region.IsCountry() || len(c.Region) != 2 || c.Region != strings.ToUpper(c.Region) {
		b.problem("region", "must be a country's two capital letters such as UA, not %q", c.Region)
	}
	if _, err := time.LoadLocation(c.Timezone); err != nil || c.Timezone == "" || c.Timezone == "Local" {
		b.problem("timezone", "must be a time zone such as Europe/Kyiv or UTC, not %q", c.Timezone)
	}
	b.checkCurrency("currency", c.Currency)
	names := make([]string, 0, len(c.Rates))
	for name := range c.Rates {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b.checkCurrency("rates."+name, name)
		if rate := c.Rates[name]; !(rate > 0 && rate < 1e12) {
			b.problem("rates."+name, "must be a number above 0, not %v", rate)
		}
	}
	if n := c.Identity.MaxConflicts; n < 1 || n > 1000 {
		b.problem("identity.max_conflicts", "must be 1 to 1000, not %d", n)
	}
	for i, id := range c.Identity.Blocked {
		if typ, value, ok := strings.Cut(id, ":"); !ok || typ == "" || value == "" {
			b.problem(indexed("identity.blocked", i), "must be type:value such as card:7001, not %q", id)
		}
	}
}

func (b *configBuilder) checkCurrency(path, code string) {
	if _, err := currency.ParseISO(code); err != nil || code != strings.ToUpper(code) {
		b.problem(path, "must be a currency's three capital letters such as UAH, not %q", code)
	}
}

var channelPattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

func (b *configBuilder) checkSinks() {
	s := &b.config.Sinks
	taken := map[string]string{}
	if w := s.Webhook; w != nil {
		if u, err := url.Parse(w.URL); err != nil || !webURL(u) {
			b.problem("sinks.webhook.url", "must be a URL such as https://crm.example/hook, not %q", w.URL)
		}
		if w.Secret != "" && !webhookSecret(w.Secret) {
			b.problem("sinks.webhook.secret", "must be whsec_ and 24 to 64 bytes in base64")
		}
		b.checkChannels("sinks.webhook", w.Channels, "webhook", taken)
	}
	if m := s.SMTP; m != nil {
		b.checkAddr("sinks.smtp.addr", m.Addr)
		if _, err := mail.ParseAddress(m.From); err != nil {
			b.problem("sinks.smtp.from", "must be an e-mail address, not %q", m.From)
		}
		if m.User == "" && m.Password != "" {
			b.problem("sinks.smtp.user", "must be given with a password")
		}
		b.checkChannels("sinks.smtp", m.Channels, "email", taken)
	}
	if h := s.HTTP; h != nil {
		b.checkHTTPSink(h)
		b.checkChannels("sinks.http", h.Channels, "http", taken)
	}
	if k := s.Kafka; k != nil {
		b.checkChannels("sinks.kafka", k.Channels, "kafka", taken)
	}
	if l := s.Log; l != nil {
		b.checkChannels("sinks.log", l.Channels, "log", taken)
	}
}

// checkHTTPSink tries the templates of the request, too.
func (b *configBuilder) checkHTTPSink(h *HTTPSink) {
	methods := []string{"", "POST", "PUT", "PATCH", "GET"}
	if !slices.Contains(methods, h.Method) {
		b.problem("sinks.http.method", "must be POST, PUT, PATCH or GET, not %q", h.Method)
	}
	for _, name := range slices.Sorted(maps.Keys(h.Headers)) {
		if !headerPattern.MatchString(name) {
			b.problem("sinks.http.headers", "%q is no name of a header", name)
		}
	}
	if _, err := delivery.NewHTTP(httpConfig(h)); err != nil {
		b.problem("sinks.http", "%v", err)
	}
}

var headerPattern = regexp.MustCompile(`^[A-Za-z0-9-]{1,100}$`)

func webhookSecret(secret string) bool {
	text, ok := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(text)
	return ok && err == nil && len(key) >= 24 && len(key) <= 64
}

// checkChannels checks that each channel has one sink; fallback is what a sink
// without channels serves.
func (b *configBuilder) checkChannels(path string, channels []string, fallback string, taken map[string]string) {
	if len(channels) == 0 {
		channels = []string{fallback}
	}
	for i, channel := range channels {
		at := indexed(path+".channels", i)
		switch {
		case !channelPattern.MatchString(channel):
			b.problem(at, "must be a channel's name such as email or sms (small letters, digits, _), not %q", channel)
		case taken[channel] != "":
			b.problem(at, "channel %q is served by %s already", channel, taken[channel])
		default:
			taken[channel] = path
		}
	}
}
