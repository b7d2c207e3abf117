package profiles

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

const maxDecisions = 50

// Decide puts a decision before the others, of which the latest 50 are kept.
func (p *Profile) Decide(d *Decision) {
	n := d.SizeVT()
	keep := firstEntries(p.Decisions, maxDecisions-1)
	b := make([]byte, 0, n+len(keep)+4)
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(n))
	b = b[:len(b)+n]
	if _, err := d.MarshalToSizedBufferVT(b[len(b)-n:]); err != nil {
		panic("BUG: cannot encode a decision: " + err.Error())
	}
	b = append(b, keep...)
	p.Decisions = b
}

// firstEntries returns the encoding of the first n entries of a log.
func firstEntries(b []byte, n int) []byte {
	size := 0
	for ; n > 0 && size < len(b); n-- {
		_, tag := protowire.ConsumeVarint(b[size:])
		_, body := protowire.ConsumeBytes(b[size+max(tag, 0):])
		if tag < 0 || body < 0 {
			panic("BUG: decisions were checked when they were decoded")
		}
		size += tag + body
	}
	return b[:size]
}

// DecisionList decodes the latest decisions, newest first.
func (p *Profile) DecisionList() []*Decision {
	var log DecisionLog
	if err := log.UnmarshalVT(p.Decisions); err != nil {
		panic("BUG: decisions were checked when they were decoded: " + err.Error())
	}
	return log.Decisions
}

// checkDecisions reports whether b can be read as a DecisionLog.
func checkDecisions(b []byte) error {
	var d Decision
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 || num != 1 || typ != protowire.BytesType {
			return fmt.Errorf("cannot read decisions: bad tag")
		}
		entry, m := protowire.ConsumeBytes(b[n:])
		if m < 0 {
			return fmt.Errorf("cannot read decisions: %w", protowire.ParseError(m))
		}
		d.ResetVT()
		if err := d.UnmarshalVTUnsafe(entry); err != nil {
			return fmt.Errorf("cannot read decisions: %w", err)
		}
		b = b[n+m:]
	}
	return nil
}
