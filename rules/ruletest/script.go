package ruletest

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
)

// Extension ends the name of a script's file.
const Extension = ".test"

// Script is a script that has been read and may be run any number of times.
type Script struct {
	file   string
	blocks []*block
	tail   []string // comments after the last block
}

// block is a command with its input and what it is expected to print.
type block struct {
	before  []string // comments and blank lines above, as they are
	line    int      // of the command, from 1
	name    string
	arg     string
	input   []string
	output  []string
	printed int // line of the first line of output

	// What command and input say, by the command's name.
	moment moment
	who    streams.Identifier
	events []event
	items  []*streams.Item
}

// moment is a time as written: absolute, or later than the clock.
type moment struct {
	at    int64 // Unix ms
	later int64 // ms
}

// event is one line of a log command.
type event struct {
	line       int
	when       moment
	ago        int64 // ms: how long before it was logged it happened
	name       string
	id         string // messageId; "" is given one
	who        []streams.Identifier
	properties json.RawMessage
	context    json.RawMessage
}

// commands are the commands there are, each with what reads its argument and
// input.
var commands = map[string]func(p *parser, b *block){
	"config":  func(p *parser, b *block) { p.noArgument(b) },
	"rules":   func(*parser, *block) {},
	"catalog": (*parser).catalog,
	"log":     (*parser).log,
	"tick":    (*parser).clock,
	"live":    (*parser).clock,
	"new":     func(p *parser, b *block) { p.noArgument(b); p.noInput(b) },
	"restart": func(p *parser, b *block) { p.noArgument(b); p.noInput(b) },
	"full":    func(p *parser, b *block) { p.noArgument(b); p.noInput(b) },
	"profile": (*parser).profile, "decisions": (*parser).profile,
}

