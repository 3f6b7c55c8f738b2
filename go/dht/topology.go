package dht

/*
#include <dht.h>
*/
import "C"

import "context"

// HashKey is the id of key on the ring, lower-case hexadecimal of ceil(HashBits / 4) digits; before Start too.
//
// Errors: ErrTooLarge; ErrInvalidArgument for a key that is not UTF-8 or holds a NUL.
func (n *Node) HashKey(key string) (string, error) {
	k, err := cString(key, ErrInvalidArgument)
	if err != nil {
		return "", err
	}
	return n.answer(context.Background(), reads, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_hash_key(n.handle, k, out, err)
	}, k)
}

// Locate is the nodes that keep key, owner first, as this node sees the ring.
//
// Errors: as of HashKey; ErrNotStarted, ErrStopped, as of all that follow.
func (n *Node) Locate(key string) ([]NodeInfo, error) {
	var nodes []NodeInfo
	k, err := cString(key, ErrInvalidArgument)
	if err != nil {
		return nil, err
	}
	err = n.ask(context.Background(), reads, &nodes, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_locate(n.handle, k, out, err)
	}, k)
	return nodes, err
}

// LookupTrace is the way to the owner of key: it walks the ring as a lookup does, whatever this node's view says, and
// tells whom it asked. It takes RequestTimeout at most.
//
// Errors: as of Locate; ErrNotJoined, ErrTimeout, ErrCancelled; ErrUnreachable if all ways ended at silent nodes.
func (n *Node) LookupTrace(ctx context.Context, key string) (LookupTrace, error) {
	var trace LookupTrace
	k, err := cString(key, ErrInvalidArgument)
	if err != nil {
		return trace, err
	}
	err = n.ask(ctx, reads, &trace, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_lookup_trace(n.handle, k, out, err)
	}, k)
	return trace, err
}

// NodeInfo is this node. Its Address is what Join of others takes.
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

// SuccessorList is the next distinct others clockwise, at most SuccessorListSize; empty alone.
func (n *Node) SuccessorList() ([]NodeInfo, error) {
	var list []NodeInfo
	err := n.tell(&list, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_successor_list(n.handle, out, err)
	})
	return list, err
}

// FingerTable is the fingers of position 0 that are known, ascending.
func (n *Node) FingerTable() ([]Finger, error) {
	var fingers []Finger
	err := n.tell(&fingers, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_finger_table(n.handle, out, err)
	})
	return fingers, err
}

// Ring is the ring as this node sees it.
func (n *Node) Ring() (RingInfo, error) {
	var ring RingInfo
	err := n.tell(&ring, func(out **C.char, err **C.dht_error_t) C.dht_status { return C.dht_ring(n.handle, out, err) })
	return ring, err
}

// Members is all nodes that this node remembers, those that are gone included.
func (n *Node) Members() ([]NodeInfo, error) {
	var nodes []NodeInfo
	err := n.tell(&nodes, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_members(n.handle, out, err)
	})
	return nodes, err
}

// Statistics is what was counted and measured.
func (n *Node) Statistics() (Statistics, error) {
	var all Statistics
	err := n.tell(&all, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_statistics(n.handle, out, err)
	})
	return all, err
}

// Health tells whether this node and its part of the ring are well.
func (n *Node) Health() (Health, error) {
	var health Health
	err := n.tell(&health, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_health(n.handle, out, err)
	})
	return health, err
}
