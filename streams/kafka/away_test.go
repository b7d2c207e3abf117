package kafka

import (
	"errors"
	"net"
	"testing"
)

// A broker that is starting, or one behind a proxy, may take connections and
// close them at once: it is away, and will be back.
func TestABrokerThatHangsUpIsUnavailable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	cfg := Config{Brokers: []string{l.Addr().String()}, Prefix: "test.", Partitions: 1}
	if _, err := StartOffsets(t.Context(), cfg, TopicEvents); !errors.Is(err, ErrUnavailable) {
		t.Errorf("listing offsets: %v", err)
	}
}
