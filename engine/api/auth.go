package api

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"

	"github.com/goccy/go-json"
	"github.com/valyala/fasthttp"

	"github.com/rapport-engine/rapport/streams"
)

// scope is what a key may do; a higher one may do what the lower ones may.
type scope uint8

const (
	scopeNone scope = iota
	scopeWrite
	scopeRead
	scopeAdmin
)

func (s scope) String() string {
	return [...]string{"none", "write", "read", "admin"}[s]
}

type hashedKey struct {
	sum   [sha256.Size]byte
	scope scope
}

// keyring finds the scope of a key. Keys are compared by their hashes in
// constant time, and always all of them.
type keyring []hashedKey

func newKeyring(k Keys) keyring {
	var r keyring
	add := func(keys []string, s scope) {
		for _, key := range keys {
			r = append(r, hashedKey{sha256.Sum256([]byte(key)), s})
		}
	}
	add(k.Write, scopeWrite)
	add(k.Read, scopeRead)
	add(k.Admin, scopeAdmin)
	return r
}

// scopeOf is scopeNone for a key that is not ours; without any key configured
// everything is open.
func (r keyring) scopeOf(key []byte) scope {
	if len(r) == 0 {
		return scopeAdmin
	}
	if len(key) == 0 {
		return scopeNone
	}
	sum := sha256.Sum256(key)
	found := scopeNone
	for i := range r {
		if subtle.ConstantTimeCompare(sum[:], r[i].sum[:]) == 1 {
			found = r[i].scope
		}
	}
	return found
}

// requestKey is the key that a request's header or query carries, nil without
// one. Basic credentials are written into the given buffer.
func requestKey(ctx *fasthttp.RequestCtx, buf []byte) []byte {
	if h := ctx.Request.Header.Peek(fasthttp.HeaderAuthorization); len(h) > 0 {
		kind, rest, _ := bytes.Cut(h, []byte(" "))
		rest = bytes.TrimSpace(rest)
		switch {
		case bytes.EqualFold(kind, []byte("bearer")):
			return rest
		case bytes.EqualFold(kind, []byte("basic")):
			out, err := base64.StdEncoding.AppendDecode(buf[:0], rest)
			if err != nil {
				return nil
			}
			user, _, _ := bytes.Cut(out, []byte(":"))
			return user
		}
	}
	return ctx.QueryArgs().Peek("key")
}

// bodyKey is the writeKey member of a JSON body, nil without one.
func bodyKey(body []byte) []byte {
	var b struct {
		WriteKey string `json:"writeKey"`
	}
	if json.Unmarshal(body, &b) != nil {
		return nil
	}
	return []byte(b.WriteKey)
}

// authorize finds the scope of a request and refuses it where it is lower than
// the route's; ok is false when it has been answered.
func (s *Server) authorize(ctx *fasthttp.RequestCtx, r *route) (by scope, ok bool) {
	if len(s.keys) == 0 {
		return scopeAdmin, true
	}
	var buf [256]byte
	key := requestKey(ctx, buf[:0])
	if len(key) == 0 && r.bodyKey && ctx.IsPost() {
		if !s.inflate(ctx, r.maxBody) {
			return scopeNone, false
		}
		key = bodyKey(ctx.Request.Body())
	}
	by = s.keys.scopeOf(key)
	switch {
	case by >= r.scope:
		return by, true
	case by == scopeNone:
		ctx.Response.Header.Set(fasthttp.HeaderWWWAuthenticate, `Bearer realm="rapport"`)
		what := "unknown key"
		if len(key) == 0 {
			what = "no key"
		}
		s.problem(ctx, fasthttp.StatusUnauthorized, what+": send one of the configured "+r.scope.String()+
			" keys as `Authorization: Basic base64(key:)`, `Authorization: Bearer key` or `?key=`")
	default:
		s.problem(ctx, fasthttp.StatusForbidden, "this is a "+by.String()+" key: the call needs a key of scope "+r.scope.String())
	}
	return by, false
}

// trusts reports whether strong identifiers sent with this scope are believed
// without a signature.
func (s *Server) trusts(by scope) bool {
	return by >= scopeRead || len(s.secret) == 0 || len(s.keys) == 0
}

// signed reports whether sig is the hex HMAC-SHA256 of "type:value".
func (s *Server) signed(id streams.Identifier, sig string) bool {
	got, err := hex.DecodeString(sig)
	if err != nil || len(got) != sha256.Size {
		return false
	}
	m := hmac.New(sha256.New, s.secret)
	m.Write([]byte(id.String()))
	return hmac.Equal(m.Sum(nil), got)
}
