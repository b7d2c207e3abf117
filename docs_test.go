package rapport_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/rules"
)

// link matches a Markdown link to a file, without its fragment.
var link = regexp.MustCompile(`\]\(([^)#\s]+)[^)]*\)`)

func TestLinksOfDocumentsLeadSomewhere(t *testing.T) {
	eachFile(t, func(name string) {
		if path.Ext(name) != ".md" {
			return
		}
		for _, match := range link.FindAllStringSubmatch(readText(t, name), -1) {
			if target := match[1]; !strings.Contains(target, "://") {
				if _, err := os.Stat(filepath.Join(path.Dir(name), target)); err != nil {
					t.Errorf("%s: links to %s: %v", name, target, err)
				}
			}
		}
	})
}

// TestReadmeExamplesAreValid reads the README's YAML as the program would.
func TestReadmeExamplesAreValid(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(readText(t, "README.md"), -1)
	if len(blocks) < 2 {
		t.Fatalf("found %d examples in YAML, want one of rules and one of configuration", len(blocks))
	}
	for _, block := range blocks {
		if !strings.HasPrefix(block[1], "triggers:") {
			if _, err := engine.ParseConfig("README.md", []byte(block[1])); err != nil {
				t.Error(err)
			}
			continue
		}
		if _, err := rules.Parse(map[string][]byte{"README.md": []byte(block[1])}); err != nil {
			t.Error(err)
		}
	}
}
