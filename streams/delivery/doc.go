// Package delivery carries messages to the sinks that serve their channels:
// it checks that a message is still valid, sends it with retries, and reports
// what became of it as an event of the customer. It knows no broker: a
// consumer of `messages` hands it records, partition by partition, in order.
package delivery
