package dht

/*
#include <dht.h>
*/
import "C"

import "context"

// HashKey is the id of key on the ring, lower-case hexadecimal of ceil(HashBits / 4) digits; before Start too.
//
// Errors: ErrTooLarge.
func (n *Node) HashKey(key string) (string, error) {
	k, keyLen := keyOf(key)
	return n.answer(context.Background(), reads, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_hash_key_bytes(n.handle, octets(k), keyLen, out, err)
	}, k)
}

// Locate is the nodes that keep key, owner first, as this node sees the ring.
//
// Errors: as of HashKey; ErrNotStarted, ErrStopped, as of all that follow.
func (n *Node) Locate(key string) ([]NodeInfo, error) {
	var nodes []NodeInfo
	k, keyLen := keyOf(key)
	err := n.ask(context.Background(), reads, &nodes, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_locate_bytes(n.handle, octets(k), keyLen, out, err)
	}, k)
	return nodes, err
}

// LookupTrace is the way to the owner of key: it walks the ring as a lookup does, whatever this node's view says, and
// tells whom it asked. It takes RequestTimeout at most, also where ctx has longer.
//
// Errors: as of Locate; ErrNotJoined, ErrTimeout, ErrCancelled; ErrUnreachable if all ways ended at silent nodes.
func (n *Node) LookupTrace(ctx context.Context, key string) (LookupTrace, error) {
	var trace LookupTrace
	k, keyLen := keyOf(key)
	err := n.ask(ctx, reads, &trace, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_lookup_trace_bytes(n.handle, octets(k), keyLen, out, err)
	}, k)
	return trace, err
}

// Trace reads key and tells what every node did for that. What the read ended with is in the trace, not an error.
//
// Errors: ErrInvalidArgument for options that are wrong; as of Locate; ErrCancelled.
func (n *Node) Trace(ctx context.Context, key string, options GetOptions) (OperationTrace, error) {
	var trace OperationTrace
	o, err := optional(optionsOf(ctx, 0, options.Consistency))
	if err != nil {
		return trace, err
	}
	k, keyLen := keyOf(key)
	err = n.ask(ctx, reads, &trace, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_trace_bytes(n.handle, octets(k), keyLen, o, out, err)
	}, k, o)
	return trace, err
}

// Snapshot writes every record that this node keeps to a new file at path, while it goes on serving. The file is whole and
// synced, or not there. It holds this node's part of the ring: with as many nodes as ReplicationFactor, or fewer, that is
// everything; else take one from each node.
//
// Errors: ErrInvalidArgument if something is at path already, which stays; ErrStorage; ErrUnsupported on a client;
// ErrOverloaded while another snapshot or restore of this node is under way; ErrNotStarted, ErrStopped: no file is left then.
// ErrCancelled, ErrTimeout when ctx ends: it goes on by itself, and the file may be there later, as Error.MaybeApplied says.
func (n *Node) Snapshot(ctx context.Context, path string) (SnapshotInfo, error) {
	var info SnapshotInfo
	p, err := cString(path, ErrInvalidArgument)
	if err != nil {
		return info, err
	}
	err = n.ask(ctx, writes, &info, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_snapshot(n.handle, p, out, err)
	}, p)
	return info, err
}

// Restore brings the records of the snapshot at path into the ring of this node, which may be another than that it was taken
// of. Merges by version: what is newer in the ring stays. The whole file is checked before anything is restored. What was
// deleted after the snapshot, and longer ago than TombstoneGrace, comes back. Restoring again does no harm. A moment after
// ctx has ended no more is restored.
//
// Errors: ErrInvalidArgument if the file is no snapshot; ErrStorage if it cannot be read, is damaged, or of a newer release;
// ErrIncompatibleRing if it is of another cluster name; ErrTooLarge; ErrOverloaded while another snapshot or restore of this
// node is under way; ErrNotJoined; ErrNotStarted: nothing was restored. ErrStorage, ErrOverloaded, ErrNotJoined, ErrUnreachable,
// ErrTimeout, ErrMemoryFull if a quorum of some record's replicas did not take it within the time of a call, ErrStopped and
// ErrCancelled: a part may be restored. Of what is in both lists Error.MaybeApplied tells.
func (n *Node) Restore(ctx context.Context, path string) (RestoreInfo, error) {
	var info RestoreInfo
	p, err := cString(path, ErrInvalidArgument)
	if err != nil {
		return info, err
	}
	var left brake
	defer left.pull()
	err = n.ask(ctx, writes, &info, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_restore_until(n.handle, p, left.given(), out, err)
	}, p)
	return info, err
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

// FingerTable is the finger table of position 0, ascending: finger k is the node that owns position 0 + 2^k.
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

// Metrics is Statistics, Health and the number of members by state as text in Prometheus' exposition format, version
// 0.0.4: what a page that is scraped answers, as "text/plain; version=0.0.4". Every metric is called dht_ and the name of
// the statistic, with _seconds behind times and _total behind what is counted since the start. What calls took is in the
// summaries dht_store_duration_seconds and dht_lookup_duration_seconds, without quantiles if EnableMetrics is false.
//
// dht_misbehaving_peers_total has a label for each peer. Where untrusted ones can reach the node, drop it when scraping:
// who they say they are is for them to choose.
func (n *Node) Metrics() (string, error) {
	return n.answer(context.Background(), reads, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_metrics(n.handle, out, err)
	})
}
