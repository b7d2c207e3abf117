// Package library has the triggers that a retailer expects, ready to be copied
// and changed: a file each, with a comment for whoever will change it and a
// script that shows what it does (package ruletest). policy.yaml is what holds
// for all of them. `rapport init` writes them into a shop's own rules.
package library

import (
	"embed"
	"io/fs"
	"slices"
	"strings"
)

//go:embed *.yaml *.test
var files embed.FS

// Policy is the name of the file with quiet hours, caps, consents and holdout.
const Policy = "policy"

// Names lists the files of triggers, without .yaml, in order.
func Names() []string {
	all, err := fs.Glob(files, "*.yaml")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	names := make([]string, 0, len(all))
	for _, name := range all {
		if name = strings.TrimSuffix(name, ".yaml"); name != Policy {
			names = append(names, name)
		}
	}
	return names
}

// Starter lists the files that suit every shop from the first day.
func Starter() []string {
	return []string{"abandoned_cart", "abandoned_checkout", "back_in_stock", "birthday", "order_status", "price_drop",
		"review", "second_order", "viewed_item", "welcome", "win_back"}
}

// Files are the rules and the scripts of the named files and the policy, by
// name.
func Files(names []string) map[string][]byte {
	out := map[string][]byte{}
	for _, name := range append(slices.Clone(names), Policy) {
		for _, extension := range []string{".yaml", ".test"} {
			text, err := files.ReadFile(name + extension)
			if err == nil {
				out[name+extension] = text
			} else if name != Policy || extension == ".yaml" {
				panic("BUG: the library has no " + name + extension)
			}
		}
	}
	return out
}
