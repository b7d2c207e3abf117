package engine

import (
	"reflect"
	"sort"
	"strings"
)

// envPrefix begins the name of every environment variable that is read.
const envPrefix = "RAPPORT_"

// ConfigKey is one value of the configuration that can be set by itself.
type ConfigKey struct {
	Path    string // as in the file: "kafka.brokers"
	Env     string // RAPPORT_KAFKA_BROKERS
	Flag    string // kafka-brokers
	Type    string // text, number, true or false, duration, size, list or map
	Default string // in the text form of the environment
	Doc     string
}

// ConfigKeys lists every value that can be set, in the order of the file.
func ConfigKeys() []ConfigKey {
	var keys []ConfigKey
	walkConfig("", reflect.ValueOf(DefaultConfig()), func(key ConfigKey) { keys = append(keys, key) })
	return keys
}

func walkConfig(path string, v reflect.Value, visit func(ConfigKey)) {
	for i := range v.NumField() {
		field, tag := v.Field(i), v.Type().Field(i).Tag
		at := join(path, tag.Get("yaml"))
		switch field.Kind() {
		case reflect.Struct:
			walkConfig(at, field, visit)
		case reflect.Pointer:
			walkConfig(at, reflect.Zero(field.Type().Elem()), visit)
		default:
			visit(ConfigKey{
				Path: at, Env: envName(at), Flag: flagName(at),
				Type: typeName(field), Default: textOf(field), Doc: tag.Get("doc"),
			})
		}
	}
}

func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

func flagName(path string) string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(path)
}

func typeName(v reflect.Value) string {
	switch {
	case v.Type() == durationType:
		return "duration"
	case v.Type() == sizeType:
		return "size"
	}
	switch v.Kind() {
	case reflect.Int:
		return "number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "list"
	case reflect.Map:
		return "map"
	default:
		return "text"
	}
}

// environment applies the variables that name a key. Others are left alone:
// orchestrators set variables of their own with the same prefix.
func (b *configBuilder) environment(env []string) {
	values := map[string]string{}
	for _, entry := range env {
		if name, value, ok := strings.Cut(entry, "="); ok && strings.HasPrefix(name, envPrefix) {
			values[name] = value
		}
	}
	for _, key := range ConfigKeys() {
		if value, ok := values[key.Env]; ok {
			b.set(key.Env, key.Path, value)
		}
	}
}

// flags applies values by path; a path that there is not is a problem.
func (b *configBuilder) flags(values map[string]string) {
	known := map[string]bool{}
	for _, key := range ConfigKeys() {
		known[key.Path] = true
		if value, ok := values[key.Path]; ok {
			b.set("--"+key.Flag, key.Path, value)
		}
	}
	var unknown []string
	for path := range values {
		if !known[path] {
			unknown = append(unknown, path)
		}
	}
	sort.Strings(unknown)
	for _, path := range unknown {
		b.problems = append(b.problems, Problem{File: "--" + flagName(path), Text: path + ": unknown key"})
	}
}

// set sets the value at a path from its text form.
func (b *configBuilder) set(source, path, text string) {
	b.origin[path] = Problem{File: source}
	for i := range splitList(text) {
		delete(b.origin, indexed(path, i))
	}
	v := reflect.ValueOf(&b.config).Elem()
	for name := range strings.SplitSeq(path, ".") {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(fieldsByName(v.Type())[name])
	}
	if err := setText(v, text); err != nil {
		b.problems = append(b.problems, Problem{File: source, Text: path + ": " + err.Error()})
	}
}
