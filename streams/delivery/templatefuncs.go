package delivery

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"text/template"
)

// templateFuncs are what templates can call beside Go's own functions.
var templateFuncs = template.FuncMap{
	"json":   jsonText,
	"number": number,
	"money":  money,
	"link":   link,
}

// jsonText is a value as JSON: "body": {{json .text}}.
func jsonText(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// number makes values of a message comparable: {{if gt (number .price) 100.0}}.
// What is no number is 0.
func number(v any) float64 {
	f, err := strconv.ParseFloat(fmt.Sprint(v), 64)
	if err != nil {
		return 0
	}
	return f
}

// money writes an amount with two decimals where it has any: 450, 12.50.
func money(v any) string {
	f := number(v)
	if f == float64(int64(f)) {
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}

// link is a URL with the message's id as rpt_mid, so that what the customer does
// there counts for the message: {{link .url $.id}}.
func link(address, id any) string {
	text, _ := address.(string)
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return text
	}
	q := u.RawQuery
	if q != "" {
		q += "&"
	}
	u.RawQuery = q + "rpt_mid=" + url.QueryEscape(fmt.Sprint(id))
	return u.String()
}
