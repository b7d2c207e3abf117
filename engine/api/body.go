package api

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/valyala/fasthttp"
)

// Limits of bodies, in bytes after decompression.
const (
	maxEvent      = 32 << 10
	maxBatch      = 500 << 10
	maxBatchCalls = 2500
	maxQuery      = 64 << 10 // a JSON body of recommend, consents, ...
	maxRules      = 1 << 20
	maxItems      = 16 << 20

	// maxPlainBody is what any other path than the catalogue's reads at all:
	// more than maxBatch, so that what is a little too large is answered and
	// not cut off.
	maxPlainBody = 2 << 20
)

// bodyLimit lets only the catalogue's path read large bodies.
func bodyLimit(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if bytes.HasPrefix(h.RequestURI(), []byte("/v1/items")) {
		return fasthttp.RequestConfig{MaxRequestBodySize: maxItems + 1<<20}
	}
	return fasthttp.RequestConfig{}
}

// inflate replaces a compressed body by its content of at most limit bytes;
// false when the request has been answered with what is wrong.
func (s *Server) inflate(ctx *fasthttp.RequestCtx, limit int) bool {
	h := &ctx.Request.Header
	encoding := h.ContentEncoding()
	if len(encoding) > 0 && !bytes.EqualFold(encoding, []byte("identity")) {
		body, err := ctx.Request.BodyUncompressedWithLimit(limit)
		switch {
		case errors.Is(err, fasthttp.ErrBodyTooLarge):
			s.tooLarge(ctx, limit)
			return false
		case errors.Is(err, fasthttp.ErrContentEncodingUnsupported):
			s.problem(ctx, fasthttp.StatusUnsupportedMediaType, "Content-Encoding: send gzip, br, deflate, zstd or none")
			return false
		case err != nil:
			s.problem(ctx, fasthttp.StatusBadRequest, "the body is not valid "+string(encoding)+" as Content-Encoding says")
			return false
		}
		ctx.Request.SetBodyRaw(body)
		h.Del(fasthttp.HeaderContentEncoding)
	}
	if len(ctx.Request.Body()) > limit {
		s.tooLarge(ctx, limit)
		return false
	}
	return true
}

func (s *Server) tooLarge(ctx *fasthttp.RequestCtx, limit int) {
	s.problem(ctx, fasthttp.StatusRequestEntityTooLarge,
		"the body is larger than "+strconv.Itoa(limit/1024)+" KB after decompression: send it in smaller parts")
}
