// Package bench holds what measures Rapport and what feeds it for measuring:
// data sets, replays, the simulated retailer, load generators and reports.
// Libraries only; cmd/rapport binds them to flags.
package bench
