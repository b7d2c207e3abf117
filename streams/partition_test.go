package streams

import "testing"

// TestPartition: the hashes are those of Kafka's Java client (UtilsTest).
func TestPartition(t *testing.T) {
	for key, hash := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string":                       -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		if got := int32(murmur2(key)); got != hash {
			t.Errorf("%q: got %d, want %d", key, got, hash)
		}
		if got, want := Partition(key, 16), (hash&0x7fffffff)%16; got != want {
			t.Errorf("%q: got partition %d, want %d", key, got, want)
		}
	}
	if Partition("", 1) != 0 {
		t.Error("one partition takes every key")
	}
}
