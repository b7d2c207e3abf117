package rapport_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// foldPackages are the packages whose code runs inside the fold over the log: equal records must
// give equal state, so they may use no clock, no randomness and no order of a map.
var foldPackages = []string{"engine/profiles", "rules", "engine"}

// foldFiles are those of package engine that the fold is in; the other packages are it as a whole.
var foldFiles = map[string]bool{
	"process.go": true, "identity.go": true, "merge.go": true, "clock.go": true, "effects.go": true, "outbox.go": true, "worker.go": true,
}

// orderNote excuses a range over a map: a comment on the line or the line above that says why the
// order does not matter, as in "// map order: only counts".
const orderNote = "map order:"

var forbiddenFunctions = map[string]bool{
	"time.Now": true, "time.Since": true, "time.Until": true, "time.After": true, "time.Tick": true,
	"time.NewTimer": true, "time.NewTicker": true, "time.AfterFunc": true, "time.Sleep": true,
}

var forbiddenPackages = map[string]bool{"math/rand": true, "math/rand/v2": true, "crypto/rand": true}

// checkFold reports what a file's code does that would make the fold depend on more than the log.
func checkFold(fset *token.FileSet, file *ast.File, info *types.Info, report func(token.Pos, string)) {
	excused := map[int]bool{}
	for _, group := range file.Comments {
		if strings.Contains(group.Text(), orderNote) {
			for line := fset.Position(group.Pos()).Line; line <= fset.Position(group.End()).Line+1; line++ {
				excused[line] = true
			}
		}
	}
	sorted := map[ast.Expr]bool{} // iterators that are handed straight to a sorting function
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.RangeStmt:
			if _, isMap := info.TypeOf(node.X).Underlying().(*types.Map); isMap && !excused[fset.Position(node.Pos()).Line] {
				report(node.Pos(), "ranges over a map")
			}
		case *ast.CallExpr:
			if name := calledFunction(info, node); strings.HasPrefix(name, "slices.Sorted") {
				sorted[node.Args[0]] = true
			} else if (name == "maps.Keys" || name == "maps.Values" || name == "maps.All") && !sorted[node] &&
				!excused[fset.Position(node.Pos()).Line] {
				report(node.Pos(), "uses the order of a map")
			}
		case *ast.Ident:
			used, ok := info.Uses[node].(*types.Func)
			if ok && used.Pkg() != nil && forbiddenFunctions[used.Pkg().Path()+"."+used.Name()] && used.Signature().Recv() == nil {
				report(node.Pos(), "uses "+used.Pkg().Path()+"."+used.Name())
			}
		case *ast.ImportSpec:
			if name := strings.Trim(node.Path.Value, `"`); forbiddenPackages[name] {
				report(node.Pos(), "imports "+name)
			}
		}
		return true
	})
}

// calledFunction returns the full name of the package-level function that is called, or "".
func calledFunction(info *types.Info, call *ast.CallExpr) string {
	function := call.Fun
	if index, ok := function.(*ast.IndexExpr); ok {
		function = index.X
	}
	selector, ok := function.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if used, ok := info.Uses[selector.Sel].(*types.Func); ok && used.Pkg() != nil {
		return used.Pkg().Path() + "." + used.Name()
	}
	return ""
}

// listedPackage is what the fold test reads from "go list -json".
type listedPackage struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	DepOnly                 bool
}

// listPackages asks the go command for the packages, and for the compiled form of all they import.
func listPackages(t *testing.T, patterns ...string) []listedPackage {
	t.Helper()
	arguments := append([]string{"list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,DepOnly"}, patterns...)
	command := exec.Command("go", arguments...)
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("cannot list packages: %v", err)
	}
	var packages []listedPackage
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; {
		var p listedPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func TestTheFoldKnowsNoClockAndNoChance(t *testing.T) {
	var patterns []string
	for _, dir := range foldPackages {
		if files, _ := filepath.Glob(filepath.Join(dir, "*.go")); len(files) > 0 {
			patterns = append(patterns, "./"+dir)
		}
	}
	packages := listPackages(t, patterns...)
	exports := map[string]string{}
	for _, p := range packages {
		exports[p.ImportPath] = p.Export
	}
	fset := token.NewFileSet()
	lookup := func(name string) (io.ReadCloser, error) { return os.Open(exports[name]) }
	config := types.Config{Importer: importer.ForCompiler(fset, "gc", lookup)}
	for _, p := range packages {
		if p.DepOnly {
			continue
		}
		var files []*ast.File
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		reportFold(t, fset, config, p.ImportPath, files, func(pos token.Pos, what string) {
			t.Errorf("%s: %s; the fold may depend only on the log", fset.Position(pos), what)
		})
	}
}

// reportFold type-checks one package and checks each of its files that is written by hand.
func reportFold(t *testing.T, fset *token.FileSet, config types.Config, name string, files []*ast.File,
	report func(token.Pos, string)) {
	t.Helper()
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
	if _, err := config.Check(name, fset, files, info); err != nil {
		t.Fatalf("cannot check types: %v", err)
	}
	for _, file := range files {
		outside := strings.HasSuffix(name, "/engine") && !foldFiles[filepath.Base(fset.Position(file.Pos()).Filename)]
		if !ast.IsGenerated(file) && !outside {
			checkFold(fset, file, info, report)
		}
	}
}

func TestFoldCheckSeesWhatIsForbidden(t *testing.T) {
	const code = `package p

import (
	"maps"
	"math/rand"
	"slices"
	"time"
)

func f(m map[string]int, at time.Time) int {
	for range m {
	}
	// map order: only counts
	for range m {
	}
	_ = slices.Sorted(maps.Keys(m))
	_ = slices.Collect(maps.Keys(m))
	_ = at.After(time.Now())
	clock := time.Now
	_ = clock
	return rand.Int()
}
`
	exports := map[string]string{}
	for _, p := range listPackages(t, "maps", "math/rand", "slices", "time") {
		exports[p.ImportPath] = p.Export
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "p.go", code, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	lookup := func(name string) (io.ReadCloser, error) { return os.Open(exports[name]) }
	config := types.Config{Importer: importer.ForCompiler(fset, "gc", lookup)}
	found := map[int]string{}
	reportFold(t, fset, config, "p", []*ast.File{file}, func(pos token.Pos, what string) {
		found[fset.Position(pos).Line] = what
	})
	want := map[int]string{5: "imports math/rand", 11: "ranges over a map", 17: "uses the order of a map",
		18: "uses time.Now", 19: "uses time.Now"}
	for line := 1; line <= strings.Count(code, "\n"); line++ {
		if found[line] != want[line] {
			t.Errorf("line %d: found %q, want %q", line, found[line], want[line])
		}
	}
}
