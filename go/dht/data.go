package dht

/*
#include <stdlib.h>
#include <dht.h>
*/
import "C"

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// PutOptions say how one write is done. The zero value is the node's configuration and no expiry; the deadline of the
// context bounds the call.
type PutOptions struct {
	// TTL is how long the value lives, rounded up to milliseconds; 0: for ever; below 0: ErrInvalidArgument.
	TTL time.Duration
	// Consistency is one, quorum or all: how many replicas have it before the call returns; empty: as configured.
	Consistency string
}

// GetOptions say how one read is done, or a write that stores no value of the caller's. The zero value is the node's
// configuration; the deadline of the context bounds the call.
type GetOptions struct {
	// Consistency is one, quorum or all: how many replicas are asked, or have what was done before the call returns;
	// empty: as configured.
	Consistency string
}

// Put stores the JSON of value under key, for ever. A json.RawMessage is checked and stored as it is; other values are
// written as encoding/json does it, but <, > and & stand for themselves. Note that encoding/json makes text of a
// []byte: for bytes there is PutBytes.
//
// Errors: ErrInvalidValue if value has no JSON; ErrInvalidArgument for options that are wrong; ErrTooLarge;
// ErrNotStarted: nothing was done. ErrStopped: the same, unless the node ended during the call: see Error.MaybeApplied, as for
// those that follow. ErrNotJoined, ErrOverloaded, ErrUnreachable, ErrQuorum, ErrTimeout, ErrMemoryFull, ErrStorage, ErrClockSkew,
// ErrCancelled.
func (n *Node) Put(ctx context.Context, key string, value any) (PutOutcome, error) {
	return n.PutWith(ctx, key, value, PutOptions{})
}

// PutWithTTL stores the JSON of value under key for ttl, which must be above 0. Errors as of Put.
func (n *Node) PutWithTTL(ctx context.Context, key string, value any, ttl time.Duration) (PutOutcome, error) {
	if ttl <= 0 {
		return PutOutcome{}, newError(ErrInvalidArgument, "ttl = "+ttl.String()+": must be above 0", false)
	}
	return n.PutWith(ctx, key, value, PutOptions{TTL: ttl})
}

// PutWith stores the JSON of value under key as options say. Errors as of Put.
func (n *Node) PutWith(ctx context.Context, key string, value any, options PutOptions) (PutOutcome, error) {
	text, err := encode(value)
	if err != nil {
		return PutOutcome{}, err
	}
	return n.putText(ctx, key, text, optionsOf(ctx, options.TTL, options.Consistency))
}

func (n *Node) putText(ctx context.Context, key, text string, options *string) (PutOutcome, error) {
	var outcome PutOutcome
	v, o, err := textAndOptional(text, ErrInvalidValue, options)
	if err != nil {
		return outcome, err
	}
	k, keyLen := keyOf(key)
	err = n.ask(ctx, writes, &outcome, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_put_json(n.handle, octets(k), keyLen, v, o, out, err)
	}, k, v, o)
	return outcome, err
}

// Get reads the JSON of key into out, as json.Unmarshal does; a *json.RawMessage gets the text as it was stored.
//
// Errors: ErrNotFound if there is no value; ErrWrongFormat if it is bytes, or not of the type of out;
// ErrInvalidArgument (also if out is no pointer, or nil), ErrTooLarge (the key), ErrNotStarted, ErrStopped, ErrNotJoined, ErrQuorum, ErrTimeout,
// ErrOverloaded, ErrCancelled.
func (n *Node) Get(ctx context.Context, key string, out any) error {
	return n.GetWith(ctx, key, out, GetOptions{})
}

// GetWith is Get as options say.
func (n *Node) GetWith(ctx context.Context, key string, out any, options GetOptions) error {
	if err := checkOut(out); err != nil {
		return err
	}
	text, err := n.getText(ctx, key, optionsOf(ctx, 0, options.Consistency))
	if err != nil {
		return err
	}
	return decode(text, out)
}

