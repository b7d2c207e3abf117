package engine

import (
	"fmt"
	"strings"
)

// ConfigReference is docs/configuration.md: every key with its type, default,
// environment variable, flag and meaning, in Markdown.
func ConfigReference() string {
	var out strings.Builder
	out.WriteString(`# Configuration

This file is generated from the struct that the configuration is read into; change it there.

Rapport needs no configuration. What you set is read from, each over the one before:

1. the defaults below;
2. the file given by ` + "`--config`" + `, or ` + "`rapport.yaml`" + ` in the current directory if there is one;
3. environment variables: lists by commas (` + "`a:9092,b:9092`" + `), maps as ` + "`USD=41.5,EUR=45`" + `;
4. flags, in the same form.

The file is strict: an unknown key, a wrong type or an impossible value is refused, all of them at once, each
with its line, its column and what is allowed. ` + "`rapport check`" + ` tells without starting anything.

Durations have a unit: ` + "`s m h d w`" + ` (` + "`90s`, `1d12h`" + `); sizes are in ` + "`KB MB GB`" + ` (powers of 1000).

| key | type | default | environment, flag | meaning |
|---|---|---|---|---|
`)
	for _, k := range ConfigKeys() {
		fmt.Fprintf(&out, "| `%s` | %s | %s | `%s` `--%s` | %s |\n", k.Path, k.Type, code(k.Default), k.Env, k.Flag, k.Doc)
	}
	out.WriteString(`
Messages on a channel that no sink serves are written to the log.
`)
	return out.String()
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}
