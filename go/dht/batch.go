package dht

/*
#include <dht.h>
*/
import "C"

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Result is what became of one key of a batch.
type Result[T any] struct {
	// Value is what the operation answered; the zero value if it failed.
	Value T
	// Err is nil where it went well, else an *Error.
	Err error
}

// UnmarshalJSON reads {"ok": value} or {"error": {…}}.
func (r *Result[T]) UnmarshalJSON(text []byte) error {
	var told struct {
		OK    T `json:"ok"`
		Error *struct {
			Code         int    `json:"code"`
			Message      string `json:"message"`
			MaybeApplied bool   `json:"maybe_applied"`
		} `json:"error"`
	}
	if err := json.Unmarshal(text, &told); err != nil {
		return err
	}
	r.Value, r.Err = told.OK, nil
	if told.Error != nil {
		name := names[kind(told.Error.Code)]
		r.Err = &Error{Code: told.Error.Code, MaybeApplied: told.Error.MaybeApplied, text: name + ": " + told.Error.Message}
	}
	return nil
}

// PutMany stores the JSON of each value under its key, for ever, grouped by the nodes concerned. What became of each
// key is in its result; an error is of the batch as a whole, and then nothing was done unless Error.MaybeApplied.
//
// Errors: ErrInvalidValue, ErrInvalidArgument (a key that is not UTF-8), ErrNotStarted, ErrStopped. ErrTimeout and
// ErrCancelled of ctx: see Error.MaybeApplied.
func (n *Node) PutMany(ctx context.Context, entries map[string]any) (map[string]Result[PutOutcome], error) {
	return n.PutManyWith(ctx, PutOptions{}, entries)
}

// PutManyWith is PutMany as options say; the deadline of the context bounds the whole batch.
func (n *Node) PutManyWith(ctx context.Context, options PutOptions,
	entries map[string]any) (map[string]Result[PutOutcome], error) {
	text, err := objectOf(entries)
	if err != nil {
		return nil, err
	}
	return n.putMany(ctx, text, options)
}

// objectOf is the JSON object of entries. It is put together here, since encoding/json would write a json.RawMessage
// anew, without its white space, and what is put is stored as it is.
func objectOf(entries map[string]any) (string, error) {
	var object strings.Builder
	next := byte('{')
	for key, value := range entries {
		if err := checkKey(key); err != nil {
			return "", err
		}
		name, err := encode(key)
		if err != nil {
			return "", err
		}
		text, err := encode(value)
		if err != nil {
			return "", err
		}
		// Else a text like 1,"x":2 would become an entry of its own.
		if !json.Valid([]byte(text)) || !utf8.ValidString(text) {
			return "", newError(ErrInvalidValue, fmt.Sprintf("the value of %q is no JSON", key), false)
		}
		object.WriteByte(next)
		object.WriteString(name)
		object.WriteByte(':')
		object.WriteString(text)
		next = ','
	}
	if next == '{' {
		return "{}", nil
	}
	object.WriteByte('}')
	return object.String(), nil
}

func (n *Node) putMany(ctx context.Context, entries string,
	options PutOptions) (map[string]Result[PutOutcome], error) {
	return many[PutOutcome](ctx, n, writes, entries, optionsOf(ctx, options.TTL, options.Consistency),
		func(in, o *C.char, out **C.char, err **C.dht_error_t) C.dht_status {
			return C.dht_put_many_with(n.handle, in, o, out, err)
		})
}

// GetMany reads the JSON of many keys. Keys without a value are not in the answer; a value that is bytes is
// ErrWrongFormat in its result: see GetManyVersioned.
//
// Errors: ErrInvalidArgument (a key that is not UTF-8), ErrNotStarted, ErrStopped, ErrTimeout, ErrCancelled.
func (n *Node) GetMany(ctx context.Context, keys ...string) (map[string]Result[json.RawMessage], error) {
	return n.GetManyWith(ctx, GetOptions{}, keys...)
}

