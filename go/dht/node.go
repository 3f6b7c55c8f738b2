package dht

/*
#include <stdlib.h>
#include <dht.h>
*/
import "C"

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"
)

// Version is the release of the library that is linked, such as "0.1.0".
func Version() string { return C.GoString(C.dht_version()) }

// Node is one node of the ring, inside this process. Its methods may be called from many goroutines at once. Make it
// with New; it is not to be copied.
type Node struct {
	// A number, not an address: after dht_free it is found out, so calls under way need no lock.
	handle *C.dht_t
	closed atomic.Bool
}

// New makes a node that is not started. Close it; one that is forgotten is stopped by the garbage collector.
//
// Errors: ErrConfig naming key, value and bound, also for a Config that does not come from DefaultConfig;
// ErrInsecure; ErrOverloaded if there are too many nodes.
func New(config Config) (*Node, error) {
	text, err := config.json()
	if err != nil {
		return nil, err
	}
	return newNode(text)
}

func newNode(config string) (*Node, error) {
	text, err := cString(config, ErrConfig)
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(text))
	node := &Node{}
	var raw *C.dht_error_t
	if err := node.failure(C.dht_new(text, &node.handle, &raw), raw); err != nil {
		return nil, err
	}
	runtime.SetFinalizer(node, func(node *Node) {
		handle := node.handle
		go C.dht_free(handle) // Up to a second, for which other finalizers do not wait.
	})
	return node, nil
}

// Start starts the node: without seeds it founds a ring; with seeds it returns after joining or after RequestTimeout,
// and goes on trying. A no-op if it runs. If ctx ends it before, the node may still start; Close ends it all the same.
//
// Errors: ErrAddress; ErrStorage for a DataDir that cannot be used; ErrConfig for one of another node or ring, and for
// certificates; ErrInsecure for a name that resolves beyond loopback; ErrIncompatibleRing, ErrAuth, ErrNodeIDInUse,
// ErrRingFull, ErrClockSkew if the ring refuses: nothing runs, and it may be started again. ErrStopped after Stop, Leave or
// Close.
func (n *Node) Start(ctx context.Context) error {
	return n.wait(ctx, writes, func(err **C.dht_error_t) C.dht_status { return C.dht_start(n.handle, err) })
}

// Stop ends the node at once, within a second, without hand-over or goodbye: to the ring, a crash. Later calls succeed.
//
// Errors: ErrNotStarted.
func (n *Node) Stop() error {
	return n.wait(context.Background(), writes, func(err **C.dht_error_t) C.dht_status {
		return n.over(C.dht_stop(n.handle, err), err)
	})
}

// Leave hands over, says goodbye and ends, within the deadline of ctx or 10 s; it returns when the node has left, a moment
// after the deadline at most. Later calls succeed.
//
// Errors: ErrTimeout if not everything was handed over: the node has ended nevertheless, and with a DataDir may come back
// with its data. ErrStopped if it was stopped meanwhile, before everything was handed over. ErrCancelled: it may still be
// leaving, or, if ctx was cancelled before, runs on. ErrNotStarted.
func (n *Node) Leave(ctx context.Context) error {
	ms := timeoutOf(ctx, 10*time.Second)
	// The deadline is the library's, which leaves nevertheless; who waited no longer would not know when.
	waiting, release := undated(ctx)
	defer release()
	return because(ctx, n.wait(waiting, writes, func(err **C.dht_error_t) C.dht_status {
		return n.over(C.dht_leave(n.handle, ms, err), err)
	}))
}

// over makes a success of ending what was closed before.
func (n *Node) over(status C.dht_status, err **C.dht_error_t) C.dht_status {
	if status == C.DHT_INVALID_ARGUMENT && n.closed.Load() {
		C.dht_error_free(*err)
		*err = nil
		return C.DHT_OK
	}
	return status
}

// Close is Leave, then Stop, and gives the node back. Calls under way end with ErrStopped, as later ones do; later
// Close, Leave and Stop succeed. A node that was never started closes too.
//
// Errors: ErrTimeout if not everything was handed over, ErrStopped if it was stopped before that; the node is closed
// nevertheless.
func (n *Node) Close() error {
	err := n.Leave(context.Background())
	if errors.Is(err, ErrNotStarted) {
		err = nil
	}
	n.closed.Store(true)
	runtime.SetFinalizer(n, nil)
	C.dht_free(n.handle)
	return err
}

// Join joins the ring of one of addresses, "host:port", and returns when this node is active there; data of both rings
// merges by version. A no-op in the ring it is in. A ring must have let it in within RequestTimeout; copying may take
// RequestTimeout × (MaxRetries + 1) in all.
//
// Errors: ErrInvalidArgument for none, for what is no address and for this node's own alone; ErrAddress;
// ErrUnreachable; ErrIncompatibleRing, ErrAuth, ErrClockSkew, ErrNodeIDInUse, ErrRingFull: the node stays where it was.
// ErrOverloaded if those that answer have too much to do.
// ErrTimeout if it was let in and is still copying. ErrCancelled: it may still join. ErrNotStarted, ErrStopped.
func (n *Node) Join(ctx context.Context, addresses ...string) error {
	all, err := cString(strings.Join(addresses, ","), ErrInvalidArgument)
	if err != nil {
		return err
	}
	return n.wait(ctx, writes, func(err **C.dht_error_t) C.dht_status {
		return C.dht_join(n.handle, all, err)
	}, all)
}

// WaitReady waits until the node is joined, agrees with its neighbours on who is there and has caught up with all that
// it should hold, within the deadline of ctx or 30 s.
//
// Errors: ErrTimeout, ErrCancelled, ErrNotStarted, ErrStopped.
func (n *Node) WaitReady(ctx context.Context) error {
	ms := timeoutOf(ctx, 30*time.Second)
	return n.wait(ctx, reads, func(err **C.dht_error_t) C.dht_status { return C.dht_wait_ready(n.handle, ms, err) })
}
