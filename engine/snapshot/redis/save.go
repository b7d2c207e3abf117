package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/rapport-engine/rapport/engine/snapshot"
)

// follow begins the scripts of a save. It returns what the store holds where
// that is neither what the save follows (ARGV 1-3) nor what it leads to (4-6: a
// repeat after an answer that was lost), and 'done' where it is the latter.
const follow = `
local h = redis.call('HMGET', KEYS[1], 'epoch', 'number', 'offset', 'pending')
local e, n, o = h[1] or '0', h[2] or '0', h[3] or '0'
if e == ARGV[4] and n == ARGV[5] and o == ARGV[6] then return 'done' end
if e ~= ARGV[1] or n ~= ARGV[2] or o ~= ARGV[3] then return e .. ' ' .. n .. ' ' .. o end
if h[4] == '1' then return 'pending' end
`

var (
	// acquireScript: KEYS head. Gives the partition a new epoch.
	acquireScript = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local epoch = math.max((redis.call('HGET', KEYS[1], 'epoch') or 0) + 1, now)
local text = string.format('%.0f', epoch)
redis.call('HSET', KEYS[1], 'epoch', text)
return text
`)

	// saveScript: KEYS head; ARGV prev, next, meta, state, prefix of the
	// hashes, then bucket, id and entry of each blob. A whole save.
	saveScript = redis.NewScript(follow + `
for i = 10, #ARGV, 3 do
  local key, id, entry = ARGV[9] .. ARGV[i], ARGV[i+1], ARGV[i+2]
  if string.sub(entry, 1, 1) == '+' then
    redis.call('HSET', key, id, string.sub(entry, 2))
  else
    redis.call('HDEL', key, id)
  end
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[4], 'number', ARGV[5], 'offset', ARGV[6], 'meta', ARGV[7], 'state', ARGV[8])
return 'ok'
`)

	// journalScript: KEYS head, journal; ARGV prev, next, whether it is the
	// first, then id and entry of each blob. A part of a large save.
	journalScript = redis.NewScript(follow + `
if ARGV[7] == '1' then redis.call('UNLINK', KEYS[2]) end
for i = 8, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i+1]) end
return 'ok'
`)

	// countScript: KEYS head, journal; ARGV prev, next, meta, state, number of
	// blobs in the journal. Makes a large save count.
	countScript = redis.NewScript(follow + `
if redis.call('HLEN', KEYS[2]) ~= tonumber(ARGV[9]) then return 'torn' end
redis.call('HSET', KEYS[1], 'epoch', ARGV[4], 'number', ARGV[5], 'offset', ARGV[6], 'meta', ARGV[7], 'state', ARGV[8], 'pending', '1')
return 'ok'
`)

	// applyScript: KEYS head, journal; ARGV epoch and number of the save, prefix
	// of the hashes, then bucket and id of each blob to move. Returns 'done' once
	// nothing is left. The blobs' places depend on their ids only, so moving
	// some twice changes nothing.
	applyScript = redis.NewScript(`
local h = redis.call('HMGET', KEYS[1], 'number', 'pending')
if h[2] ~= '1' or h[1] ~= ARGV[1] then return 'done' end
for i = 3, #ARGV, 2 do
  local key, id = ARGV[2] .. ARGV[i], ARGV[i+1]
  local entry = redis.call('HGET', KEYS[2], id)
  if entry then
    if string.sub(entry, 1, 1) == '+' then
      redis.call('HSET', key, id, string.sub(entry, 2))
    else
      redis.call('HDEL', key, id)
    end
    redis.call('HDEL', KEYS[2], id)
  end
end
if redis.call('HLEN', KEYS[2]) == 0 then
  redis.call('HSET', KEYS[1], 'pending', '0')
  return 'done'