func (n *Node) getText(ctx context.Context, key string, options *string) (string, error) {
	o, err := optional(options)
	if err != nil {
		return "", err
	}
	k, keyLen := keyOf(key)
	return n.answer(ctx, reads, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_get_json(n.handle, octets(k), keyLen, o, out, err)
	}, k, o)
}

// PutBytes stores bytes under key, for ever. Errors as of Put, without ErrInvalidValue.
func (n *Node) PutBytes(ctx context.Context, key string, value []byte) (PutOutcome, error) {
	return n.PutBytesWith(ctx, key, value, PutOptions{})
}

// PutBytesWith is PutBytes as options say.
func (n *Node) PutBytesWith(ctx context.Context, key string, value []byte, options PutOptions) (PutOutcome, error) {
	var outcome PutOutcome
	o, err := optional(optionsOf(ctx, options.TTL, options.Consistency))
	if err != nil {
		return outcome, err
	}
	k, keyLen := keyOf(key)
	v, valueLen := bytesOf(value)
	err = n.ask(ctx, writes, &outcome, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_put_bytes(n.handle, octets(k), keyLen, octets(v), valueLen, o, out, err)
	}, k, v, o)
	return outcome, err
}

// GetBytes is the bytes of key, or the text of its JSON. Errors as of Get, without ErrWrongFormat.
func (n *Node) GetBytes(ctx context.Context, key string) ([]byte, error) {
	return n.GetBytesWith(ctx, key, GetOptions{})
}

// GetBytesWith is GetBytes as options say.
func (n *Node) GetBytesWith(ctx context.Context, key string, options GetOptions) ([]byte, error) {
	o, err := optional(optionsOf(ctx, 0, options.Consistency))
	if err != nil {
		return nil, err
	}
	k, keyLen := keyOf(key)
	return waitFor(ctx, n, reads, func(raw **C.dht_error_t) ([]byte, C.dht_status) {
		return given(func(value **C.uint8_t, length *C.size_t) C.dht_status {
			return C.dht_get_bytes(n.handle, octets(k), keyLen, o, value, length, raw)
		})
	}, k, o)
}

// Delete deletes key; true if it had a value. That it had none is no error. Errors as of Put.
func (n *Node) Delete(ctx context.Context, key string) (bool, error) {
	return n.DeleteWith(ctx, key, GetOptions{})
}

// DeleteWith is Delete as options say.
func (n *Node) DeleteWith(ctx context.Context, key string, options GetOptions) (bool, error) {
	o, err := optional(optionsOf(ctx, 0, options.Consistency))
	if err != nil {
		return false, err
	}
	k, keyLen := keyOf(key)
	return n.flag(ctx, writes, func(out *C.bool, err **C.dht_error_t) C.dht_status {
		return C.dht_delete_bytes(n.handle, octets(k), keyLen, o, out, err)
	}, k, o)
}

// Contains tells whether key has a value. Errors as of Get, without ErrNotFound and ErrWrongFormat.
func (n *Node) Contains(ctx context.Context, key string) (bool, error) {
	return n.ContainsWith(ctx, key, GetOptions{})
}

// ContainsWith is Contains as options say.
func (n *Node) ContainsWith(ctx context.Context, key string, options GetOptions) (bool, error) {
	o, err := optional(optionsOf(ctx, 0, options.Consistency))
	if err != nil {
		return false, err
	}
	k, keyLen := keyOf(key)
	return n.flag(ctx, reads, func(out *C.bool, err **C.dht_error_t) C.dht_status {
		return C.dht_contains_bytes(n.handle, octets(k), keyLen, o, out, err)
	}, k, o)
}

// GetVersioned is the value of key with its version and expiry. Errors as of Get, without ErrWrongFormat.
func (n *Node) GetVersioned(ctx context.Context, key string) (Versioned, error) {
	return n.GetVersionedWith(ctx, key, GetOptions{})
}

