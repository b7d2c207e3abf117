package load

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// fillFrom makes GET requests of their lines, over and over, for Config.Fill.
func fillFrom(calls [][]byte) func(int, int64, *fasthttp.Request) {
	return func(_ int, n int64, req *fasthttp.Request) {
		req.SetRequestURIBytes(calls[n%int64(len(calls))])
	}
}

// idLength is the length of a message id that is numbered.
const idLength = 16

// idPlace comes before a message id that is numbered: one of zeros.
var idPlace = []byte(`"messageId":"0000000000000000"`)

// bodies are what is posted over and over, each time with message ids of its
// own: those of zeros become numbers, as AppendID writes them.
type bodies struct {
	lines  [][]byte
	places [][]int  // of the ids, by line
	most   int      // ids of a line
	sent   [][]byte // by worker
}

func newBodies(lines [][]byte, workers int) *bodies {
	b := &bodies{lines: lines, sent: make([][]byte, workers)}
	for _, line := range lines {
		var at []int
		for from := 0; ; {
			i := bytes.Index(line[from:], idPlace)
			if i < 0 {
				break
			}
			from += i + len(idPlace)
			at = append(at, from-1-idLength)
		}
		b.places = append(b.places, at)
		b.most = max(b.most, len(at))
	}
	return b
}

// fill posts the n-th request's line. Its i-th id is first + n*most + i.
func (b *bodies) fill(path string, first uint64) func(int, int64, *fasthttp.Request) {
	return func(worker int, n int64, req *fasthttp.Request) {
		line := int(n % int64(len(b.lines)))
		b.sent[worker] = append(b.sent[worker][:0], b.lines[line]...)
		body := b.sent[worker]
		id := first + uint64(n)*uint64(b.most)
		for i, at := range b.places[line] {
			AppendID(body[:at], id+uint64(i))
		}
		req.Header.SetMethod(fasthttp.MethodPost)
		req.SetRequestURI(path)
		req.Header.SetContentType("application/json")
		req.SetBodyRaw(body)
	}
}

// AppendID appends a message id: 16 hex digits.
func AppendID(b []byte, id uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[id>>shift&15])
	}
	return b
}
