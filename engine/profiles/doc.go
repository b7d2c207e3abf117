// Package profiles holds customers: what a profile is, how an event changes
// it, the in-memory store of one partition's profiles, and their encoding.
//
// A profile at rest is its encoding (profile.proto): immutable bytes, so
// readers never wait for the worker that owns the partition and the garbage
// collector has next to nothing to look at.
package profiles

//go:generate protoc --proto_path=../.. --go_out=../.. --go_opt=paths=source_relative --go-vtproto_out=../.. --go-vtproto_opt=paths=source_relative,features=marshal+unmarshal+unmarshal_unsafe+size+clone engine/profiles/profile.proto
