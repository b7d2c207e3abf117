package delivery

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	htmltemplate "html/template"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/template"

	"github.com/rapport-engine/rapport/streams"
)

// Content is a message as its receiver reads it.
type Content struct {
	Subject string // one line; also the title of a push message
	Text    string
	HTML    string // "" where the template has only text
}

// Templates render messages. They are the files of a directory,
// <template>[.<channel>][.<locale>].html and .txt, in the language of Go's
// templates over the message's JSON; both may {{define "subject"}}. A message
// without a file gets the built-in ones. A changed file counts from the next
// message on; one that cannot be read leaves what was before.
type Templates struct {
	dir string
	log *slog.Logger

	mu    sync.Mutex // guards what is below
	print string     // of the directory as it was looked at last
	set   templateSet
}

// templateSet has templates by the name of their file, in small letters.
type templateSet map[string]*textTemplate

// textTemplate is a template of text or of HTML.
type textTemplate struct {
	execute func(w io.Writer, name string, data any) error
	file    string
	html    bool
	subject bool // it defines one
}

// TemplateError is what is wrong with a file of templates.
type TemplateError struct {
	File string // path
	Line int    // from 1; 0 where it is none's
	Text string
}

// Error is "file:line: text".
func (e *TemplateError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// NewTemplates returns the templates of a directory, which is read when the
// first message is rendered. A nil logger logs nothing.
func NewTemplates(dir string, log *slog.Logger) *Templates {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Templates{dir: dir, log: log}
}

// CheckTemplates returns everything wrong with the templates of a directory,
// each as a *TemplateError; a directory that there is not is right.
func CheckTemplates(dir string) []error {
	_, problems := readTemplates(dir)
	return problems
}

// Render makes the content of a message, whose JSON is body.
func (t *Templates) Render(m *streams.Message, body []byte) (Content, error) {
	data, err := templateData(body)
	if err != nil {
		return Content{}, err
	}
	set := t.current()
	page, text := set.find(m, ".html"), set.find(m, ".txt")
	if page == nil && text == nil {
		if set, err = builtinTemplates(); err != nil {
			return Content{}, err
		}
		page, text = set["message.html"], set["message.txt"]
	}
	var c Content
	if c.HTML, err = page.render("", data); err != nil {
		return Content{}, err
	}
	if c.Text, err = text.render("", data); err != nil {
		return Content{}, err
	}
	c.Subject, err = subject(m, data, text, page)
	return c, err
}

// subject is what a template defines, else the message's own data.subject, else
// the template's name.
func subject(m *streams.Message, data any, templates ...*textTemplate) (string, error) {
	for _, t := range templates {
		if t == nil || !t.subject {
			continue
		}
		s, err := t.render("subject", data)
		if t.html {
			s = html.UnescapeString(s)
		}
		return strings.Join(strings.Fields(s), " "), err
	}
	s, _ := m.Data.Custom["subject"].(string)
	if s == "" {
		s = strings.ReplaceAll(m.Template, "_", " ")
	}
	if s == "" {
		s = m.Trigger
	}
	s = strings.Join(strings.Fields(s), " ")
	first := []rune(s)
	return strings.ToUpper(string(first[:min(1, len(first))])) + string(first[min(1, len(first)):]), nil
}

// render executes a template, or what it defines; a nil one is "".
func (t *textTemplate) render(name string, data any) (string, error) {
	if t == nil {
		return "", nil
	}
	var b bytes.Buffer
	if err := t.execute(&b, name, data); err != nil {
		return "", fmt.Errorf("cannot render template %q: %w", t.file, err)
	}
	return strings.ReplaceAll(b.String(), "<no value>", ""), nil // what the text lacks
}

// templateData is a message's JSON with its own names; numbers print as sent.
func templateData(body []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var data map[string]any
	if err := d.Decode(&data); err != nil {
		return nil, fmt.Errorf("cannot read message: %w", err)
	}
	return data, nil
}

// find is the most special template of a kind for a message: for its channel
// and its locale, then its language, then without them.
func (s templateSet) find(m *streams.Message, extension string) *textTemplate {
	locale := strings.ReplaceAll(strings.ToLower(m.Locale), "_", "-")
	language, _, _ := strings.Cut(locale, "-")
	name, channel := strings.ToLower(m.Template), strings.ToLower(m.Channel)
	for _, parts := range [][]string{{channel, locale}, {channel, language}, {locale}, {language}, {channel}, {}} {
		if slices.Contains(parts, "") {
			continue
		}
		if t := s[strings.Join(append([]string{name}, parts...), ".")+extension]; t != nil {
			return t
		}
	}
	return nil
}

// current looks whether the directory has changed, and reads it if so.
func (t *Templates) current() templateSet {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := templatesPrint(t.dir)
	if t.set != nil && now == t.print {
		return t.set
	}
	t.print = now
	set, problems := readTemplates(t.dir)
	if len(problems) > 0 {
		t.log.Error("the templates are not valid", "problems", errors.Join(problems...))
	}
	if t.set == nil || len(problems) == 0 {
		t.set = set
	}
	return t.set
}

// templatesPrint changes when a template does.
func templatesPrint(dir string) string {
	entries, _ := os.ReadDir(dir)
	var b strings.Builder
	for _, e := range entries {
		if info, err := e.Info(); err == nil && isTemplate(e.Name()) {
			fmt.Fprintf(&b, "%s %d %d\n", e.Name(), info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}

func isTemplate(name string) bool {
	extension := filepath.Ext(name)
	return extension == ".html" || extension == ".txt"
}

// readTemplates reads what can be read, and tells of the rest.
func readTemplates(dir string) (templateSet, []error) {
	set := templateSet{}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || dir == "" {
		return set, nil
	}
	if err != nil {
		return set, []error{&TemplateError{File: dir, Text: "cannot be read: " + err.Error()}}
	}
	var problems []error
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() || !isTemplate(e.Name()) {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			problems = append(problems, &TemplateError{File: path, Text: "cannot be read: " + err.Error()})
			continue
		}
		t, err := parseTemplate(path, string(text))
		if err != nil {
			problems = append(problems, err)
			continue
		}
		set[strings.ToLower(e.Name())] = t
	}
	return set, problems
}

//go:embed builtin/*
var builtinFiles embed.FS

func builtinTemplates() (templateSet, error) {
	set := templateSet{}
	for _, name := range []string{"message.html", "message.txt"} {
		text, err := builtinFiles.ReadFile("builtin/" + name)
		if err != nil {
			return nil, err
		}
		if set[name], err = parseTemplate(name, string(text)); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// parseTemplate reads one file. Its error is a *TemplateError.
func parseTemplate(path, text string) (*textTemplate, error) {
	t := &textTemplate{file: filepath.Base(path), html: filepath.Ext(path) == ".html"}
	if t.html {
		p, err := htmltemplate.New("").Funcs(templateFuncs).Parse(text)
		if err != nil {
			return nil, templateError(path, err)
		}
		t.execute, t.subject = p.ExecuteTemplate, p.Lookup("subject") != nil
		return t, nil
	}
	p, err := template.New("").Funcs(templateFuncs).Parse(text)
	if err != nil {
		return nil, templateError(path, err)
	}
	t.execute, t.subject = p.ExecuteTemplate, p.Lookup("subject") != nil
	return t, nil
}

// templateError takes the line out of "template: :LINE: text".
func templateError(path string, err error) error {
	e := &TemplateError{File: path, Text: strings.TrimPrefix(err.Error(), "template: ")}
	if _, scanErr := fmt.Sscanf(e.Text, ":%d:", &e.Line); scanErr == nil {
		_, e.Text, _ = strings.Cut(e.Text[1:], ": ")
	}
	return e
}
