package dht

/*
#include <dht.h>
*/
import "C"

import (
	"context"
	"runtime"
)

// Scanner steps through all keys of a prefix:
//
//	scanner := node.Scan(ctx, "user:")
//	defer scanner.Close()
//	for scanner.Next() {
//		fmt.Println(scanner.Key(), scanner.Value())
//	}
//	if err := scanner.Err(); err != nil { … }
//
// It is for one goroutine at a time.
type Scanner struct {
	ctx    context.Context
	node   *Node
	handle *C.dht_scan_t
	found  entry
	err    error
}

type entry struct {
	key   string
	value Value
}

// Scan begins a scan of all keys that begin with prefix, in no order. A key that is there throughout is found exactly
// once, whatever nodes join, leave or die meanwhile; one that is put or deleted meanwhile may be found or not. It ends
// with ctx.
func (n *Node) Scan(ctx context.Context, prefix string) *Scanner {
	return n.ScanWith(ctx, prefix, GetOptions{})
}

// ScanWith is Scan as options say.
func (n *Node) ScanWith(ctx context.Context, prefix string, options GetOptions) *Scanner {
	scanner := &Scanner{ctx: ctx, node: n}
	// The deadline is that of the scan, not of each page.
	o, err := optional(optionsOf(context.Background(), 0, options.Consistency))
	if err != nil {
		scanner.err = err
		return scanner
	}
	p, prefixLen := keyOf(prefix)
	scanner.err = n.wait(context.Background(), reads, func(err **C.dht_error_t) C.dht_status {
		return C.dht_scan(n.handle, octets(p), prefixLen, o, &scanner.handle, err)
	}, p, o)
	runtime.SetFinalizer(scanner, func(scanner *Scanner) { C.dht_scan_free(scanner.handle) })
	return scanner
}

// Next goes to the next key; false at the end and after an error, which Err tells. After an error the next call goes on
// where the scan was.
func (s *Scanner) Next() bool {
	if s.handle == nil {
		return false
	}
	handle := s.handle
	s.found, s.err = waitFor(s.ctx, s.node, reads, func(raw **C.dht_error_t) (entry, C.dht_status) {
		var key, value *C.uint8_t
		var keyLen, valueLen C.size_t
		var format C.int32_t
		status := C.dht_scan_next(handle, &key, &keyLen, &value, &valueLen, &format, raw)
		if status != C.DHT_OK {
			return entry{}, status
		}
		found := taken(value, valueLen)
		return entry{string(taken(key, keyLen)), Value{Data: found, IsBytes: format == 1}}, status
	})
	runtime.KeepAlive(s)
	if told, ok := s.err.(*Error); ok && told.Code == int(ErrNotFound) {
		s.err = nil
		s.Close()
		return false
	}
	return s.err == nil
}

// Key is the key that Next went to; of any bytes.
func (s *Scanner) Key() string { return s.found.key }

// Value is the value of that key.
func (s *Scanner) Value() Value { return s.found.value }

// Err is what ended the scan; nil if it came to its end.
//
// Errors: ErrTooLarge (the prefix), ErrNotStarted, ErrStopped, ErrNotJoined, ErrQuorum, ErrTimeout, ErrOverloaded,
// ErrCancelled.
func (s *Scanner) Err() error { return s.err }

// Close gives back what the scan holds; Next is false from then on. A scan at its end is closed, and so is one that the
// garbage collector finds. Later calls do nothing.
func (s *Scanner) Close() {
	C.dht_scan_free(s.handle)
	s.handle = nil
	runtime.SetFinalizer(s, nil)
}

// Count tells how many keys begin with prefix and have a value, counted one by one. ctx bounds the whole, RequestTimeout
// each page of what is found. Errors as of Scanner.Err.
func (n *Node) Count(ctx context.Context, prefix string) (uint64, error) {
	p, prefixLen := keyOf(prefix)
	var left brake
	defer left.pull()
	return n.number(ctx, reads, func(out *C.uint64_t, err **C.dht_error_t) C.dht_status {
		return C.dht_count_until(n.handle, octets(p), prefixLen, left.given(), out, err)
	}, p)
}

// Len tells about how many keys have a value, from what this node holds and the part of the ring that it holds. A client
// asks others, and takes RequestTimeout at most, also where ctx has longer. Errors: ErrNotStarted, ErrStopped; of a client
// also ErrNotJoined, ErrUnreachable.
func (n *Node) Len(ctx context.Context) (uint64, error) {
	return n.number(ctx, reads, func(out *C.uint64_t, err **C.dht_error_t) C.dht_status {
		return C.dht_len(n.handle, out, err)
	})
}

// Clear deletes all keys that begin with prefix, and tells how many had a value. Keys that are put meanwhile may stay. ctx
// bounds the whole: a moment after it has ended no more is deleted. RequestTimeout bounds each page of what is found, and the
// batch that deletes it. Errors as of Count and Delete, the first that occurred; what was deleted before it stays deleted.
func (n *Node) Clear(ctx context.Context, prefix string) (uint64, error) {
	p, prefixLen := keyOf(prefix)
	var left brake
	defer left.pull()
	return n.number(ctx, writes, func(out *C.uint64_t, err **C.dht_error_t) C.dht_status {
		return C.dht_clear_until(n.handle, octets(p), prefixLen, left.given(), out, err)
	}, p)
}

func (n *Node) number(ctx context.Context, effect effect, ask func(*C.uint64_t, **C.dht_error_t) C.dht_status,
	owned ...*C.char) (uint64, error) {
	return waitFor(ctx, n, effect, func(raw **C.dht_error_t) (uint64, C.dht_status) {
		var number C.uint64_t
		status := ask(&number, raw)
		return uint64(number), status
	}, owned...)
}
