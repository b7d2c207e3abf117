package rules

import (
	"fmt"
	"strings"
)

var plainTypes = strings.NewReplacer("rapport.", "", "google.protobuf.Timestamp", "timestamp")

// Reference is the reference of docs/triggers.md in Markdown: every key of the
// language and every field that a condition can read, from what the code reads.
func Reference() string {
	var b strings.Builder
	b.WriteString("### Keys\n\n| where | keys |\n|---|---|\n")
	row := func(where string, keys []string) {
		fmt.Fprintf(&b, "| %s | `%s` |\n", where, strings.Join(keys, "` `"))
	}
	row("a file", sections)
	row("a segment", []string{"if"})
	row("policy", policyKeys)
	row("a cap", capKeys)
	row("a coupon", couponKeys)
	row("a trigger", triggerKeys)
	for _, k := range startKinds {
		row("start by "+k.kind, k.keys)
	}
	row("exit", exitKeys)
	row("a step", stepKeys)
	row("beside until and if", branchKeys)
	row("send", sendKeys)
	row("items of a send", itemSources)
	row("item of a start", itemKinds)
	row("interest of a start", interestKinds)
	row("a placement", placementKeys)
	row("strategies", strategies)
	b.WriteString("\n### What conditions read\n\n| where | variables |\n|---|---|\n")
	for _, x := range []struct {
		where string
		at    site
	}{
		{"`if` of a start", siteStart}, {"`if` of a start by item or trait", siteChange},
		{"`while`, `exit`, steps", siteRun}, {"segments", siteSegment}, {"filters of placements", siteFilter},
	} {
		row(x.where, x.at.vars())
	}
	b.WriteString("\n| type | fields |\n|---|---|\n")
	for _, t := range structTypes {
		if t == ctxType {
			continue
		}
		fields := make([]string, 0, len(t.fields))
		for _, name := range t.fieldNames() {
			fields = append(fields, fmt.Sprintf("`%s` %s", name, typeName(t.fields[name].typ)))
		}
		fmt.Fprintf(&b, "| %s | %s |\n", t.name, plainTypes.Replace(strings.Join(fields, ", ")))
	}
	fmt.Fprintf(&b, "\n### Reasons of a send not made\n\n`%s`\n", strings.Join(Reasons, "` `"))
	return b.String()
}
