package recommender

import (
	"sync/atomic"
	"time"
)

// models is all that is learned; a checkpoint holds it. Whoever learns holds
// Recommender.learning. Requests read only what is atomic or, in sessions, has a
// lock of its own.
type models struct {
	cfg       *Config
	ids       *table
	positions positions
	newest    atomic.Int64  // greatest time of an event learned, Unix ms
	viewed    *pairs        // viewed_together
	bought    *pairs        // bought_together
	follows   *pairs        // what was viewed after an item; session
	places    *places       // what is viewed from where in the shop; session
	trends    *trending     // trending
	sessions  *sessions     // items viewed in sessions in progress
	index     *sessionIndex // session: sessions of the past and in progress
	returns   returns       // how often a session goes back to an item
	weights   *sessionWeights
	carts     *sessions     // items added to carts lately
	customers assoc[bought] // what customers bought lately
	rhythms   rhythms       // buy_again
	ordered   recentSet     // lines of orders that were learned
	book      *book         // what recommendations earned, by the ids that events carry

	refused  uint64   // ids for which there was no room
	lines    []uint32 // scratch of lesson
	credits  []lineCredit
	partners []partner // scratch of learnOrder
}

// positions maps a partition to the next offset to learn.
type positions map[int32]int64

// cartGap is how long after the last addition a cart's items count as together.
const cartGap = 24 * time.Hour

func newModels(c *Config, ids *table) *models {
	return &models{
		cfg:       c,
		ids:       ids,
		positions: positions{},
		viewed:    newPairs(c.ViewHalfLife.Milliseconds(), c.Neighbors, false),
		bought:    newPairs(c.BuyHalfLife.Milliseconds(), c.Neighbors, false),
		follows:   newPairs(c.ViewHalfLife.Milliseconds(), c.Neighbors, true),
		places:    newPlaces(c.Places, c.ViewHalfLife.Milliseconds(), c.Neighbors),
		trends:    newTrending(c.TrendHalfLife.Milliseconds(), c.Top, ids),
		sessions:  newSessions(c.Sessions, c.SessionGap.Milliseconds()),
		index:     newSessionIndex(c.PastSessions, c.Session.Depth),
		weights:   newSessionWeights(c.Session),
		carts:     newSessions(c.Customers, cartGap.Milliseconds()),
		customers: newAssoc[bought](c.Customers),
		ordered:   newRecentSet(8 * c.Customers),
		book:      newBook(c.Touched),
	}
}