end
return 'more'
`)
)

// entry is a blob in a script: '+' and its data, or '-' where it is deleted.
func entry(b *snapshot.Blob) []byte {
	if b.Data == nil {
		return []byte{'-'}
	}
	return append(append(make([]byte, 0, len(b.Data)+1), '+'), b.Data...)
}

// entryOf is the data of an entry, ErrNotFound for a deletion.
func entryOf(e []byte) ([]byte, error) {
	if len(e) == 0 || e[0] != '+' {
		return nil, snapshot.ErrNotFound
	}
	return e[1:], nil
}

// save writes next after prev and returns what the store held: prev, unless it
// refused.
func (s *Store) save(ctx context.Context, sp space, prev, next snapshot.Meta, blobs []snapshot.Blob) (snapshot.Meta, error) {
	meta, err := json.Marshal(next)
	if err != nil {
		return snapshot.Meta{}, fmt.Errorf("cannot encode its head: %w", err)
	}
	blobs = latest(blobs)
	if len(blobs) > chunk {
		return s.saveLarge(ctx, sp, prev, next, meta, blobs)
	}
	args := append(names(prev, next), meta, next.State, sp.blobs())
	for i := range blobs {
		args = append(args, bucket(blobs[i].ID), blobs[i].ID, entry(&blobs[i]))
	}
	return s.run(ctx, sp, saveScript, prev, args)
}

// latest leaves the last of the blobs with one id.
func latest(blobs []snapshot.Blob) []snapshot.Blob {
	last := make(map[string]int, len(blobs))
	for i := range blobs {
		last[blobs[i].ID] = i
	}
	if len(last) == len(blobs) {
		return blobs
	}
	kept := make([]snapshot.Blob, 0, len(last))
	for i := range blobs {
		if last[blobs[i].ID] == i {
			kept = append(kept, blobs[i])
		}
	}
	return kept
}

// names are the first arguments of the scripts that begin with follow.
func names(prev, next snapshot.Meta) []any {
	return []any{prev.Epoch, prev.Number, prev.Offset, next.Epoch, next.Number, next.Offset}
}

func (s *Store) saveLarge(ctx context.Context, sp space, prev, next snapshot.Meta, meta []byte, blobs []snapshot.Blob) (snapshot.Meta, error) {
	for first := 0; first < len(blobs); first += chunk {
		begins := 0
		if first == 0 {
			begins = 1
		}
		args := append(names(prev, next), begins)
		for i := first; i < min(first+chunk, len(blobs)); i++ {
			args = append(args, blobs[i].ID, entry(&blobs[i]))
		}
		held, err := s.run(ctx, sp, journalScript, prev, args)
		if err != nil || !held.Same(prev) {
			return held, err
		}
	}
	held, err := s.run(ctx, sp, countScript, prev, append(names(prev, next), meta, next.State, len(blobs)))
	if err != nil || !held.Same(prev) {
		return held, err
	}
	// From here on the save has happened, and readers see it; what is not moved
	// now is moved by the next save or owner.
	ids := make([]string, len(blobs))
	for i := range blobs {
		ids[i] = blobs[i].ID
	}
	_ = s.move(ctx, sp, next.Number, ids)
	return prev, nil
}

// run runs a script that begins with follow, once more if a finished save of
// the same owner still has to be moved to its place.
func (s *Store) run(ctx context.Context, sp space, script *redis.Script, prev snapshot.Meta, args []any) (snapshot.Meta, error) {
	for range 2 {
		if s.interrupt != nil {
			if err := s.interrupt(scriptName(script)); err != nil {
				return snapshot.Meta{}, err
			}
		}
		answer, err := script.Run(ctx, s.client, []string{sp.head(), sp.journal()}, args...).Text()
		switch {
		case err != nil:
			return snapshot.Meta{}, err
		case answer == "ok", answer == "done":
			return prev, nil
		case answer == "torn":
			return snapshot.Meta{}, errors.New("its journal was overwritten")
		case answer == "pending":
			if err := s.apply(ctx, sp); err != nil {
				return snapshot.Meta{}, err
			}
			continue
		}
		var held snapshot.Meta
		if _, err := fmt.Sscan(answer, &held.Epoch, &held.Number, &held.Offset); err != nil {
			return snapshot.Meta{}, fmt.Errorf("cannot read the store's answer %q: %w", answer, err)
		}
		return held, nil
	}
	return snapshot.Meta{}, errors.New("an earlier save cannot be finished")
}

func scriptName(script *redis.Script) string {
	switch script {
	case saveScript:
		return "save"
	case journalScript:
		return "journal"
	}
	return "count"
}

// move applies the journal of save number, whose blobs are ids.
func (s *Store) move(ctx context.Context, sp space, number int64, ids []string) error {
	for first := 0; first < len(ids); first += chunk {
		if s.interrupt != nil {
			if err := s.interrupt("apply"); err != nil {
				return err
			}
		}
		args := []any{number, sp.blobs()}
		for _, id := range ids[first:min(first+chunk, len(ids))] {
			args = append(args, bucket(id), id)
		}
		answer, err := applyScript.Run(ctx, s.client, []string{sp.head(), sp.journal()}, args...).Text()
		if err != nil {
			return err
		}
		if answer == "done" {
			return nil
		}
	}
	return nil
}

// apply finishes a save that counts but was not wholly moved to its place.
func (s *Store) apply(ctx context.Context, sp space) error {
	for {
		fields, err := s.client.HMGet(ctx, sp.head(), "number", "pending").Result()
		if err != nil {
			return err
		}
		if fields[1] != "1" {
			return nil
		}
		text, _ := fields[0].(string)
		number, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return err
		}
		ids, err := s.client.HKeys(ctx, sp.journal()).Result()
		if err != nil {
			return err
		}
		if len(ids) == 0 { // an empty journal still has to be marked as applied
			ids = []string{""}
		}
		if err := s.move(ctx, sp, number, ids); err != nil {
			return err
		}
	}
}
