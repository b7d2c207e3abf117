package streams

import (
	"strings"
	"testing"
)

const typicalTrack = `{"type":"track","event":"Product Added","messageId":"ajs-next-1433123456789-5f0c9a7e","userId":"42",` +
	`"anonymousId":"9f3c1b7a-0c1d-4a57","timestamp":"2015-06-02T05:32:14.123Z","sentAt":"2015-06-02T05:32:15.000Z",` +
	`"context":{"page":{"path":"/p/119736"},"library":{"name":"analytics.js"},"locale":"uk-UA"},"properties":{"product_id":"119736",` +
	`"name":"Running shoes","category":"Shoes/Running","brand":"Acme","price":450.5,"quantity":1,"cart_id":"c1"}}`

func BenchmarkDecode(b *testing.B) {
	d := &Decoder{Region: "UA"}
	rec := &Record{Value: []byte(typicalTrack), Time: 1433223136000}
	var e Event
	b.SetBytes(int64(len(rec.Value)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Decode(rec, &e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseIngest(b *testing.B) {
	body := []byte(`{"sentAt":"2015-06-02T05:32:15Z","batch":[` + strings.Repeat(typicalTrack+",", 99) + typicalTrack + `]}`)
	d, o := &Decoder{Region: "UA"}, options()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.ParseIngest("batch", body, o); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/event")
}