// GetVersionedWith is GetVersioned as options say.
func (n *Node) GetVersionedWith(ctx context.Context, key string, options GetOptions) (Versioned, error) {
	var found Versioned
	o, err := optional(optionsOf(ctx, 0, options.Consistency))
	if err != nil {
		return found, err
	}
	k, keyLen := keyOf(key)
	err = n.ask(ctx, reads, &found, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_get_versioned_bytes(n.handle, octets(k), keyLen, o, out, err)
	}, k, o)
	return found, err
}

// Expire lets what is under key live for ttl from now, above 0, whatever its expiry was; true if there is a value. Errors as
// of Put.
func (n *Node) Expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	return n.ExpireWith(ctx, key, ttl, GetOptions{})
}

// ExpireWith is Expire as options say.
func (n *Node) ExpireWith(ctx context.Context, key string, ttl time.Duration, options GetOptions) (bool, error) {
	if ttl <= 0 {
		return false, newError(ErrInvalidArgument, "ttl = "+ttl.String()+": must be above 0", false)
	}
	o, err := optional(optionsOf(ctx, 0, options.Consistency))
	if err != nil {
		return false, err
	}
	k, keyLen := keyOf(key)
	ms := C.uint64_t((ttl + time.Millisecond - 1) / time.Millisecond)
	return n.flag(ctx, writes, func(out *C.bool, err **C.dht_error_t) C.dht_status {
		return C.dht_expire_bytes(n.handle, octets(k), keyLen, ms, o, out, err)
	}, k, o)
}

// Persist lets what is under key live for ever; true if there is a value that would have expired. Errors as of Put.
func (n *Node) Persist(ctx context.Context, key string) (bool, error) {
	return n.PersistWith(ctx, key, GetOptions{})
}

// PersistWith is Persist as options say.
func (n *Node) PersistWith(ctx context.Context, key string, options GetOptions) (bool, error) {
	o, err := optional(optionsOf(ctx, 0, options.Consistency))
	if err != nil {
		return false, err
	}
	k, keyLen := keyOf(key)
	return n.flag(ctx, writes, func(out *C.bool, err **C.dht_error_t) C.dht_status {
		return C.dht_persist_bytes(n.handle, octets(k), keyLen, o, out, err)
	}, k, o)
}

// TTL tells how long key still lives, in whole milliseconds; false if it has no value or never expires. It takes
// RequestTimeout at most, also where ctx has longer. Errors as of Contains.
func (n *Node) TTL(ctx context.Context, key string) (time.Duration, bool, error) {
	k, keyLen := keyOf(key)
	left, err := waitFor(ctx, n, reads, func(raw **C.dht_error_t) (int64, C.dht_status) {
		var left C.int64_t
		status := C.dht_ttl_ms_bytes(n.handle, octets(k), keyLen, &left, raw)
		return int64(left), status
	}, k)
	if err != nil || left < 0 {
		return 0, false, err
	}
	return time.Duration(left) * time.Millisecond, true, nil
}

// encode is the JSON of value.
func encode(value any) (string, error) {
	if raw, ok := value.(json.RawMessage); ok {
		return string(raw), nil // The library checks it and keeps it as it is.
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		wrong := newError(ErrInvalidValue, err.Error(), false)
		wrong.cause = err
		return "", wrong
	}
	return string(bytes.TrimSuffix(text.Bytes(), []byte("\n"))), nil
}

// checkOut says before anything is done that nothing could be read into out.
func checkOut(out any) error {
	if to := reflect.ValueOf(out); to.Kind() != reflect.Pointer || to.IsNil() {
		return newError(ErrInvalidArgument, fmt.Sprintf("out is %T: must be a pointer, and not nil", out), false)
	}
	return nil
}

// decode reads JSON into out.
func decode(text string, out any) error {
	if raw, ok := out.(*json.RawMessage); ok && raw != nil {
		*raw = json.RawMessage(text)
		return nil
	}
	if err := json.Unmarshal([]byte(text), out); err != nil {
		wrong := newError(ErrWrongFormat, "the JSON value is not of the type asked for: "+err.Error(), false)
		wrong.cause = err
		return wrong
	}
	return nil
}
