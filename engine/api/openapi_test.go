package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

type object = map[string]any

func document(t *testing.T) object {
	t.Helper()
	var doc object
	if err := json.Unmarshal(openapiDocument, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestOpenAPIHasEveryRouteAndNoOther(t *testing.T) {
	s := start(t, Options{})
	if r := s.get("/openapi.json").want(t, 200, `"openapi": "3.1.0"`); r.header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", r.header)
	}
	routes := map[string]scope{}
	for _, r := range s.server.routes {
		routes[r.method+" "+r.path] = r.scope
	}
	ids := map[string]bool{}
	for path, methods := range document(t)["paths"].(object) {
		for method, v := range methods.(object) {
			name := strings.ToUpper(method) + " " + path
			op := v.(object)
			want, ok := routes[name]
			if !ok {
				t.Errorf("%s is described, but is no route", name)
			}
			delete(routes, name)
			if op["x-rapport-scope"] != want.String() {
				t.Errorf("%s: scope %v, want %v", name, op["x-rapport-scope"], want)
			}
			id := op["operationId"].(string)
			if ids[id] {
				t.Errorf("%s: a second operation %s", name, id)
			}
			ids[id] = true
			for p := range strings.SplitSeq(path, "/") {
				if strings.HasPrefix(p, "{") && !hasParameter(op, strings.Trim(p, "{}")) {
					t.Errorf("%s: %s is no parameter", name, p)
				}
			}
		}
	}
	for name := range routes {
		t.Errorf("%s is not described", name)
	}
}

func hasParameter(op object, name string) bool {
	list, _ := op["parameters"].([]any)
	return slices.ContainsFunc(list, func(p any) bool { return p.(object)["name"] == name })
}

func TestOpenAPIReferencesLead(t *testing.T) {
	doc := document(t)
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case object:
			if ref, ok := v["$ref"].(string); ok && resolve(doc, ref) == nil {
				t.Errorf("%s leads nowhere", ref)
			}
			for _, x := range v {
				walk(x)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(doc)
}

func resolve(doc object, ref string) object {
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		doc, _ = doc[part].(object)
	}
	return doc
}

func TestAnswersAreAsDescribed(t *testing.T) {
	s := start(t, Options{Keys: threeKeys, Secret: "links"})
	doc := document(t)
	shopper(t, s)
	stock := int64(3)
	s.engine.items["119736"] = &streams.Item{
		ID: "119736", Name: "Run", Category: []string{"Shoes"}, Price: 450, Stock: &stock,
		Stores: map[string]streams.StoreItem{"12": {Stock: &stock, Price: 449}}, Attributes: map[string]any{"color": "red"},
	}
	s.engine.messages = []streams.Message{{ID: "x.1.ab", Status: "queued", Recommendations: &streams.Recommendations{ID: "rec_1"}}}
	s.engine.letters = []streams.DeadLetter{{Reason: streams.ReasonInvalid, Detail: "d", At: 1, Event: []byte("{")}}
	check := func(method, path, route, body, key string) {
		t.Helper()
		r := s.do(method, path, []byte(body), "Authorization", "Bearer "+key)
		op := resolve(doc, "paths")[route].(object)[strings.ToLower(method)].(object)
		if err := answerAs(doc, op, r); err != nil {
			t.Errorf("%s %s: %v: %s", method, path, err, clip(r.body))
		}
	}
	for i := range s.server.routes {
		r := &s.server.routes[i]
		path := samplePath(r)
		if strings.HasPrefix(path, "/v1/items/") {
			path = "/v1/items/119736"
		}
		check(r.method, path, r.path, sampleBody(r), "a1")
		check(r.method, path, r.path, "{", "nobody") // 401
		if r.maxBody > 0 {
			check(r.method, path, r.path, "[", "a1") // 400, or an answer
		}
	}
	check("GET", "/v1/profiles/user:42?items=true", "/v1/profiles/{id}", "", "r1")
	check("GET", "/v1/profiles/user:42?fields=cart", "/v1/profiles/{id}", "", "r1")
	check("GET", "/v1/profiles/user:404", "/v1/profiles/{id}", "", "r1")
	check("GET", "/v1/items/404", "/v1/items/{id}", "", "r1")
	check("GET", "/v1/recommend?fields=name,stores&explain=true", "/v1/recommend", "", "w1")
	check("POST", "/v1/recommend", "/v1/recommend", `{"requests":[{"fields":["stock"]},{}]}`, "w1")
	check("POST", "/v1/batch?strict=true", "/v1/batch", `{"batch":[{}]}`, "w1")
	check("PUT", "/v1/items", "/v1/items", `[{"id":"x","price":-1}]`, "r1")
	check("POST", "/v1/triggers/validate", "/v1/triggers/validate", "triggers: {a: {start: {}}}", "a1")
	s.engine.notReady = true
	check("GET", "/readyz", "/readyz", "", "a1")
	s.engine.fail = ErrUnavailable
	s.engine.profiles = map[string]*profiles.Profile{}
	check("POST", "/v1/track", "/v1/track", track, "w1")
	check("GET", "/v1/profiles/user:42", "/v1/profiles/{id}", "", "r1")
}

// answerAs checks an answer against what the operation says of its status.
func answerAs(doc, op object, r reply) error {
	described, ok := op["responses"].(object)[strconv.Itoa(r.status)].(object)
	if !ok {
		return fmt.Errorf("status %d is not described", r.status)
	}
	if ref, ok := described["$ref"].(string); ok {
		described = resolve(doc, ref)
	}
	content, ok := described["content"].(object)
	if !ok {
		if len(r.body) > 0 {
			return fmt.Errorf("has a body")
		}
		return nil
	}
	media, ok := content[r.header.Get("Content-Type")].(object)
	if !ok {
		return fmt.Errorf("content type %q is not described", r.header.Get("Content-Type"))
	}
	var v any = string(r.body)
	if strings.Contains(r.header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(r.body, &v); err != nil {
			return err
		}
	}
	return conforms(doc, media["schema"].(object), v, "$")
}

// conforms checks a value against the part of JSON Schema that the document
// uses.
func conforms(doc, schema object, v any, at string) error {
	if ref, ok := schema["$ref"].(string); ok {
		return conforms(doc, resolve(doc, ref), v, at)
	}
	if list, ok := schema["oneOf"].([]any); ok {
		var errs []string
		for _, one := range list {
			err := conforms(doc, one.(object), v, at)
			if err == nil {
				return nil
			}
			errs = append(errs, err.Error())
		}
		return fmt.Errorf("%s is none of its kinds: %s", at, strings.Join(errs, "; "))
	}
	if err := isOfType(schema, v, at); err != nil {
		return err
	}
	if list, ok := schema["enum"].([]any); ok && !slices.Contains(list, v) {
		return fmt.Errorf("%s: %v is none of %v", at, v, list)
	}
	if want, ok := schema["const"]; ok && want != v {
		return fmt.Errorf("%s: %v is not %v", at, v, want)
	}
	switch v := v.(type) {
	case []any:
		items, _ := schema["items"].(object)
		for i, x := range v {
			if err := conforms(doc, items, x, at+"["+strconv.Itoa(i)+"]"); err != nil {
				return err
			}
		}
	case object:
		return membersConform(doc, schema, v, at)
	}
	return nil
}

func isOfType(schema object, v any, at string) error {
	var types []any
	switch typ := schema["type"].(type) {
	case nil:
		return nil
	case string:
		types = []any{typ}
	case []any:
		types = typ
	}
	is := "null"
	switch v := v.(type) {
	case string:
		is = "string"
	case bool:
		is = "boolean"
	case []any:
		is = "array"
	case object:
		is = "object"
	case float64:
		if is = "number"; v == float64(int64(v)) && slices.Contains(types, any("integer")) {
			is = "integer"
		}
	}
	if !slices.Contains(types, any(is)) {
		return fmt.Errorf("%s is %s, not %v", at, is, types)
	}
	return nil
}

func membersConform(doc, schema, v object, at string) error {
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, ok := v[name.(string)]; !ok {
			return fmt.Errorf("%s has no %s", at, name)
		}
	}
	known, _ := schema["properties"].(object)
	for name, x := range v {
		sub, ok := known[name].(object)
		if !ok {
			switch extra := schema["additionalProperties"].(type) {
			case bool:
				if !extra {
					return fmt.Errorf("%s.%s is not described", at, name)
				}
				continue
			case object:
				sub = extra
			default:
				continue
			}
		}
		if err := conforms(doc, sub, x, at+"."+name); err != nil {
			return err
		}
	}
	return nil
}
