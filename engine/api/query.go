package api

import (
	"net/url"
	"strconv"

	"github.com/valyala/fasthttp"
)

// pathValue is a parameter of the path, percent-decoded once.
func pathValue(ctx *fasthttp.RequestCtx, name string) string {
	raw, _ := ctx.UserValue(name).(string)
	if v, err := url.PathUnescape(raw); err == nil {
		return v
	}
	return raw
}

// queryLimit reads the query parameter limit, between 1 and most; ok is false
// when the request has been answered.
func (s *Server) queryLimit(ctx *fasthttp.RequestCtx, def, most int) (n int, ok bool) {
	v := ctx.QueryArgs().Peek("limit")
	if len(v) == 0 {
		return def, true
	}
	n, err := strconv.Atoi(string(v))
	if err != nil || n < 1 || n > most {
		s.problem(ctx, fasthttp.StatusBadRequest, "limit: must be a number from 1 to "+strconv.Itoa(most))
		return 0, false
	}
	return n, true
}

// queryFlag reads a boolean query parameter.
func (s *Server) queryFlag(ctx *fasthttp.RequestCtx, name string) (on, ok bool) {
	on, ok = parseFlag(ctx.QueryArgs().Peek(name))
	if !ok {
		s.problem(ctx, fasthttp.StatusBadRequest, name+": must be true or false")
	}
	return on, ok
}

func parseFlag(v []byte) (on, ok bool) {
	switch string(v) {
	case "":
		return false, true
	case "true", "1":
		return true, true
	case "false", "0":
		return false, true
	}
	return false, false
}
