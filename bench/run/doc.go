// Package run measures Rapport against floors in the same process: what the
// bare parts do with the same requests and the same records. Absolute figures
// are those of a machine on a day; the ratios are what is promised. Each
// benchmark is a Config and a function that returns a report, which cmd/rapport
// binds to flags.
package run
