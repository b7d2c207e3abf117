// Package reference is the engine's conscience: a slow and obvious model of
// what rules decide. It shares no code with the engine: it reads the rules'
// YAML by itself, knows a condition by its text (Conditions says in Go what
// each means), keeps a customer as plain lists and maps, goes through all that
// a customer waits for each time that time passes, and finds the end of quiet
// hours by looking at each minute. Tests compare the two, decision by decision.
//
// A Model is told what happened in the order of the log: Tick, Take, PutItem.
package reference
