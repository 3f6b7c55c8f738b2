package dht

// PutOutcome tells how far a write got.
type PutOutcome struct {
	// Version is opaque; the byte order of versions is the order of writes.
	Version string `json:"version"`
	// Acks replicas had acknowledged it when the call returned.
	Acks int `json:"acks"`
	// Wanted is what the level asked for.
	Wanted int `json:"wanted"`
	// SetSize is the length of the replica list.
	SetSize int `json:"set_size"`
	// Degraded: the list is shorter than the replication factor.
	Degraded bool `json:"degraded"`
}

// NodeInfo is one node as this node sees it.
type NodeInfo struct {
	// ID is its node_id.
	ID string `json:"id"`
	// Address is "host:port": what Join takes.
	Address string `json:"address"`
	// State is joining, active, suspect, leaving, left or dead.
	State string `json:"state"`
	// LastSeen is Unix seconds.
	LastSeen float64 `json:"last_seen"`
	// Incarnation is raised by the node itself whenever it has something new to say.
	Incarnation uint64 `json:"incarnation"`
	// VNodes are positions on the ring.
	VNodes int `json:"vnodes"`
	// Zone is its failure domain; empty: none.
	Zone string `json:"zone"`
}

// RingNode is one member of the ring with its part of the key space.
type RingNode struct {
	NodeInfo
	// Positions are its ids on the ring, by index.
	Positions []string `json:"positions"`
	// Share is the fraction of the key space that it owns, 0 to 1; 0 while it is not active.
	Share float64 `json:"share"`
}

// RingInfo is the ring as one node sees it.
type RingInfo struct {
	// HashBits is the width of an id.
	HashBits int `json:"hash_bits"`
	// SlotBits: the key space has 2^min(HashBits, SlotBits) slots.
	SlotBits int `json:"slot_bits"`
	// ReplicationFactor is how many nodes keep each record.
	ReplicationFactor int `json:"replication_factor"`
	// View is the fingerprint of the set of nodes: equal on nodes that know the same.
	View string `json:"view"`
	// Nodes are all present ones, ascending by ID.
	Nodes []RingNode `json:"nodes"`
}

// Finger is one entry of a finger table.
type Finger struct {
	// Index is k, from 0: the finger of 2^k.
	Index int `json:"index"`
	// Start is position 0 + 2^k.
	Start string `json:"start"`
	// Node owns Start.
	Node NodeInfo `json:"node"`
}

// LookupTrace is the way of one lookup to the owner of a key, as one node walked it.
type LookupTrace struct {
	// KeyID is the id of the key.
	KeyID string `json:"key_id"`
	// Slot is the one that the key falls in, from 0.
	Slot uint32 `json:"slot"`
	// Target is the last id of the slot: its owner is the owner of the slot, so this is what lookups look for.
	Target string `json:"target"`
	// Owner is the node that the walk found.
	Owner NodeInfo `json:"owner"`
	// Hops are the nodes asked, in that order; none if the node itself knew the owner.
	Hops []Hop `json:"hops"`
	// OneHop: the view of the node that walked named the same owner, so that operations reach it without a walk.
	OneHop bool `json:"one_hop"`
	// Took is seconds, from the call to its end.
	Took float64 `json:"took"`
}

// Hop is one node asked in a lookup.
type Hop struct {
	// Node is who was asked.
	Node HopNode `json:"node"`
	// Position of that node is what led there.
	Position string `json:"position"`
	// Took is seconds until it answered or was given up.
	Took float64 `json:"took"`
	// Outcome is "closer" (it named nodes nearer to the target), "owner" (it named the owner, which ends the lookup) or
	// "silent" (it gave no answer, or an error; the next nearest known was asked instead).
	Outcome string `json:"outcome"`
}

// HopNode is who was asked, by the name and address that the asking node had for it.
type HopNode struct {
	// ID is its node_id.
	ID string `json:"id"`
	// Address is "host:port".
	Address string `json:"address"`
}

