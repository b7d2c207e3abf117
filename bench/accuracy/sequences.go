package accuracy

import (
	"errors"
	"strings"
)

// sequenceStep is the time between two sequences, in ms, where the data have none.
const sequenceStep = 60_000

// epoch is when such data begin, Unix ms.
const epoch = 1_400_000_000_000

// sequence learns one session of data without times; number n of them.
func (l *loader) sequence(name string, items []string, n int) {
	at := epoch + int64(n)*sequenceStep
	for _, id := range items {
		l.data.Train = append(l.data.Train, Click{Session: l.sessions.of(name), Item: l.items.of(id), At: at})
	}
}

func (l *loader) ids(items []string) []uint32 {
	list := make([]uint32, 0, len(items))
	for _, id := range items {
		list = append(list, l.items.of(id))
	}
	return list
}

// validation is the part of the training sessions, from the end, that is asked for
// with Options.Valid: one in so many.
const validation = 10

// loadPrefixes reads sessions, one a line, then prefixes and what came next. The
// sessions are taken as a minute apart, oldest first.
func loadPrefixes(o *Options) (*Data, error) {
	train, err := readSequences(o.Path, "train_sessions.txt")
	if err != nil {
		return nil, err
	}
	var l loader
	learned := len(train)
	if o.Valid {
		learned -= learned / validation
	}
	for n, s := range train[:learned] {
		l.sequence("train "+train[n][0]+" "+itoa(n), s, n)
	}
	end := epoch + int64(learned)*sequenceStep
	if o.Valid {
		for n, s := range train[learned:] {
			l.prefixes(o, "valid "+itoa(n), l.ids(s), end)
		}
	} else if err := l.tests(o, end); err != nil {
		return nil, err
	}
	l.data.Items = len(l.items.names)
	return &l.data, nil
}

// prefixes asks for every item of a session but its first.
func (l *loader) prefixes(o *Options, name string, items []uint32, at int64) {
	for k := 1; k < len(items); k++ {
		l.ask(o, Case{Session: l.sessions.of(name), Items: items[:k], Next: items[k], Rest: items[k:], At: at})
	}
}

// ask adds a case of data without live learning.
func (l *loader) ask(o *Options, c Case) {
	c.Skip = o.First > 0 && len(l.data.Cases) >= o.First
	l.data.Cases = append(l.data.Cases, c)
}

var errPrefix = errors.New("must be ids separated by spaces, a tab and the next id")

func (l *loader) tests(o *Options, at int64) error {
	session := 0
	var before string
	return lines(o.Path, "test.tsv", func(_ int, line string) error {
		prefix, next, ok := strings.Cut(line, "\t")
		items := strings.Fields(prefix)
		if !ok || len(items) == 0 || strings.TrimSpace(next) == "" {
			return errPrefix
		}
		if !strings.HasPrefix(before, prefix+" ") { // the longest prefix of a session comes first
			session++
		}
		before = prefix
		i := l.items.of(strings.TrimSpace(next))
		l.ask(o, Case{Session: l.sessions.of("test " + itoa(session)), Items: l.ids(items), Next: i, Rest: []uint32{i}, At: at})
		return nil
	})
}

// loadUsers reads a user and what they had, in order, a line. The last item is asked
// for and the one before it is for validation: neither is learned, but with Live, or
// in the question itself, the one before is.
func loadUsers(o *Options) (*Data, error) {
	name, err := usersFile(o.Path)
	if err != nil {
		return nil, err
	}
	users, err := readSequences(o.Path, name)
	if err != nil {
		return nil, err
	}
	var l loader
	for n, u := range users {
		items := u[1:]
		if len(items) < 3 {
			continue
		}
		learned := items[:len(items)-2]
		if o.Live && !o.Valid {
			learned = items[:len(items)-1]
		}
		l.sequence(u[0], learned, n)
	}
	end := epoch + int64(len(users))*sequenceStep
	for _, u := range users {
		if len(u) < 4 {
			continue
		}
		items := l.ids(u[1:])
		if o.Valid {
			items = items[:len(items)-1]
		}
		last := len(items) - 1
		l.ask(o, Case{Session: l.sessions.of(u[0]), Items: items[:last], Next: items[last], Rest: items[last:], At: end})
	}
	l.data.Items = len(l.items.names)
	return &l.data, nil
}
