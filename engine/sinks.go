package engine

import (
	"errors"
	"os"

	"github.com/rapport-engine/rapport/streams/delivery"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// sinks makes the configured sinks; `log` is always there, for what no other
// serves. The channels of the sink `kafka` are nobody's here: others read them.
func (e *Engine) sinks() ([]delivery.Sink, delivery.Routes, error) {
	out := e.opts.MessageLog
	if out == nil {
		out = os.Stdout
	}
	list := []delivery.Sink{delivery.NewLog(out)}
	c := &e.cfg.Sinks
	if c.Webhook != nil {
		hook, err := delivery.NewWebhook(delivery.WebhookConfig{URL: c.Webhook.URL, Secret: c.Webhook.Secret})
		if err != nil {
			return nil, delivery.Routes{}, err
		}
		list = append(list, hook)
	}
	templates := delivery.NewTemplates(e.cfg.Templates, e.opts.Logger)
	if m := c.SMTP; m != nil {
		mail, err := delivery.NewSMTP(delivery.SMTPConfig{Addr: m.Addr, From: m.From, User: m.User, Password: m.Password, Templates: templates})
		if err != nil {
			return nil, delivery.Routes{}, err
		}
		list = append(list, mail)
	}
	if c.HTTP != nil {
		cfg := httpConfig(c.HTTP)
		cfg.Templates = templates
		provider, err := delivery.NewHTTP(cfg)
		if err != nil {
			return nil, delivery.Routes{}, err
		}
		list = append(list, provider)
	}
	routes, err := delivery.NewRoutes(c.channels())
	return list, routes, err
}

func httpConfig(h *HTTPSink) delivery.HTTPConfig {
	return delivery.HTTPConfig{URL: h.URL, Method: h.Method, Headers: h.Headers, Body: h.Body}
}

// channels are those that each configured sink serves, by its name.
func (c *SinksConfig) channels() map[string][]string {
	all := map[string][]string{}
	if c.Log != nil {
		all[delivery.LogName] = c.Log.Channels
	}
	if c.Webhook != nil {
		all["webhook"] = c.Webhook.Channels
	}
	if c.SMTP != nil {
		all["smtp"] = c.SMTP.Channels
		if len(c.SMTP.Channels) == 0 {
			all["smtp"] = []string{"email"}
		}
	}
	if c.HTTP != nil {
		all["http"] = c.HTTP.Channels
	}
	if c.Kafka != nil {
		all["kafka"] = c.Kafka.Channels
	}
	return all
}

// deliveryGroups are the consumer groups that still need messages, by topic.
func (e *Engine) deliveryGroups() map[string][]string {
	if e.opts.Quiet {
		return nil
	}
	sinks := []string{delivery.LogName}
	c := &e.cfg.Sinks
	if c.Webhook != nil {
		sinks = append(sinks, "webhook")
	}
	if c.SMTP != nil {
		sinks = append(sinks, "smtp")
	}
	if c.HTTP != nil {
		sinks = append(sinks, "http")
	}
	groups := map[string][]string{}
	for _, sink := range sinks {
		groups[kafka.TopicMessages] = append(groups[kafka.TopicMessages], deliveryGroup+sink)
		groups[kafka.TopicRetry] = append(groups[kafka.TopicRetry], deliveryGroup+sink+retryGroup)
	}
	return groups
}

// TemplateProblems is everything wrong with the templates of the configured
// directory.
func (c Config) TemplateProblems() []Problem {
	var list []Problem
	for _, err := range delivery.CheckTemplates(c.Templates) {
		p := Problem{Text: err.Error()}
		var e *delivery.TemplateError
		if errors.As(err, &e) {
			p = Problem{File: e.File, Line: max(e.Line, 1), Column: 1, Text: e.Text}
		}
		list = append(list, p)
	}
	return list
}
