package streams

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"
)

// UnsubscribePath is where the API takes unsubscribe links.
const UnsubscribePath = "/v1/unsubscribe"

// Unsubscribe is what a link in a message says: that this customer wants no
// more messages in this channel.
type Unsubscribe struct {
	Profile string // "type:value"
	Channel string
	Message string // id of the message with the link
}

// URL is the signed link under base, the public address of the API. It is ""
// without a base or a secret: anybody could write such links.
func (u Unsubscribe) URL(base, secret string) string {
	if base == "" || secret == "" {
		return ""
	}
	q := url.Values{"id": {u.Profile}, "channel": {u.Channel}, "message_id": {u.Message}, "sig": {u.sign(secret)}}
	return strings.TrimRight(base, "/") + UnsubscribePath + "?" + q.Encode()
}

// Signed reports whether sig was made for u with the secret; an empty secret
// signs nothing.
func (u Unsubscribe) Signed(sig, secret string) bool {
	return secret != "" && hmac.Equal([]byte(u.sign(secret)), []byte(sig))
}

// sign is the start of an HMAC-SHA256, in hex: 128 bits.
func (u Unsubscribe) sign(secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	for _, part := range []string{"unsubscribe", u.Profile, u.Channel, u.Message} {
		mac.Write([]byte(part))
		mac.Write([]byte{0})
	}
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
