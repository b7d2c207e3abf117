package retailer

import (
	"fmt"
	"strings"
	"time"
)

var (
	firstNames = []string{
		"Olena", "Taras", "Iryna", "Andrii", "Nadia", "Bohdan", "Maria", "Petro", "Yuliia", "Maksym",
		"Oksana", "Denys", "Sofia", "Roman", "Kateryna", "Ihor", "Lesia", "Viktor", "Anna", "Serhii",
	}
	lastNames = []string{
		"Verbova", "Sokil", "Harna", "Lypa", "Dovhan", "Kalyna", "Moroz", "Zhuk", "Berehova", "Stepova",
		"Hai", "Kryla", "Ozerna", "Hrim", "Yasen",
	}
)

// shopper is an invented customer.
type shopper struct {
	number      int
	name        string
	user        string // account
	device, app string // anonymous ids of browser and app
	email       string
	phone       string // E.164
	card        string // loyalty card
	token       string // push address; empty without the app
	birthday    string
	favourites  []int // shelves
	store       string
	registered  bool  // has an account; others are anonymous visitors
	subscribed  bool  // agreed to e-mail
	cart        []int // products
}

func (r *Retailer) newShopper(i int) shopper {
	first, last := firstNames[r.rand.IntN(len(firstNames))], lastNames[r.rand.IntN(len(lastNames))]
	s := shopper{
		number: i, name: first + " " + last,
		user:   fmt.Sprintf("%d", 20000+i),
		device: fmt.Sprintf("w-%05d", i), app: fmt.Sprintf("a-%05d", i),
		email:      fmt.Sprintf("%s.%s%d@mail.example", strings.ToLower(first), strings.ToLower(last), i),
		phone:      fmt.Sprintf("+38050%07d", 1000000+i),
		card:       fmt.Sprintf("7%07d", i),
		birthday:   r.birthday(i),
		favourites: []int{r.rand.IntN(len(shelves)), r.rand.IntN(len(shelves))},
		store:      fmt.Sprintf("%d", 1+r.rand.IntN(12)),
		registered: r.rand.IntN(100) < 70,
		subscribed: r.rand.IntN(100) < 65,
	}
	if r.rand.IntN(100) < 45 {
		s.token = fmt.Sprintf("push-%05d", i)
	}
	return s
}

// birthday is any day; every hundredth customer has it a week from the first
// or second simulated day, so that greetings are due.
func (r *Retailer) birthday(i int) string {
	year := 1955 + r.rand.IntN(50)
	day := time.Date(year, 1, 1+r.rand.IntN(365), 0, 0, 0, 0, time.UTC)
	if i%100 == 7 {
		soon := r.cfg.Start.In(r.zone).AddDate(0, 0, 8+i/100%2)
		day = time.Date(year, soon.Month(), soon.Day(), 0, 0, 0, 0, time.UTC)
	}
	return day.Format(time.DateOnly)
}

// who is which identifiers an event carries.
type who struct {
	user, anonymous, card, phone string
	token                        string
}

// key is the strongest identifier.
func (w who) key() string {
	switch {
	case w.user != "":
		return "user:" + w.user
	case w.card != "":
		return "card:" + w.card
	case w.phone != "":
		return "phone:" + w.phone
	}
	return "anonymous:" + w.anonymous
}
