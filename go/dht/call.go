package dht

/*
#cgo LDFLAGS: -ldht
#include <stdlib.h>
#include <dht.h>
*/
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"
)

// What a call of libdht is to Go: it answers a status, and fills in what it was given.
type call = func(err **C.dht_error_t) C.dht_status
type question = func(out **C.char, err **C.dht_error_t) C.dht_status

// An effect tells what an outcome that nobody waited for may be.
type effect bool

const (
	reads  effect = false
	writes effect = true
)

// waitFor runs call, which blocks, and lets go of it when ctx ends; the call then ends by its own deadline, with its node, or
// by a brake, out of sight: one without a deadline needs a brake. The C texts in owned are freed when it has ended.
func waitFor[T any](ctx context.Context, n *Node, effect effect, call func(**C.dht_error_t) (T, C.dht_status),
	owned ...*C.char) (T, error) {
	type answer struct {
		value T
		err   error
	}
	run := func() answer {
		var raw *C.dht_error_t
		value, status := call(&raw)
		free(owned)
		err := n.failure(status, raw)
		runtime.KeepAlive(n)
		return answer{value, err}
	}
	if ctx.Done() == nil {
		got := run()
		return got.value, got.err
	}
	var none T
	if ctx.Err() != nil {
		free(owned)
		return none, ended(ctx, reads)
	}
	answers := make(chan answer, 1)
	go func() { answers <- run() }()
	select {
	case got := <-answers:
		return got.value, because(ctx, got.err)
	case <-ctx.Done():
		return none, ended(ctx, effect)
	}
}

// A brake ends a call of libdht that looks at it, soon after it was pulled.
type brake int32

func (b *brake) pull() { atomic.StoreInt32((*int32)(b), 1) }

// given is for C to look at, as long as the call that it is given to takes.
func (b *brake) given() *C.int32_t { return (*C.int32_t)(unsafe.Pointer(b)) }

func free(owned []*C.char) {
	for _, text := range owned {
		if text != nil { // Each call into C costs more than this look.
			C.free(unsafe.Pointer(text))
		}
	}
}

func (n *Node) wait(ctx context.Context, effect effect, c call, owned ...*C.char) error {
	_, err := waitFor(ctx, n, effect, func(raw **C.dht_error_t) (struct{}, C.dht_status) {
		return struct{}{}, c(raw)
	}, owned...)
	return err
}

// answer is the text that a call gives.
func (n *Node) answer(ctx context.Context, effect effect, ask question, owned ...*C.char) (string, error) {
	return waitFor(ctx, n, effect, func(raw **C.dht_error_t) (string, C.dht_status) {
		var out *C.char
		status := ask(&out, raw)
		if status != C.DHT_OK {
			return "", status
		}
		defer C.dht_string_free(out)
		return C.GoString(out), status
	}, owned...)
}

// ask reads the JSON that a call answers into out.
func (n *Node) ask(ctx context.Context, effect effect, out any, ask question, owned ...*C.char) error {
	answer, err := n.answer(ctx, effect, ask, owned...)
	if err != nil {
		return err
	}
	return decode(answer, out)
}

// tell is ask for what a node knows without waiting.
func (n *Node) tell(out any, ask question) error {
	return n.ask(context.Background(), reads, out, ask)
}

// flag is a call that answers yes or no.
func (n *Node) flag(ctx context.Context, effect effect, ask func(*C.bool, **C.dht_error_t) C.dht_status,
	owned ...*C.char) (bool, error) {
	return waitFor(ctx, n, effect, func(raw **C.dht_error_t) (bool, C.dht_status) {
		var flag C.bool
		status := ask(&flag, raw)
		return bool(flag), status
	}, owned...)
}

// given copies the bytes that a call gives; nil where it gives NULL.
func given(ask func(**C.uint8_t, *C.size_t) C.dht_status) ([]byte, C.dht_status) {
	var value *C.uint8_t
	var length C.size_t
	if status := ask(&value, &length); status != C.DHT_OK {
		return nil, status
	}
	return taken(value, length), C.DHT_OK
}

// taken copies bytes of the library and frees them.
func taken(value *C.uint8_t, length C.size_t) []byte {
	if value == nil {
		return nil
	}
	defer C.dht_bytes_free(value, length)
	found := make([]byte, int(length))
	copy(found, unsafe.Slice((*byte)(unsafe.Pointer(value)), int(length)))
	return found
}

