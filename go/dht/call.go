package dht

/*
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
	"time"
	"unsafe"
)

type call = func(err **C.dht_error_t) C.dht_status
type question = func(out **C.char, err **C.dht_error_t) C.dht_status

// waitFor runs call, which blocks, and lets go of it when ctx ends; the call then ends by its own deadline, out of
// sight. The C texts in owned are freed when it has ended.
func waitFor[T any](ctx context.Context, n *Node, writes bool, call func(**C.dht_error_t) (T, C.dht_status),
	owned ...*C.char) (T, error) {
	type answer struct {
		value T
		err   error
	}
	run := func() answer {
		var raw *C.dht_error_t
		value, status := call(&raw)
		runtime.KeepAlive(n)
		for _, text := range owned {
			C.free(unsafe.Pointer(text))
		}
		if status != C.DHT_OK {
			var none T
			return answer{none, failure(status, raw)}
		}
		return answer{value, nil}
	}
	if ctx.Done() == nil {
		got := run()
		return got.value, got.err
	}
	if ctx.Err() != nil {
		for _, text := range owned {
			C.free(unsafe.Pointer(text))
		}
		var none T
		return none, ended(ctx, false)
	}
	answers := make(chan answer, 1)
	go func() { answers <- run() }()
	select {
	case got := <-answers:
		return got.value, got.err
	case <-ctx.Done():
		var none T
		return none, ended(ctx, writes)
	}
}

func (n *Node) wait(ctx context.Context, writes bool, c call, owned ...*C.char) error {
	_, err := waitFor(ctx, n, writes, func(raw **C.dht_error_t) (struct{}, C.dht_status) {
		return struct{}{}, c(raw)
	}, owned...)
	return err
}

// ask reads the JSON that a call answers into out.
func (n *Node) ask(ctx context.Context, writes bool, out any, ask question, owned ...*C.char) error {
	answer, err := waitFor(ctx, n, writes, func(raw **C.dht_error_t) (string, C.dht_status) {
		return text(func(out **C.char) C.dht_status { return ask(out, raw) })
	}, owned...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(answer), out); err != nil {
		wrong := newError(codeWrongFormat, "WRONG_FORMAT: the JSON value is not of the type asked for: "+err.Error(), false)
		wrong.cause = err
		return wrong
	}
	return nil
}

func (n *Node) tell(out any, ask question) error {
	return n.ask(context.Background(), false, out, ask)
}

func (n *Node) flag(ctx context.Context, writes bool, key string,
	ask func(*C.char, *C.bool, **C.dht_error_t) C.dht_status) (bool, error) {
	k, err := cString(key, codeInvalidArgument)
	if err != nil {
		return false, err
	}
	return waitFor(ctx, n, writes, func(raw **C.dht_error_t) (bool, C.dht_status) {
		var flag C.bool
		status := ask(k, &flag, raw)
		return bool(flag), status
	}, k)
}

func text(ask func(out **C.char) C.dht_status) (string, C.dht_status) {
	var out *C.char
	status := ask(&out)
	if status != C.DHT_OK {
		return "", status
	}
	defer C.dht_string_free(out)
	return C.GoString(out), status
}

func failure(status C.dht_status, raw *C.dht_error_t) error {
	if status == C.DHT_NOT_FOUND {
		return newError(int(status), "NOT_FOUND", false)
	}
	defer C.dht_error_free(raw)
	return newError(int(status), C.GoString(C.dht_error_message(raw)), bool(C.dht_error_maybe_applied(raw)))
}

func ended(ctx context.Context, writes bool) error {
	code, name := codeCancelled, "CANCELLED"
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		code, name = codeTimeout, "TIMEOUT"
	}
	err := newError(code, name+": "+ctx.Err().Error(), writes)
	err.cause = ctx.Err()
	return err
}

// cString is freed by the call that it is given to. A NUL inside would cut it short.
func cString(text string, otherwise int) (*C.char, error) {
	if strings.IndexByte(text, 0) >= 0 {
		return nil, newError(otherwise, names[kind(otherwise)]+": the text holds a NUL; use PutBytes and GetBytes", false)
	}
	return C.CString(text), nil
}

// optionsOf makes the deadline of ctx the call's own, so that the work ends with it.
func optionsOf(ctx context.Context, more map[string]any) *C.char {
	options := map[string]any{}
	for name, value := range more {
		options[name] = value
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
		return nil // Numbers only: it cannot fail.
	}
	return C.CString(string(text))
}

func milliseconds(time time.Duration) C.uint64_t {
	if ms := time.Milliseconds(); ms > 0 {
		return C.uint64_t(ms)
	}
	return 0
}
