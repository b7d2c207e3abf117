package recommender

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// click is one view of a session in a real log.
type click struct {
	session, item string
	at            int64
}

// readClicks reads a file of the real data by time; the test is skipped where
// they are absent.
func readClicks(t *testing.T, name string) []click {
	dir := os.Getenv("RAPPORT_DATA")
	if dir == "" {
		dir = "../../shared/data"
	}
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		t.Skipf("no data: %v", err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var clicks []click
	for lines := bufio.NewScanner(z); lines.Scan(); {
		f := strings.Split(lines.Text(), "\t")
		at, err := strconv.ParseFloat(f[2], 64)
		if err == nil { // the first line has names
			clicks = append(clicks, click{f[0], f[1], int64(at * 1000)})
		}
	}
	slices.SortStableFunc(clicks, func(a, b click) int { return cmp.Compare(a.at, b.at) })
	return clicks
}

// Next-item prediction by viewed_together alone on the sample of RSC15 that
// session-rec ships: each click of the test sessions is predicted from the
// session so far, whose items cannot be predicted, then learned.
func TestNextItemsOfRealSessions(t *testing.T) {
	train, test := readClicks(t, "rsc15-100k/train_full.txt.zst"), readClicks(t, "rsc15-100k/test.txt.zst")
	cfg := small()
	cfg.Sessions = 1 << 16
	cfg.Placements = []Placement{{Name: "home", Strategies: []string{ViewedTogether}}}
	te := newTeacher(cfg)
	for _, c := range train {
		te.view(c.session, c.at, c.item)
	}
	sofar := map[string][]string{}
	var n, hits, rr float64
	var a Answer
	for _, c := range test {
		if items := sofar[c.session]; len(items) > 0 && !slices.Contains(items, c.item) {
			if err := te.r.Recommend(&Request{Items: items, Limit: 20, Now: c.at}, &a); err != nil {
				t.Fatal(err)
			}
			n++
			if k := slices.Index(idsOf(a), c.item); k >= 0 {
				hits++
				rr += 1 / float64(k+1)
			}
		}
		sofar[c.session] = append(sofar[c.session], c.item)
		te.view(c.session, c.at, c.item)
	}
	got := fmt.Sprintf("%v predictions, HR@20 %.4f, MRR@20 %.4f", n, hits/n, rr/n)
	t.Log(got)
	if hits/n < 0.45 {
		t.Error("worse than it was: ", got)
	}
}
