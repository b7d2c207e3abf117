// Package rules is the marketer's language: triggers and placements written in
// YAML with conditions in CEL. It loads and validates them (every problem at
// once, with file, line and column), compiles them, and evaluates them for one
// customer at a time: which runs an event starts and ends, which timers a
// customer waits for, and which messages are decided.
//
// It does no I/O beyond reading the rules' directory, keeps no clock and no
// state of customers: the time comes with each [Turn], and what a customer's
// runs need is in the customer's profile. Equal profile, event and time give
// equal messages.
package rules
