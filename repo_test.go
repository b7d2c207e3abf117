// Package rapport_test holds the rules that the whole repository keeps: who may import whom, what
// the fold over the log may not use, how long a file may be, and what the Dockerfile refers to.
package rapport_test

import (
	"bufio"
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	maxFileLines     = 600
	maxFunctionLines = 70
)

// generated matches the line by which Go tools know a generated file.
var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// sourceFile is one Go file of the repository, parsed with its comments.
type sourceFile struct {
	path      string // slash-separated, relative to the root
	dir       string // the package's directory, "." for the root
	text      []byte
	syntax    *ast.File
	test      bool
	generated bool
}

// skipDir says whether a directory holds nothing that is the repository's own.
func skipDir(name string) bool {
	switch name {
	case ".git", ".cache", "node_modules", "data", "bin":
		return true
	}
	return false
}

// eachFile calls visit with the path of every file of the repository, in order.
func eachFile(t *testing.T, visit func(name string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && skipDir(entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if entry.Type().IsRegular() {
			visit(filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// sources parses every Go file of the repository, whatever its build tags.
func sources(t *testing.T) (*token.FileSet, []sourceFile) {
	t.Helper()
	var files []sourceFile
	fset := token.NewFileSet()
	eachFile(t, func(name string) {
		if path.Ext(name) != ".go" || strings.Contains(name, "testdata/") {
			return
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		syntax, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, sourceFile{
			path: name, dir: path.Dir(name), text: text, syntax: syntax,
			test: strings.HasSuffix(name, "_test.go"), generated: generated.Match(text),
		})
	})
	return fset, files
}

func TestEveryPackageHasADocComment(t *testing.T) {
	documented := map[string]bool{}
	_, files := sources(t)
	for _, f := range files {
		hasDoc := f.syntax.Doc != nil && strings.TrimSpace(f.syntax.Doc.Text()) != "" && !f.generated
		documented[f.dir] = documented[f.dir] || hasDoc
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s: no file has a doc comment on its package clause", dir)
		}
	}
}

func TestFilesAndFunctionsAreShort(t *testing.T) {
	fset, files := sources(t)
	for _, f := range files {
		if f.generated {
			continue
		}
		if lines := bytes.Count(f.text, []byte("\n")); lines > maxFileLines {
			t.Errorf("%s: %d lines, at most %d", f.path, lines, maxFileLines)
		}
		if f.test {
			continue
		}
		for _, decl := range f.syntax.Decls {
			function, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			first, last := fset.Position(function.Pos()), fset.Position(function.End())
			if lines := last.Line - first.Line + 1; lines > maxFunctionLines {
				t.Errorf("%s: %s has %d lines, at most %d", first, function.Name.Name, lines, maxFunctionLines)
			}
		}
	}
}

// foreign matches what does not belong in the repository: unfinished work, and words about how or
// where it was written instead of what it is. It is put together so that it does not match itself.
var foreign = regexp.MustCompile(`\b(` + strings.Join([]string{
	"TO" + "DO", "FIX" + "ME", "not imple" + "mented",
	"sub-?" + "agents?", "Cla" + "ude", "Anth" + "ropic", "language mo" + "del", "the br" + "ief",
}, "|") + `)\b|(^|[^a-zA-Z0-9_./])/(wo` + `rk|fa` + `rm|ro` + `ot)/`)

func TestTheRepositorySpeaksOnlyOfItself(t *testing.T) {
	textual := map[string]bool{
		".go": true, ".md": true, ".yml": true, ".yaml": true, ".sh": true, ".js": true, ".mjs": true,
		".json": true, ".proto": true, ".html": true, ".css": true, "": true, ".service": true, ".mod": true,
	}
	eachFile(t, func(name string) {
		if !textual[path.Ext(name)] || path.Base(name) == "LICENSE" || strings.Contains(name, "testdata/fuzz") {
			return
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(text, 0) >= 0 {
			return
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, len(text)+1)
		for number := 1; lines.Scan(); number++ {
			if match := foreign.Find(lines.Bytes()); match != nil {
				t.Errorf("%s:%d: %q does not belong here", name, number, match)
			}
		}
	})
}
