package rapport_test

import (
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rapport-engine/rapport"

// layers lists which packages of this module each package may import, itself and what is below it
// aside. A name stands for its whole subtree, and the longest name that fits a package is its own.
// What is not listed here has no place in the structure yet: give it one.
var layers = map[string][]string{
	".":                {}, // these tests
	"streams":          {},
	"streams/kafka":    {"streams"},
	"streams/delivery": {"streams", "streams/kafka"},
	"engine/profiles":  {"streams"},
	"rules":            {"streams", "engine/profiles"},
	"recommender":      {"streams", "engine/profiles"},
	"engine/snapshot":  {"streams", "engine/profiles", "rules", "recommender"},
	"engine": {"streams", "streams/kafka", "streams/delivery", "engine/profiles", "rules", "recommender",
		"engine/snapshot"},
	"engine/api": {"streams", "streams/kafka", "streams/delivery", "engine/profiles", "rules", "recommender",
		"engine/snapshot", "engine"},
	// Scripts that try rules run on the engine, so this one is above it.
	"rules/ruletest": {"streams", "engine/profiles", "rules", "engine"},
	"bench": {"streams", "streams/kafka", "streams/delivery", "engine/profiles", "rules", "recommender",
		"engine/snapshot", "engine", "engine/api"},
	"cmd": {"streams", "streams/kafka", "streams/delivery", "engine/profiles", "rules", "recommender",
		"engine/snapshot", "engine", "engine/api", "bench", "rules/ruletest"},
	"deploy": {"streams", "streams/kafka", "engine/snapshot"},
}

// owners lists where each dependency may be imported, by the path of its module or of a part of it;
// the longest that fits an import decides. "..." is everywhere. A new dependency needs an owner.
var owners = map[string][]string{
	"github.com/twmb/franz-go":                       {"streams/kafka"},
	"github.com/redis/go-redis/v9":                   {"engine/snapshot"},
	"github.com/cockroachdb/pebble/v2":               {"engine/snapshot"},
	"github.com/dgraph-io/ristretto/v2":              {"engine"},
	"github.com/valyala/fasthttp":                    {"engine/api", "bench"},
	"github.com/fasthttp/router":                     {"engine/api", "bench"},
	"cel.dev/cel-go":                                 {"rules"},
	"cel.dev/expr":                                   {"rules"},
	"github.com/goccy/go-yaml":                       {"rules", "engine", "bench", "cmd"},
	"google.golang.org/protobuf":                     {"engine/profiles", "rules"},
	"github.com/planetscale/vtprotobuf":              {"engine/profiles"},
	"github.com/standard-webhooks/standard-webhooks": {"streams/delivery"},
	"github.com/wneessen/go-mail":                    {"streams/delivery"},
	"github.com/emersion/go-smtp":                    {"streams/delivery"}, // a mail server for tests
	"github.com/nyaruka/phonenumbers":                {"streams"},
	"github.com/spf13/cobra":                         {"cmd"},
	"github.com/spf13/pflag":                         {"cmd"},
	"github.com/schollz/progressbar/v3":              {"cmd"},
	"golang.org/x/term":                              {"cmd"},
	"github.com/HdrHistogram/hdrhistogram-go":        {"bench", "cmd"},
	"github.com/google/pprof":                        {"bench"},
	"gonum.org/v1/gonum":                             {"engine", "bench"},
	"golang.org/x/sys":                               {"streams/kafka", "engine", "bench", "cmd"},
	"golang.org/x/text":                              {"streams", "rules", "engine"},
	"github.com/google/go-cmp":                       {"engine/snapshot"}, // its conformance suite
	"github.com/klauspost/compress":                  {"engine", "engine/api", "streams/kafka", "bench", "cmd"},
	"github.com/google/uuid":                         {"engine", "engine/api", "engine/snapshot", "streams/delivery", "bench", "cmd"},
	"github.com/goccy/go-json":                       {"..."},
	"github.com/valyala/fastjson":                    {"..."},
	"github.com/prometheus":                          {"..."},
	"github.com/cespare/xxhash/v2":                   {"..."},
	"golang.org/x/sync":                              {"..."},
}

// transports are what the rules and the recommender must not know, beside Kafka and Redis.
var transports = []string{"net", "net/http"}

// within says whether name is root or below it.
func within(name, root string) bool {
	return name == root || strings.HasPrefix(name, root+"/")
}

// longest returns the key that name is within, the longest if several fit, or "".
func longest[V any](table map[string]V, name string) string {
	best := ""
	for key := range table {
		if within(name, key) && len(key) > len(best) {
			best = key
		}
	}
	return best
}

// verdict says what is wrong with an import of one package, or returns "".
func verdict(dir, imported string) string {
	layer := longest(layers, dir)
	if layer == "" {
		return "the package has no place in the structure: add it to layers"
	}
	local, ours := strings.CutPrefix(imported, module+"/")
	switch {
	case ours:
		if target := longest(layers, local); target != layer && !slices.Contains(layers[layer], target) {
			return layer + " may not import " + target
		}
	case !strings.Contains(strings.SplitN(imported, "/", 2)[0], "."):
		if (layer == "rules" || layer == "recommender") && slices.Contains(transports, imported) {
			return layer + " may not know the network"
		}
	default:
		dependency := longest(owners, imported)
		if dependency == "" {
			return "the dependency has no owner: add it to owners"
		}
		allowed := owners[dependency]
		if allowed[0] != "..." && !slices.Contains(allowed, layer) {
			return dependency + " belongs to " + strings.Join(allowed, " and ") + " only"
		}
	}
	return ""
}

func TestImportsPointOneWay(t *testing.T) {
	fset, files := sources(t)
	for _, f := range files {
		if f.test {
			continue // a test may stand on whatever it needs
		}
		for _, spec := range f.syntax.Imports {
			imported := strings.Trim(spec.Path.Value, `"`)
			if wrong := verdict(f.dir, imported); wrong != "" {
				t.Errorf("%s: imports %q: %s", fset.Position(spec.Pos()), imported, wrong)
			}
		}
	}
}

func TestImportVerdicts(t *testing.T) {
	cases := []struct {
		dir, imported string
		allowed       bool
	}{
		{"streams", "strings", true},
		{"streams", module + "/engine/profiles", false},
		{"engine", module + "/engine/snapshot/pebble", true},
		{"engine", module + "/engine/api", false},
		{"engine/api", module + "/engine", true},
		{"engine/snapshot/redis", module + "/engine/snapshot", true},
		{"engine/snapshot/redis", "github.com/redis/go-redis/v9", true},
		{"engine", "github.com/redis/go-redis/v9", false},
		{"rules", module + "/recommender", false},
		{"recommender", module + "/rules", false},
		{"rules", module + "/streams/kafka", false},
		{"recommender", "net/http", false},
		{"rules", "cel.dev/cel-go/cel", true},
		{"recommender", "cel.dev/cel-go/cel", false},
		{"bench", "github.com/valyala/fasthttp", true},
		{"cmd/rapport", "github.com/valyala/fasthttp", false},
		{"cmd/rapport", module + "/bench", true},
		{"engine", "example.com/unknown", false},
		{"elsewhere", "strings", false},
	}
	for _, c := range cases {
		if wrong := verdict(c.dir, c.imported); (wrong == "") != c.allowed {
			t.Errorf("%s imports %s: allowed = %v, want %v (%s)", c.dir, c.imported, wrong == "", c.allowed, wrong)
		}
	}
}
