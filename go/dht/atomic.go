package dht

/*
#include <stdlib.h>
#include <dht.h>
*/
import "C"

import (
	"context"
	"errors"
	"math"
	"strconv"
)

// CompareAndSwap stores the JSON of value under key, for ever, if what is there is as expected. If not, nothing is
// written, and the answer has what is there, which is no error.
//
// Errors: ErrInvalidValue if value, or what is expected, has no JSON; ErrInvalidArgument for what is no expectation; as
// Put.
func (n *Node) CompareAndSwap(ctx context.Context, key string, expected Expected, value any) (Swap, error) {
	return n.CompareAndSwapWith(ctx, key, expected, value, PutOptions{})
}

// CompareAndSwapWith is CompareAndSwap as options say.
func (n *Node) CompareAndSwapWith(ctx context.Context, key string, expected Expected, value any,
	options PutOptions) (Swap, error) {
	expects, err := expected.json()
	if err != nil {
		return Swap{}, err
	}
	e, err := cString(expects, ErrInvalidArgument)
	if err != nil {
		return Swap{}, err
	}
	k, keyLen := keyOf(key)
	return n.swap(ctx, value, options, func(v, o *C.char, out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_compare_and_swap_json(n.handle, octets(k), keyLen, e, v, o, out, err)
	}, k, e)
}

// CompareAndSwapBytes stores bytes under key if what is there is as expected.
func (n *Node) CompareAndSwapBytes(ctx context.Context, key string, expected Expected, value []byte,
	options PutOptions) (Swap, error) {
	var swap Swap
	expects, err := expected.json()
	if err != nil {
		return swap, err
	}
	e, o, err := textAndOptional(expects, ErrInvalidArgument, optionsOf(ctx, options.TTL, options.Consistency))
	if err != nil {
		return swap, err
	}
	k, keyLen := keyOf(key)
	v, valueLen := bytesOf(value)
	err = n.ask(ctx, writes, &swap, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_compare_and_swap_bytes(n.handle, octets(k), keyLen, e, octets(v), valueLen, o, out, err)
	}, k, v, e, o)
	return swap, err
}

// PutIfAbsent stores the JSON of value under key, for ever, if there is no value; else the answer has what is there.
// Errors as of Put.
func (n *Node) PutIfAbsent(ctx context.Context, key string, value any) (Swap, error) {
	return n.PutIfAbsentWith(ctx, key, value, PutOptions{})
}

// PutIfAbsentWith is PutIfAbsent as options say.
func (n *Node) PutIfAbsentWith(ctx context.Context, key string, value any, options PutOptions) (Swap, error) {
	k, keyLen := keyOf(key)
	return n.swap(ctx, value, options, func(v, o *C.char, out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_put_if_absent_json(n.handle, octets(k), keyLen, v, o, out, err)
	}, k)
}

// PutIfAbsentBytes stores bytes under key if there is no value; else the answer has what is there. Errors as of PutBytes.
func (n *Node) PutIfAbsentBytes(ctx context.Context, key string, value []byte, options PutOptions) (Swap, error) {
	return n.CompareAndSwapBytes(ctx, key, Absent(), value, options)
}

// swap takes over owned.
func (n *Node) swap(ctx context.Context, value any, options PutOptions,
	ask func(v, o *C.char, out **C.char, err **C.dht_error_t) C.dht_status, owned ...*C.char) (Swap, error) {
	var swap Swap
	v, o, err := valueAndOptions(ctx, value, options)
	if err != nil {
		free(owned)
		return swap, err
	}
	err = n.ask(ctx, writes, &swap, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return ask(v, o, out, err)
	}, append(owned, v, o)...)
	return swap, err
}

// valueAndOptions are C texts for a write within ctx.
func valueAndOptions(ctx context.Context, value any, options PutOptions) (*C.char, *C.char, error) {
	text, err := encode(value)
	if err != nil {
		return nil, nil, err
	}
	return textAndOptional(text, ErrInvalidValue, optionsOf(ctx, options.TTL, options.Consistency))
}

// Increment adds by to the integer under key, 0 if there is none, and answers the sum. The expiry of what is there stays.
//
// Errors: ErrWrongFormat if the value is no number, or a float; ErrInvalidValue if the sum is beyond 64 bits with sign:
// nothing was done. As Put.
func (n *Node) Increment(ctx context.Context, key string, by int64) (int64, error) {
	return n.IncrementWith(ctx, key, by, GetOptions{})
}

// IncrementWith is Increment as options say.
func (n *Node) IncrementWith(ctx context.Context, key string, by int64, options GetOptions) (int64, error) {
	var sum int64
	err := n.increment(ctx, key, strconv.FormatInt(by, 10), options, &sum)
	return sum, err
}

// IncrementFloat adds by to the number under key, 0 if there is none, which makes it a float, and answers the sum.
//
// Errors: ErrWrongFormat if the value is no number; ErrInvalidValue if by or the sum is not finite: nothing was done. As
// Put.
func (n *Node) IncrementFloat(ctx context.Context, key string, by float64) (float64, error) {
	return n.IncrementFloatWith(ctx, key, by, GetOptions{})
}

