package redis

import "testing"

// FuzzHead: whatever the fields of a head hold, reading them is an error or a
// head, never a panic.
func FuzzHead(f *testing.F) {
	f.Add("1", "2", "3", `{"topic_id":"t","fold":1}`, "state")
	f.Add("", "x", "99999999999999999999", "{", "")
	f.Fuzz(func(t *testing.T, epoch, number, offset, meta, state string) {
		got, err := headOf([]any{epoch, number, offset, meta, state})
		if err == nil && string(got.State) != state {
			t.Errorf("state %q, want %q", got.State, state)
		}
		if _, err := headOf([]any{nil, nil, nil, nil}); err != nil {
			t.Error(err)
		}
	})
}

func FuzzEntry(f *testing.F) {
	f.Add([]byte("+data"))
	f.Add([]byte("-"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, e []byte) {
		data, err := entryOf(e)
		if (err == nil) != (len(e) > 0 && e[0] == '+') || err == nil && string(data) != string(e[1:]) {
			t.Errorf("%q is %q, %v", e, data, err)
		}
	})
}
