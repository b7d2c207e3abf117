// Package engine is the whole way of an event: from a record of the log to its customer's profile,
// the triggers that it starts, moves on or ends, and what the recommender learns from it; with the
// configuration, the metrics and the life of a process around it.
package engine
