package dht

/*
#include <stdlib.h>
#include <dht.h>
*/
import "C"

import "context"

// RingNode is a member with its positions on the ring, and the share of the key space that it owns.
type RingNode struct {
	NodeInfo
	Positions []string `json:"positions"`
	Share     float64  `json:"share"`
}

// Ring is the ring as this node sees it.
type Ring struct {
	HashBits          int `json:"hash_bits"`
	SlotBits          int `json:"slot_bits"`
	ReplicationFactor int `json:"replication_factor"`
	// View is a fingerprint: nodes that show the same one know the same members.
	View  string     `json:"view"`
	Nodes []RingNode `json:"nodes"`
}

// Finger is one entry of the finger table: Node owns Start, which is 2^Index after this node's position 0.
type Finger struct {
	Index int      `json:"index"`
	Start string   `json:"start"`
	Node  NodeInfo `json:"node"`
}

// Health tells whether the node is well; a readiness probe asks for the first three.
type Health struct {
	Joined          bool `json:"joined"`
	HandedOver      bool `json:"handed_over"`
	FullyReplicated bool `json:"fully_replicated"`
	// UnderReplicatedSlots lack copies, of those that this node owns; BytesToGo are still to be copied.
	UnderReplicatedSlots uint64 `json:"under_replicated_slots"`
	BytesToGo            uint64 `json:"bytes_to_go"`
	StorageOK            bool   `json:"storage_ok"`
}

// Locate is the nodes that keep key, its owner first.
func (n *Node) Locate(key string) ([]NodeInfo, error) {
	k, err := cString(key, codeInvalidArgument)
	if err != nil {
		return nil, err
	}
	var nodes []NodeInfo
	err = n.ask(context.Background(), false, &nodes, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_locate(n.handle, k, out, err)
	}, k)
	return nodes, err
}

// Ring is the ring as this node sees it.
func (n *Node) Ring() (Ring, error) {
	var ring Ring
	err := n.tell(&ring, func(out **C.char, err **C.dht_error_t) C.dht_status { return C.dht_ring(n.handle, out, err) })
	return ring, err
}

// Members is all nodes that are there, this one included.
func (n *Node) Members() ([]NodeInfo, error) {
	var members []NodeInfo
	err := n.tell(&members, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_members(n.handle, out, err)
	})
	return members, err
}

// FingerTable is Chord's table of this node's position 0; empty alone.
func (n *Node) FingerTable() ([]Finger, error) {
	var fingers []Finger
	err := n.tell(&fingers, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_finger_table(n.handle, out, err)
	})
	return fingers, err
}

// Health tells whether this node is joined, has handed over and is fully replicated.
func (n *Node) Health() (Health, error) {
	var health Health
	err := n.tell(&health, func(out **C.char, err **C.dht_error_t) C.dht_status {
		return C.dht_health(n.handle, out, err)
	})
	return health, err
}
