// Package torture is what the crash tests measure Rapport by: shoppers whose
// events are recorded with what was answered to each, a receiver that counts
// messages, and models of what must be known and sent after all that went
// wrong. The models share no code with the engine's profiles; the tests of this
// package start the processes and break things (`make torture`).
package torture
