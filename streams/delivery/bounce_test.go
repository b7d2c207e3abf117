package delivery

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/streams"
)

func TestAnAddressThatIsOfNoUseIsABounce(t *testing.T) {
	at := time.Date(2026, 6, 2, 5, 32, 14, 0, time.UTC)
	for err, want := range map[error][3]string{
		&SendError{Err: errors.New("no such user"), Permanent: true, Bounced: true}: {"Message Bounced", "bounced", "hard"},
		&SendError{Err: errors.New("no credit"), Permanent: true}:                   {"Message Failed", "failed", ""},
		fmt.Errorf("broken"): {"Message Failed", "failed", ""},
	} {
		o := refused(at, err)
		if o.event != want[0] || o.label() != want[1] || o.bounce != want[2] || o.detail != err.Error() {
			t.Errorf("%v: %+v", err, o)
		}
		rec, err := report(&streams.Message{ID: "x.0.ab", Profile: "user:1", Channel: "email"}, o, "smtp")
		if err != nil {
			t.Fatal(err)
		}
		var e struct {
			Event      string
			Properties map[string]string
		}
		if err := json.Unmarshal(rec.Value, &e); err != nil || e.Event != want[0] || e.Properties["bounce_type"] != want[2] || e.Properties["message_id"] != "x.0.ab" {
			t.Errorf("%s, %v", rec.Value, err)
		}
	}
}
