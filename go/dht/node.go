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

// Node is one node of the ring, inside this process.
type Node struct {
	// A number, not an address: after dht_free it is found out, so calls under way need no lock.
	handle *C.dht_t
}

// New makes a node that is not started. Close it, or let the garbage collector stop it.
func New(config Config) (*Node, error) {
	text, err := config.json()
	if err != nil {
		return nil, err
	}
	configJSON := C.CString(text)
	defer C.free(unsafe.Pointer(configJSON))
	node := &Node{}
	var raw *C.dht_error_t
	if status := C.dht_new(configJSON, &node.handle, &raw); status != C.DHT_OK {
		return nil, failure(status, raw)
	}
	runtime.SetFinalizer(node, func(node *Node) { C.dht_free(node.handle) })
	return node, nil
}

// Start starts the node: without seeds it founds a ring; with seeds it returns after joining or after RequestTimeout,
// and goes on trying. A no-op if it runs.
func (n *Node) Start(ctx context.Context) error {
	return n.wait(ctx, false, func(err **C.dht_error_t) C.dht_status { return C.dht_start(n.handle, err) })
}

// Stop ends the node at once, within a second: to the ring, a crash. Later calls succeed.
func (n *Node) Stop() error {
	return n.wait(context.Background(), true, func(err **C.dht_error_t) C.dht_status { return C.dht_stop(n.handle, err) })
}

// Leave hands over, says goodbye and ends, within the deadline of ctx or 10 s. Later calls succeed.
func (n *Node) Leave(ctx context.Context) error {
	timeout := 10 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		timeout = time.Until(deadline)
	}
	ms := milliseconds(timeout)
	return n.wait(ctx, true, func(err **C.dht_error_t) C.dht_status { return C.dht_leave(n.handle, ms, err) })
}

// Close is Leave, then Stop, and gives the node back. A node that was never started closes too.
func (n *Node) Close() error {
	err := n.Leave(context.Background())
	if errors.Is(err, ErrNotStarted) {
		err = nil
	}
	runtime.SetFinalizer(n, nil)
	C.dht_free(n.handle)
	if errors.Is(err, ErrInvalidArgument) {
		return nil // It was closed before.
	}
	return err
}

// Join joins the ring of one of addresses, "host:port".
func (n *Node) Join(ctx context.Context, addresses ...string) error {
	all, err := cString(strings.Join(addresses, ","), codeInvalidArgument)
	if err != nil {
		return err
	}
	return n.wait(ctx, false, func(err **C.dht_error_t) C.dht_status {
		return C.dht_join(n.handle, all, err)
	}, all)
}

// WaitReady waits until the node is joined and has caught up, within the deadline of ctx or 30 s.
func (n *Node) WaitReady(ctx context.Context) error {
	timeout := 30 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		timeout = time.Until(deadline)
	}
	ms := milliseconds(timeout)
	return n.wait(ctx, false, func(err **C.dht_error_t) C.dht_status { return C.dht_wait_ready(n.handle, ms, err) })
}

// Put stores the JSON of value under key, for ever.
func (n *Node) Put(ctx context.Context, key string, value any) (PutOutcome, error) {
	return n.put(ctx, key, value, nil)
}

// PutWithTTL stores the JSON of value under key for ttl, which must be above 0.
func (n *Node) PutWithTTL(ctx context.Context, key string, value any, ttl time.Duration) (PutOutcome, error) {
	return n.put(ctx, key, value, map[string]any{"ttl": ttl.Seconds()})
}

func (n *Node) put(ctx context.Context, key string, value any, more map[string]any) (PutOutcome, error) {
	var outcome PutOutcome
	text, err := json.Marshal(value)
	if err != nil {
		return outcome, newError(codeInvalidValue, "INVALID_VALUE: "+err.Error(), false)
	}
	err = n.putText(ctx, key, string(text), more, &outcome)
	return outcome, err
}

func (n *Node) putText(ctx context.Context, key, text string, more map[string]any, outcome *PutOutcome) error {
	k, err := cString(key, codeInvalidArgument)
	if err != nil {
		return err
	}
	v, err := cString(text, codeInvalidValue)
	if err != nil {
		C.free(unsafe.Pointer(k))
		return err
	}
	options := optionsOf(ctx, more)
	return n.ask(ctx, true, outcome, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_put_with(n.handle, k, v, options, out, err)
	}, k, v, options)
}

// Get reads the JSON of key into out. ErrNotFound if it has no value.
func (n *Node) Get(ctx context.Context, key string, out any) error {
	return n.get(ctx, key, out, nil)
}

