package api

import (
	stdjson "encoding/json"
	"errors"
	"strings"

	"github.com/goccy/go-json"
)

// jsonFault says what is wrong with a body, without the names of our types.
func jsonFault(err error) string {
	var fast *json.UnmarshalTypeError
	var std *stdjson.UnmarshalTypeError
	switch {
	case errors.As(err, &fast):
		return wrongType(fast.Field, fast.Value)
	case errors.As(err, &std):
		return wrongType(std.Field, std.Value)
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

func wrongType(field, value string) string {
	if field == "" {
		field = "the body"
	}
	return field + " cannot be a JSON " + value
}
