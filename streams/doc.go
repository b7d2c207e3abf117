// Package streams is the vocabulary of what flows through Rapport: events,
// items, messages and the log records that carry them, with their decoding,
// validation and normalisation. It knows no broker and no store.
package streams