func commandNames() string {
	names := make([]string, 0, len(commands))
	for name := range commands {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// Parse reads a script. An error is rules.Problems: all that is wrong, with
// file and line.
func Parse(file string, text []byte) (*Script, error) {
	p := &parser{s: &Script{file: file}, lines: strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")}
	if bytes.ContainsRune(text, '\r') {
		p.lines = strings.Split(strings.TrimSuffix(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n"), "\n")
	}
	for p.next < len(p.lines) {
		p.block()
	}
	if len(p.problems) > 0 {
		return nil, p.problems
	}
	return p.s, nil
}

type parser struct {
	s        *Script
	lines    []string
	next     int // index of the next line
	problems rules.Problems
}

func (p *parser) problem(line, column int, format string, args ...any) {
	p.problems = append(p.problems, rules.Problem{File: p.s.file, Line: line, Column: column, Text: fmt.Sprintf(format, args...)})
}

// block reads comments, a command with its input, "----", and its output up to
// a blank line.
func (p *parser) block() {
	b := &block{}
	for p.next < len(p.lines) && isComment(p.lines[p.next]) {
		b.before = append(b.before, p.lines[p.next])
		p.next++
	}
	if p.next == len(p.lines) {
		p.s.tail = b.before
		return
	}
	b.line = p.next + 1
	b.name, b.arg, _ = strings.Cut(strings.TrimSpace(p.lines[p.next]), " ")
	b.arg = strings.TrimSpace(b.arg)
	p.next++
	start := p.next
	for p.next < len(p.lines) && strings.TrimRight(p.lines[p.next], " ") != "----" {
		p.next++
	}
	if p.next == len(p.lines) {
		p.problem(b.line, 1, "%s has no ---- line between its input and what it prints", b.name)
		return
	}
	b.input = p.lines[start:p.next]
	p.next++
	b.printed = p.next + 1
	start = p.next
	for p.next < len(p.lines) && strings.TrimSpace(p.lines[p.next]) != "" {
		p.next++
	}
	b.output = p.lines[start:p.next]
	read := commands[b.name]
	if read == nil {
		p.problem(b.line, 1, "unknown command %q: use one of %s", b.name, commandNames())
		return
	}
	read(p, b)
	p.s.blocks = append(p.s.blocks, b)
}

func isComment(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || line[0] == '#'
}

func (p *parser) noArgument(b *block) {
	if b.arg != "" {
		p.problem(b.line, len(b.name)+2, "%s takes nothing on its line, not %q", b.name, b.arg)
	}
}

func (p *parser) noInput(b *block) {
	for i, line := range b.input {
		if !isComment(line) {
			p.problem(b.line+1+i, 1, "%s takes no input", b.name)
			return
		}
	}
}

// clock reads the time of a tick.
func (p *parser) clock(b *block) {
	p.noInput(b)
	var ok bool
	if b.moment, ok = parseMoment(b.arg); !ok {
		p.problem(b.line, len(b.name)+2, "%s needs a time, %s, not %q", b.name, momentForms, b.arg)
	}
}

// profile reads whose profile is printed.
func (p *parser) profile(b *block) {
	p.noInput(b)
	var ok bool
	if b.who, ok = parseIdentifier(b.arg); !ok {
		p.problem(b.line, len(b.name)+2, "profile needs an identifier such as user:42, not %q", b.arg)
	}
}

// catalog reads items, one JSON object a line.
func (p *parser) catalog(b *block) {
	p.noArgument(b)
	for i, line := range b.input {
		if isComment(line) {
			continue
		}
		item := &streams.Item{}
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		switch err := d.Decode(item); {
		case err != nil:
			p.problem(b.line+1+i, 1, "cannot read an item: %v", err)
		case item.ID == "":
			p.problem(b.line+1+i, 1, `an item needs an "id"`)
		default:
			b.items = append(b.items, item)
		}
	}
}

// log reads events, one a line.
func (p *parser) log(b *block) {
	p.noArgument(b)
	for i, line := range b.input {
		if isComment(line) {
			continue
		}
		e, problem := parseEvent(line)
		if problem != "" {
			p.problem(b.line+1+i, 1, "%s", problem)
			continue
		}
		e.line = b.line + 1 + i
		b.events = append(b.events, e)
	}
}

// eventForm is what a line of log looks like: time, how long ago, name, who
// and messageId, and the rest.
var eventForm = regexp.MustCompile(`^\s*(\S+?)(-[0-9][0-9smhdw]*)? +([^@#{;]+?)((?: +[@#][^ ]+)+)\s*(.*)$`)

const eventFormText = "an event is written as: TIME[-AGO] NAME @TYPE:VALUE [@...] [#MESSAGE_ID] [{PROPERTIES}] [; {CONTEXT}]"

func parseEvent(line string) (e event, problem string) {
	m := eventForm.FindStringSubmatch(line)
	if m == nil {
		return e, eventFormText
	}
	var ok bool
	if e.when, ok = parseMoment(m[1]); !ok {
		return e, fmt.Sprintf("an event begins with a time, %s, not %q", momentForms, m[1])
	}
	if m[2] != "" {
		if e.ago, ok = parseDuration(m[2][1:]); !ok {
			return e, fmt.Sprintf("how long ago is a duration such as 2h, not %q", m[2][1:])
		}
	}
	e.name = m[3]
	for _, word := range strings.Fields(m[4]) {
		if word[0] == '#' {
			e.id = word[1:]
			continue
		}
		id, ok := parseIdentifier(word[1:])
		if !ok {
			return e, fmt.Sprintf("a customer is named as in @user:42, not %q", word)
		}
		e.who = append(e.who, id)
	}
	if len(e.who) == 0 {
		return e, eventFormText
	}
	properties, context, err := parseObjects(m[5])
	if err != nil {
		return e, fmt.Sprintf("after the customer there may be {PROPERTIES} ; {CONTEXT}, each a JSON object: %v", err)
	}
	e.properties, e.context = properties, context
	return e, ""
}

// parseObjects reads `{...} ; {...}`, both of which may be missing.
func parseObjects(text string) (first, second json.RawMessage, err error) {
	first, rest, err := parseObject(text)
	if err != nil || rest == "" {
		return first, nil, err
	}
	rest, ok := strings.CutPrefix(rest, ";")
	if !ok {
		return nil, nil, fmt.Errorf("what is %q", rest)
	}
	second, rest, err = parseObject(rest)
	if err == nil && rest != "" {
		err = fmt.Errorf("what is %q", rest)
	}
	return first, second, err
}

// parseObject reads a JSON object at the beginning of text, if there is one.
func parseObject(text string) (object json.RawMessage, rest string, err error) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "{") {
		return nil, text, nil
	}
	end := objectEnd(text)
	if !json.Valid([]byte(text[:end])) {
		return nil, "", fmt.Errorf("%s is no JSON object", text[:end])
	}
	return json.RawMessage(text[:end]), strings.TrimSpace(text[end:]), nil
}

// objectEnd is where the object that begins text ends; all of it where it does
// not.
func objectEnd(text string) int {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}

func parseIdentifier(text string) (streams.Identifier, bool) {
	typ, value, ok := strings.Cut(text, ":")
	return streams.Identifier{Type: typ, Value: value}, ok && typ != "" && value != ""
}

const momentForms = "2026-03-02T10:00:00Z with any zone, or +1h30m from the clock on"

// parseMoment reads a time: RFC 3339, or "+" and a duration.
func parseMoment(text string) (moment, bool) {
	if duration, ok := strings.CutPrefix(text, "+"); ok {
		later, ok := parseDuration(duration)
		return moment{later: later}, ok
	}
	t, err := time.Parse(time.RFC3339, text)
	return moment{at: t.UnixMilli()}, err == nil && t.UnixMilli() > 0
}

var durationPart = regexp.MustCompile(`^([0-9]{1,9})([smhdw])`)

// maxDuration is some 200 years, in ms.
const maxDuration = 200 * 365 * 24 * 3600 * 1000

// parseDuration reads a duration as in rules, 1d12h, in ms.
func parseDuration(text string) (ms int64, ok bool) {
	units := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}
	for text != "" {
		m := durationPart.FindStringSubmatch(text)
		if m == nil {
			return 0, false
		}
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			return 0, false
		}
		ms += n * units[m[2]].Milliseconds()
		if ms > maxDuration {
			return 0, false
		}
		text = text[len(m[0]):]
	}
	return ms, true
}
