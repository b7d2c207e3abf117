// Package kafka is Rapport's client of Kafka and its embedded broker: topics,
// a producer whose acknowledgement means durable, a group consumer with one
// goroutine per partition, plain readers. The embedded broker speaks the
// protocol of Kafka to the same client, so everything else is the same with
// either.
//
// It is the only package that knows the client library; the rest of Rapport
// speaks of streams.Record. Topic names given and returned are without the
// configured prefix.
package kafka