// failure is the error of a status; nil for OK. It frees raw.
func (n *Node) failure(status C.dht_status, raw *C.dht_error_t) error {
	if status == C.DHT_OK {
		return nil
	}
	defer C.dht_error_free(raw)
	switch {
	case status == C.DHT_NOT_FOUND:
		return newError(ErrNotFound, "there is no such key", false)
	case status == C.DHT_INVALID_ARGUMENT && n.closed.Load():
		// The library does not know the handle any more; what it was, this side knows.
		return newError(ErrStopped, "the node was closed", bool(C.dht_error_maybe_applied(raw)))
	}
	return &Error{Code: int(status), MaybeApplied: bool(C.dht_error_maybe_applied(raw)),
		text: C.GoString(C.dht_error_message(raw))}
}

// ended is the error of a call that ctx ended.
func ended(ctx context.Context, effect effect) error {
	kind := ErrCancelled
	if late(ctx) {
		kind = ErrTimeout
	}
	err := newError(kind, ctx.Err().Error(), effect == writes)
	err.cause = ctx.Err()
	return err
}

// because adds that ctx had ended, where the library was faster to say that the deadline had passed.
func because(ctx context.Context, err error) error {
	var told *Error
	if !errors.As(err, &told) || told.Code != int(ErrTimeout) {
		return err
	}
	if ctx.Err() != nil {
		told.cause = ctx.Err()
	} else if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		// Its own timer comes a moment later.
		told.cause = context.DeadlineExceeded
	}
	return err
}

// cString is freed by the call that it is given to. A NUL inside would cut it short.
func cString(text string, otherwise kind) (*C.char, error) {
	if strings.IndexByte(text, 0) >= 0 {
		return nil, newError(otherwise, "the text holds a NUL", false)
	}
	return C.CString(text), nil
}

// keyOf is a copy that is freed by the call that it is given to. Its length says where it ends, not the NUL behind it.
func keyOf(key string) (*C.char, C.size_t) { return C.CString(key), C.size_t(len(key)) }

// bytesOf is a copy that is freed by the call that it is given to.
func bytesOf(data []byte) (*C.char, C.size_t) { return (*C.char)(C.CBytes(data)), C.size_t(len(data)) }

func octets(data *C.char) *C.uint8_t { return (*C.uint8_t)(unsafe.Pointer(data)) }

// textAndOptional are C texts, the second one NULL for nil.
func textAndOptional(text string, otherwise kind, options *string) (*C.char, *C.char, error) {
	t, err := cString(text, otherwise)
	if err != nil {
		return nil, nil, err
	}
	o, err := optional(options)
	if err != nil {
		free([]*C.char{t})
		return nil, nil, err
	}
	return t, o, nil
}

// optional is NULL for nil.
func optional(text *string) (*C.char, error) {
	if text == nil {
		return nil, nil
	}
	return cString(*text, ErrInvalidArgument)
}

// optionsOf makes the deadline of ctx the call's own, so that the work ends with it; nil if there is nothing to say.
func optionsOf(ctx context.Context, ttl time.Duration, consistency string) *string {
	options := map[string]any{}
	if ttl != 0 {
		options["ttl"] = ttl.Seconds()
	}
	if consistency != "" {
		options["consistency"] = consistency
	}
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		if left < time.Millisecond {
			left = time.Millisecond
		}
		if left > time.Hour {
			left = time.Hour
		}
		options["timeout"] = left.Seconds()
	}
	if len(options) == 0 {
		return nil
	}
	text, err := json.Marshal(options)
	if err != nil {
		panic(err) // Of finite numbers and texts: it cannot fail.
	}
	told := string(text)
	return &told
}

// timeoutOf is the time until the deadline of ctx, or otherwise, rounded up: the library must not end a call before ctx
// does, which would then not be the cause.
func timeoutOf(ctx context.Context, otherwise time.Duration) C.uint64_t {
	if deadline, ok := ctx.Deadline(); ok {
		otherwise = time.Until(deadline)
	}
	if otherwise <= 0 {
		return 0
	}
	return C.uint64_t((otherwise-1)/time.Millisecond + 1)
}

// undated ends when ctx is cancelled, but not by its deadline: for a call that is told the deadline and has to come to
// its end. To be released.
func undated(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx.Done() == nil || (ctx.Err() != nil && !late(ctx)) {
		return ctx, func() {}
	}
	if late(ctx) {
		return context.Background(), func() {}
	}
	waiting, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-ctx.Done():
			if !late(ctx) {
				cancel()
			}
		case <-waiting.Done():
		}
	}()
	return waiting, cancel
}

// late tells whether it was the deadline that ended ctx.
func late(ctx context.Context) bool { return errors.Is(ctx.Err(), context.DeadlineExceeded) }