// OperationTrace is one operation, followed through all nodes that worked for it.
type OperationTrace struct {
	// TraceID is what the messages of the operation carried: 16 hexadecimal digits.
	TraceID string `json:"trace_id"`
	// Operation is "get".
	Operation string `json:"operation"`
	// KeyID is the id of the key.
	KeyID string `json:"key_id"`
	// Level is "one", "quorum" or "all".
	Level string `json:"level"`
	// Took is seconds, from the call to its end.
	Took float64 `json:"took"`
	// Found: there is a value.
	Found bool `json:"found"`
	// Version is that of what was read; nil if there is none.
	Version *string `json:"version"`
	// Error is the name of the error with which the operation ended, as "TIMEOUT"; nil if it did not fail.
	Error *string `json:"error"`
	// Message is the text of the error.
	Message string `json:"message"`
	// MaybeApplied is for writes.
	MaybeApplied bool `json:"maybe_applied"`
	// Spans are the steps in the order in which they began, each right before those that it needed.
	Spans []TraceSpan `json:"spans"`
	// LeftOut counts steps that are not in Spans, of which there are 64 at most.
	LeftOut uint32 `json:"left_out"`
}

// TraceSpan is one step of a traced operation. Times are seconds on one node's clock.
type TraceSpan struct {
	// Depth is 0 for what the node called did or asked for, and one more for every node between.
	Depth uint32 `json:"depth"`
	// Node is who did it.
	Node HopNode `json:"node"`
	// What is the kind of the request: "apply", "store", "fetch", "lookup" and others.
	What string `json:"what"`
	// Attempt is 0 at the first try.
	Attempt uint32 `json:"attempt"`
	// Hedged: asked because others, asked before, had not answered yet.
	Hedged bool `json:"hedged"`
	// Begun is the time since the step above it began.
	Begun float64 `json:"begun"`
	// Took is the time until it ended for who asked.
	Took float64 `json:"took"`
	// Served is how long the node worked; nil if it did not answer, or is of an older release.
	Served *float64 `json:"served"`
	// OnTheWay is the rest.
	OnTheWay *float64 `json:"on_the_way"`
	// Outcome is "done", "pending" (not needed any more), "misrouted", "stale", "not_ready", "refused" or the name of an
	// error.
	Outcome string `json:"outcome"`
}

// SnapshotInfo is what a snapshot holds.
type SnapshotInfo struct {
	// Records are all, deletions included.
	Records uint64 `json:"records"`
	// Bytes are those of the file.
	Bytes uint64 `json:"bytes"`
}

// RestoreInfo is what a restore did.
type RestoreInfo struct {
	// Records are those of the snapshot, deletions included.
	Records uint64 `json:"records"`
	// Superseded are those of them that met a higher version, which stayed.
	Superseded uint64 `json:"superseded"`
	// Bytes are those of the file.
	Bytes uint64 `json:"bytes"`
}

// Health tells whether a node and its part of the ring are well: what a readiness probe asks.
type Health struct {
	// Joined: the node is active in a ring.
	Joined bool `json:"joined"`
	// HandedOver: it has all that it should hold and nothing that others should.
	HandedOver bool `json:"handed_over"`
	// FullyReplicated: every slot that it owns has all its replicas, as many as the ring has nodes for, caught up and
	// equal.
	FullyReplicated bool `json:"fully_replicated"`
	// UnderReplicatedSlots are the slots that it owns of which that is not so.
	UnderReplicatedSlots uint64 `json:"under_replicated_slots"`
	// BytesToGo are bytes that it still has to hand over.
	BytesToGo uint64 `json:"bytes_to_go"`
	// StorageOK: the store takes writes.
	StorageOK bool `json:"storage_ok"`
}