func (n *Node) get(ctx context.Context, key string, out any, more map[string]any) error {
	k, err := cString(key, codeInvalidArgument)
	if err != nil {
		return err
	}
	options := optionsOf(ctx, more)
	return n.ask(ctx, false, out, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_get_with(n.handle, k, options, out, err)
	}, k, options)
}

// PutBytes stores bytes under key.
func (n *Node) PutBytes(ctx context.Context, key string, value []byte) (PutOutcome, error) {
	var outcome PutOutcome
	k, v, options := C.CBytes([]byte(key)), C.CBytes(value), optionsOf(ctx, nil)
	err := n.ask(ctx, true, &outcome, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_put_bytes(n.handle, (*C.uint8_t)(k), C.size_t(len(key)), (*C.uint8_t)(v), C.size_t(len(value)),
			options, out, err)
	}, (*C.char)(k), (*C.char)(v), options)
	return outcome, err
}

// GetBytes reads the bytes of key, or the text of its JSON. ErrNotFound if it has no value.
func (n *Node) GetBytes(ctx context.Context, key string) ([]byte, error) {
	k, options := C.CBytes([]byte(key)), optionsOf(ctx, nil)
	return waitFor(ctx, n, false, func(raw **C.dht_error_t) ([]byte, C.dht_status) {
		var value *C.uint8_t
		var length C.size_t
		status := C.dht_get_bytes(n.handle, (*C.uint8_t)(k), C.size_t(len(key)), options, &value, &length, raw)
		if status != C.DHT_OK {
			return nil, status
		}
		defer C.dht_bytes_free(value, length)
		found := make([]byte, int(length))
		copy(found, unsafe.Slice((*byte)(unsafe.Pointer(value)), int(length)))
		return found, status
	}, (*C.char)(k), options)
}

// Delete deletes key; true if it had a value.
func (n *Node) Delete(ctx context.Context, key string) (bool, error) {
	return n.flag(ctx, true, key, func(k *C.char, out *C.bool, err **C.dht_error_t) C.dht_status {
		return C.dht_delete(n.handle, k, out, err)
	})
}

// Contains tells whether key has a value.
func (n *Node) Contains(ctx context.Context, key string) (bool, error) {
	return n.flag(ctx, false, key, func(k *C.char, out *C.bool, err **C.dht_error_t) C.dht_status {
		return C.dht_contains(n.handle, k, out, err)
	})
}

// TTL tells how long key still lives; false if it has no value or never expires.
func (n *Node) TTL(ctx context.Context, key string) (time.Duration, bool, error) {
	k, err := cString(key, codeInvalidArgument)
	if err != nil {
		return 0, false, err
	}
	left, err := waitFor(ctx, n, false, func(raw **C.dht_error_t) (int64, C.dht_status) {
		var left C.int64_t
		status := C.dht_ttl_ms(n.handle, k, &left, raw)
		return int64(left), status
	}, k)
	if err != nil || left < 0 {
		return 0, false, err
	}
	return time.Duration(left) * time.Millisecond, true, nil
}

// HashKey is the id of key on the ring, lower-case hexadecimal; before Start too.
func (n *Node) HashKey(key string) (string, error) {
	k, err := cString(key, codeInvalidArgument)
	if err != nil {
		return "", err
	}
	return waitFor(context.Background(), n, false, func(raw **C.dht_error_t) (string, C.dht_status) {
		return text(func(out **C.char) C.dht_status { return C.dht_hash_key(n.handle, k, out, raw) })
	}, k)
}

// NodeInfo is this node.
func (n *Node) NodeInfo() (NodeInfo, error) {
	var info NodeInfo
	err := n.tell(&info, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_node_info(n.handle, out, err)
	})
	return info, err
}

// Predecessor is the first other node before this node's position 0; nil alone.
func (n *Node) Predecessor() (*NodeInfo, error) {
	var info *NodeInfo
	err := n.tell(&info, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_predecessor(n.handle, out, err)
	})
	return info, err
}

// SuccessorList is the next distinct others clockwise; empty alone.
func (n *Node) SuccessorList() ([]NodeInfo, error) {
	var list []NodeInfo
	err := n.tell(&list, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_successor_list(n.handle, out, err)
	})
	return list, err
}

// Statistics is what was counted and measured.
func (n *Node) Statistics() (Statistics, error) {
	var all Statistics
	err := n.tell(&all, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_statistics(n.handle, out, err)
	})
	return all, err
}
