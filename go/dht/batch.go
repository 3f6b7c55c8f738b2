package dht

/*
#include <stdlib.h>
#include <dht.h>
*/
import "C"

import (
	"context"
	"encoding/json"
	"time"
)

// PutOptions says how one write is made; the zero value is the node's default.
type PutOptions struct {
	// TTL is how long the value lives; 0: for ever.
	TTL time.Duration
	// Consistency is one, quorum or all; empty: the node's.
	Consistency string
}

// GetOptions says how one read is made; the zero value is the node's default.
type GetOptions struct {
	// Consistency is one, quorum or all; empty: the node's.
	Consistency string
}

func (o GetOptions) more() map[string]any {
	more := map[string]any{}
	if o.Consistency != "" {
		more["consistency"] = o.Consistency
	}
	return more
}

func (o PutOptions) more() map[string]any {
	more := GetOptions{o.Consistency}.more()
	if o.TTL != 0 {
		more["ttl"] = o.TTL.Seconds()
	}
	return more
}

// PutWith stores the JSON of value under key.
func (n *Node) PutWith(ctx context.Context, key string, value any, options PutOptions) (PutOutcome, error) {
	return n.put(ctx, key, value, options.more())
}

// GetWith reads the JSON of key into out. ErrNotFound if it has no value.
func (n *Node) GetWith(ctx context.Context, key string, out any, options GetOptions) error {
	return n.get(ctx, key, out, options.more())
}

// Result is what became of one key of a batch.
type Result[T any] struct {
	// Value is what the operation answered; the zero value if it failed.
	Value T
	// Err is nil where it went well.
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
	r.Value = told.OK
	if told.Error != nil {
		r.Err = newError(told.Error.Code, told.Error.Message, told.Error.MaybeApplied)
	}
	return nil
}

// PutMany stores the JSON of each value under its key, grouped per node, one message each. What became of each key is in
// its result; the error is for the batch as a whole, and then nothing was done.
func (n *Node) PutMany(ctx context.Context, entries map[string]any) (map[string]Result[PutOutcome], error) {
	text, err := json.Marshal(entries)
	if err != nil {
		return nil, newError(codeInvalidValue, "INVALID_VALUE: "+err.Error(), false)
	}
	return many[PutOutcome](ctx, n, true, string(text), func(in *C.char, out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_put_many(n.handle, in, out, err)
	})
}

// GetMany reads the JSON of many keys; those without a value are not in the answer.
func (n *Node) GetMany(ctx context.Context, keys ...string) (map[string]Result[json.RawMessage], error) {
	return many[json.RawMessage](ctx, n, false, list(keys),
		func(in *C.char, out **C.char, err **C.dht_error_t) C.dht_status {
			return C.dht_get_many(n.handle, in, out, err)
		})
}

// DeleteMany deletes many keys; the value of each is true if it had one.
func (n *Node) DeleteMany(ctx context.Context, keys ...string) (map[string]Result[bool], error) {
	return many[bool](ctx, n, true, list(keys), func(in *C.char, out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_delete_many(n.handle, in, out, err)
	})
}

func many[T any](ctx context.Context, n *Node, writes bool, input string,
	ask func(*C.char, **C.char, **C.dht_error_t) C.dht_status) (map[string]Result[T], error) {
	in, err := cString(input, codeInvalidArgument)
	if err != nil {
		return nil, err
	}
	results := map[string]Result[T]{}
	err = n.ask(ctx, writes, &results, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return ask(in, out, err)
	}, in)
	if err != nil {
		return nil, err
	}
	return results, nil
}

func list(keys []string) string {
	if keys == nil {
		keys = []string{}
	}
	text, err := json.Marshal(keys)
	if err != nil {
		return "[]" // Texts only: it cannot fail.
	}
	return string(text)
}