// Statistics is what was counted and measured since the start, operations per key and at the node called. Times are
// seconds.
type Statistics struct {
	// StartTime is when the node started, Unix seconds.
	StartTime float64 `json:"start_time"`
	// Uptime is for how long the node has run, in seconds.
	Uptime float64 `json:"uptime"`
	// MessagesSent went to other nodes and to clients.
	MessagesSent uint64 `json:"messages_sent"`
	// MessagesReceived came from other nodes and from clients.
	MessagesReceived uint64 `json:"messages_received"`
	// BytesSent went to other nodes and to clients.
	BytesSent uint64 `json:"bytes_sent"`
	// BytesReceived came from other nodes and from clients.
	BytesReceived uint64 `json:"bytes_received"`
	// StoresSuccessful are keys that were written or deleted through this node: a batch of 1,000 is 1,000.
	StoresSuccessful uint64 `json:"stores_successful"`
	// StoresFailed are keys that could not be written or deleted through this node.
	StoresFailed uint64 `json:"stores_failed"`
	// LookupsSuccessful are keys that were read through this node, with a value or without.
	LookupsSuccessful uint64 `json:"lookups_successful"`
	// LookupsFailed are keys that could not be read through this node.
	LookupsFailed uint64 `json:"lookups_failed"`
	// LookupsNotFound are keys that were read through this node and had no value; they are successful lookups too.
	LookupsNotFound uint64 `json:"lookups_not_found"`
	// AverageStoreTime is the mean of what successful writes took, in seconds; 0 before the first.
	AverageStoreTime float64 `json:"average_store_time"`
	// AverageLookupTime is the mean of what successful reads took, in seconds, of those from memory one in 16 timed for
	// all; 0 before the first.
	AverageLookupTime float64 `json:"average_lookup_time"`
	// StoreTimeP50: half of the successful writes took no longer, in seconds, within a sixteenth; 0 before the first and
	// without EnableMetrics.
	StoreTimeP50 float64 `json:"store_time_p50"`
	// StoreTimeP99 is the same of 99 in 100 successful writes.
	StoreTimeP99 float64 `json:"store_time_p99"`
	// LookupTimeP50 is the same of half of the successful reads.
	LookupTimeP50 float64 `json:"lookup_time_p50"`
	// LookupTimeP99 is the same of 99 in 100 successful reads.
	LookupTimeP99 float64 `json:"lookup_time_p99"`
	// DataItemsStored are records with a value on this node, replicas included.
	DataItemsStored uint64 `json:"data_items_stored"`
	// DataBytesStored are bytes of keys and values on this node, replicas included.
	DataBytesStored uint64 `json:"data_bytes_stored"`
	// NodesJoined are other nodes that joined or came back, clients not counted.
	NodesJoined uint64 `json:"nodes_joined"`
	// NodesLeft are other nodes that left or were given up, clients not counted.
	NodesLeft uint64 `json:"nodes_left"`
	// NetworkErrors are dials that failed, connections that broke, frames that were malformed.
	NetworkErrors uint64 `json:"network_errors"`
	// StabilizeOperations are rounds of stabilize, one for each position.
	StabilizeOperations uint64 `json:"stabilize_operations"`
	// FingerTableUpdates are fingers that were set to another node.
	FingerTableUpdates uint64 `json:"finger_table_updates"`
	// HeartbeatsSent are probes that were sent to other nodes.
	HeartbeatsSent uint64 `json:"heartbeats_sent"`
	// ReplicationsSent are records that were sent to replicas.
	ReplicationsSent uint64 `json:"replications_sent"`
	// LookupSuccessRate is the fraction of the reads that succeeded, 0 to 1; 1 before the first.
	LookupSuccessRate float64 `json:"lookup_success_rate"`
	// StoreSuccessRate is the fraction of the writes that succeeded, 0 to 1; 1 before the first.
	StoreSuccessRate float64 `json:"store_success_rate"`
	// NodeAvailability is the fraction of the probes that were answered, 0 to 1; 1 before the first.
	NodeAvailability float64 `json:"node_availability"`
	// FingerTableAccuracy is the fraction of the fingers of position 0 that name the right node, 0 to 1.
	FingerTableAccuracy float64 `json:"finger_table_accuracy"`
	// ConflictsResolved are records of which two replicas had different versions.
	ConflictsResolved uint64 `json:"conflicts_resolved"`
	// UnderReplicatedSlots are slots that the node owns which lack a replica that has caught up and is equal.
	UnderReplicatedSlots uint64 `json:"under_replicated_slots"`
	// Hits are keys that were read through this node and had a value.
	Hits uint64 `json:"hits"`
	// Misses are the same as LookupsNotFound.
	Misses uint64 `json:"misses"`
	// Evictions are records that this node evicted to stay below MaxMemory.
	Evictions uint64 `json:"evictions"`
	// Expirations are values that this node dropped because their time to live was over, some seconds later.
	Expirations uint64 `json:"expirations"`
	// Misbehaviours are things that others did to this node which no node does.
	Misbehaviours uint64 `json:"misbehaviours"`
	// MisbehaviourKinds are misbehaviours by kind, such as "bad_handshake".
	MisbehaviourKinds map[string]uint64 `json:"misbehaviour_kinds"`
	// MisbehavingPeers are misbehaviours by who did them, of at most 256 peers those with the most: an IP address, an
	// address dialled or a node id. The source of a datagram may be forged.
	MisbehavingPeers map[string]uint64 `json:"misbehaving_peers"`
	// Errors are counted by name, such as "TIMEOUT": of operations called here, and of what the node does by itself.
	Errors map[string]uint64 `json:"errors"`
}
