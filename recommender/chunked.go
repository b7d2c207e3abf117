package recommender

import "sync/atomic"

// chunked is an array that grows without moving its elements, so that one writer
// and any number of readers share it; the elements themselves must be atomic or
// the writer's own. The zero value is empty.
type chunked[T any] struct {
	chunks atomic.Pointer[[]*[chunkSize]T]
}

// get returns element i, nil where the array has not grown so far.
func (c *chunked[T]) get(i uint32) *T {
	p := c.chunks.Load()
	if p == nil || int(i>>chunkBits) >= len(*p) {
		return nil
	}
	return &(*p)[i>>chunkBits][i&(chunkSize-1)]
}

// grow returns element i, extending the array to have it. Only the writer calls
// it.
func (c *chunked[T]) grow(i uint32) *T {
	if e := c.get(i); e != nil {
		return e
	}
	var chunks []*[chunkSize]T
	if p := c.chunks.Load(); p != nil {
		chunks = *p
	}
	for int(i>>chunkBits) >= len(chunks) {
		chunks = append(chunks, new([chunkSize]T))
	}
	c.chunks.Store(&chunks)
	return &chunks[i>>chunkBits][i&(chunkSize-1)]
}

// len returns how many elements there is room for.
func (c *chunked[T]) len() uint32 {
	p := c.chunks.Load()
	if p == nil {
		return 0
	}
	return uint32(len(*p)) << chunkBits
}