// GetManyWith is GetMany as options say; the deadline of the context bounds the whole batch.
func (n *Node) GetManyWith(ctx context.Context, options GetOptions,
	keys ...string) (map[string]Result[json.RawMessage], error) {
	text, err := listOf(keys)
	if err != nil {
		return nil, err
	}
	return n.getMany(ctx, text, options)
}

func (n *Node) getMany(ctx context.Context, keys string,
	options GetOptions) (map[string]Result[json.RawMessage], error) {
	return many[json.RawMessage](ctx, n, reads, keys, optionsOf(ctx, 0, options.Consistency),
		func(in, o *C.char, out **C.char, err **C.dht_error_t) C.dht_status {
			return C.dht_get_many_with(n.handle, in, o, out, err)
		})
}

// GetManyVersioned reads many keys, bytes as well as JSON, each value with its version and expiry. Keys without a value are
// not in the answer. Errors as of GetMany, without ErrWrongFormat.
func (n *Node) GetManyVersioned(ctx context.Context, keys ...string) (map[string]Result[Versioned], error) {
	return n.GetManyVersionedWith(ctx, GetOptions{}, keys...)
}

// GetManyVersionedWith is GetManyVersioned as options say; the deadline of the context bounds the whole batch.
func (n *Node) GetManyVersionedWith(ctx context.Context, options GetOptions,
	keys ...string) (map[string]Result[Versioned], error) {
	text, err := listOf(keys)
	if err != nil {
		return nil, err
	}
	return many[Versioned](ctx, n, reads, text, optionsOf(ctx, 0, options.Consistency),
		func(in, o *C.char, out **C.char, err **C.dht_error_t) C.dht_status {
			return C.dht_get_many_versioned(n.handle, in, o, out, err)
		})
}

// DeleteMany deletes many keys; the value of each is true if it had one. Errors as of PutMany.
func (n *Node) DeleteMany(ctx context.Context, keys ...string) (map[string]Result[bool], error) {
	return n.DeleteManyWith(ctx, GetOptions{}, keys...)
}

// DeleteManyWith is DeleteMany as options say; the deadline of the context bounds the whole batch.
func (n *Node) DeleteManyWith(ctx context.Context, options GetOptions,
	keys ...string) (map[string]Result[bool], error) {
	text, err := listOf(keys)
	if err != nil {
		return nil, err
	}
	return n.deleteMany(ctx, text, options)
}

func (n *Node) deleteMany(ctx context.Context, keys string, options GetOptions) (map[string]Result[bool], error) {
	return many[bool](ctx, n, writes, keys, optionsOf(ctx, 0, options.Consistency),
		func(in, o *C.char, out **C.char, err **C.dht_error_t) C.dht_status {
			return C.dht_delete_many_with(n.handle, in, o, out, err)
		})
}

func many[T any](ctx context.Context, n *Node, effect effect, input string, options *string,
	ask func(in, o *C.char, out **C.char, err **C.dht_error_t) C.dht_status) (map[string]Result[T], error) {
	in, o, err := textAndOptional(input, ErrInvalidArgument, options)
	if err != nil {
		return nil, err
	}
	results := map[string]Result[T]{}
	err = n.ask(ctx, effect, &results, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return ask(in, o, out, err)
	}, in, o)
	if err != nil {
		return nil, err
	}
	return results, nil
}

func listOf(keys []string) (string, error) {
	for _, key := range keys {
		if err := checkKey(key); err != nil {
			return "", err
		}
	}
	if keys == nil {
		keys = []string{}
	}
	return encode(keys)
}

// checkKey refuses what encoding/json would change without a word.
func checkKey(key string) error {
	if !utf8.ValidString(key) {
		return newError(ErrInvalidArgument, fmt.Sprintf("the key %q of a batch is not UTF-8; go by single keys", key), false)
	}
	return nil
}