// IncrementFloatWith is IncrementFloat as options say.
func (n *Node) IncrementFloatWith(ctx context.Context, key string, by float64, options GetOptions) (float64, error) {
	if math.IsNaN(by) || math.IsInf(by, 0) {
		return 0, newError(ErrInvalidValue, "what is to be added must be finite", false)
	}
	var sum float64
	// With an exponent, so that it is a float also where it has no fraction.
	err := n.increment(ctx, key, strconv.FormatFloat(by, 'e', -1, 64), options, &sum)
	return sum, err
}

func (n *Node) increment(ctx context.Context, key, by string, options GetOptions, sum any) error {
	b, o, err := textAndOptional(by, ErrInvalidValue, optionsOf(ctx, 0, options.Consistency))
	if err != nil {
		return err
	}
	k, keyLen := keyOf(key)
	return n.ask(ctx, writes, sum, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_increment_bytes(n.handle, octets(k), keyLen, b, o, out, err)
	}, k, b, o)
}

// GetAndPut stores the JSON of value under key, for ever, and reads what was there before into out; false if there was
// none, and then out is left alone.
//
// Errors: ErrInvalidArgument if out is no pointer, or nil: nothing was done. ErrWrongFormat if what was there is bytes, or
// not of the type of out: the new value is stored nevertheless. As Put.
func (n *Node) GetAndPut(ctx context.Context, key string, value, out any) (bool, error) {
	return n.GetAndPutWith(ctx, key, value, out, PutOptions{})
}

// GetAndPutWith is GetAndPut as options say.
func (n *Node) GetAndPutWith(ctx context.Context, key string, value, out any, options PutOptions) (bool, error) {
	if err := checkOut(out); err != nil {
		return false, err
	}
	v, o, err := valueAndOptions(ctx, value, options)
	if err != nil {
		return false, err
	}
	k, keyLen := keyOf(key)
	before, err := waitFor(ctx, n, writes, func(raw **C.dht_error_t) (*string, C.dht_status) {
		var before *C.char
		status := C.dht_get_and_put_json(n.handle, octets(k), keyLen, v, o, &before, raw)
		if status != C.DHT_OK || before == nil {
			return nil, status
		}
		defer C.dht_string_free(before)
		told := C.GoString(before)
		return &told, status
	}, k, v, o)
	if err != nil || before == nil {
		return false, err
	}
	return true, taking(decode(*before, out))
}

// GetAndDelete deletes key and reads what was there into out.
//
// Errors: ErrInvalidArgument if out is no pointer, or nil: nothing was done. ErrNotFound if there was none; ErrWrongFormat
// if it was bytes, or not of the type of out: it is deleted nevertheless. As Put.
func (n *Node) GetAndDelete(ctx context.Context, key string, out any) error {
	return n.GetAndDeleteWith(ctx, key, out, GetOptions{})
}

// GetAndDeleteWith is GetAndDelete as options say.
func (n *Node) GetAndDeleteWith(ctx context.Context, key string, out any, options GetOptions) error {
	if err := checkOut(out); err != nil {
		return err
	}
	o, err := optional(optionsOf(ctx, 0, options.Consistency))
	if err != nil {
		return err
	}
	k, keyLen := keyOf(key)
	before, err := waitFor(ctx, n, writes, func(raw **C.dht_error_t) (string, C.dht_status) {
		var before *C.char
		status := C.dht_get_and_delete_json(n.handle, octets(k), keyLen, o, &before, raw)
		if status != C.DHT_OK {
			return "", status
		}
		defer C.dht_string_free(before)
		return C.GoString(before), status
	}, k, o)
	if err != nil {
		return err
	}
	return taking(decode(before, out))
}

// GetAndPutBytes stores bytes under key, and answers the bytes of what was there before, or the text of its JSON; nil if
// there was none. Errors as of PutBytes.
func (n *Node) GetAndPutBytes(ctx context.Context, key string, value []byte, options PutOptions) ([]byte, error) {
	o, err := optional(optionsOf(ctx, options.TTL, options.Consistency))
	if err != nil {
		return nil, err
	}
	k, keyLen := keyOf(key)
	v, valueLen := bytesOf(value)
	return waitFor(ctx, n, writes, func(raw **C.dht_error_t) ([]byte, C.dht_status) {
		return given(func(before **C.uint8_t, length *C.size_t) C.dht_status {
			return C.dht_get_and_put_bytes(n.handle, octets(k), keyLen, octets(v), valueLen, o, before, length, raw)
		})
	}, k, v, o)
}

// GetAndDeleteBytes deletes key, and answers the bytes of what was there, or the text of its JSON. Errors: ErrNotFound if
// there was none; as Delete.
func (n *Node) GetAndDeleteBytes(ctx context.Context, key string, options GetOptions) ([]byte, error) {
	o, err := optional(optionsOf(ctx, 0, options.Consistency))
	if err != nil {
		return nil, err
	}
	k, keyLen := keyOf(key)
	return waitFor(ctx, n, writes, func(raw **C.dht_error_t) ([]byte, C.dht_status) {
		return given(func(before **C.uint8_t, length *C.size_t) C.dht_status {
			return C.dht_get_and_delete_bytes(n.handle, octets(k), keyLen, o, before, length, raw)
		})
	}, k, o)
}

// taking adds that what was taken away is gone, whether or not it could be read.
func taking(err error) error {
	var told *Error
	if errors.As(err, &told) {
		told.MaybeApplied = true
	}
	return err
}
