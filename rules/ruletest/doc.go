// Package ruletest runs scripts that try rules: they say what customers do and
// when, and what is expected to be decided. A script runs on the engine's own
// fold with the clock of the log, so a year passes in milliseconds and what is
// decided is what a server would decide. docs/rule-tests.md describes the
// language; `rapport test` runs the scripts of a directory of rules.
//
// It stands above the engine, although its directory is below rules.
package ruletest
