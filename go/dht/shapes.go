package dht

// PutOutcome tells how far a write got.
type PutOutcome struct {
	// Version is opaque; the byte order of versions is the order of writes.
	Version string `json:"version"`
	// Acks replicas had acknowledged it when the call returned, of Wanted that the level asked for.
	Acks   int `json:"acks"`
	Wanted int `json:"wanted"`
	// SetSize is the length of the replica list; Degraded: it is shorter than the replication factor.
	SetSize  int  `json:"set_size"`
	Degraded bool `json:"degraded"`
}

// NodeInfo is one node as this node sees it.
type NodeInfo struct {
	ID string `json:"id"`
	// Address is "host:port": what Join takes.
	Address string `json:"address"`
	// State is joining, active, suspect, leaving, left or dead.
	State string `json:"state"`
	// LastSeen is Unix seconds.
	LastSeen    float64 `json:"last_seen"`
	Incarnation uint64  `json:"incarnation"`
	VNodes      int     `json:"vnodes"`
	Zone        string  `json:"zone"`
}

// Statistics is what was counted and measured since the start. Times are seconds.
type Statistics struct {
	StartTime            float64           `json:"start_time"`
	Uptime               float64           `json:"uptime"`
	MessagesSent         uint64            `json:"messages_sent"`
	MessagesReceived     uint64            `json:"messages_received"`
	BytesSent            uint64            `json:"bytes_sent"`
	BytesReceived        uint64            `json:"bytes_received"`
	StoresSuccessful     uint64            `json:"stores_successful"`
	StoresFailed         uint64            `json:"stores_failed"`
	LookupsSuccessful    uint64            `json:"lookups_successful"`
	LookupsFailed        uint64            `json:"lookups_failed"`
	LookupsNotFound      uint64            `json:"lookups_not_found"`
	AverageStoreTime     float64           `json:"average_store_time"`
	AverageLookupTime    float64           `json:"average_lookup_time"`
	StoreTimeP50         float64           `json:"store_time_p50"`
	StoreTimeP99         float64           `json:"store_time_p99"`
	LookupTimeP50        float64           `json:"lookup_time_p50"`
	LookupTimeP99        float64           `json:"lookup_time_p99"`
	DataItemsStored      uint64            `json:"data_items_stored"`
	DataBytesStored      uint64            `json:"data_bytes_stored"`
	NodesJoined          uint64            `json:"nodes_joined"`
	NodesLeft            uint64            `json:"nodes_left"`
	NetworkErrors        uint64            `json:"network_errors"`
	StabilizeOperations  uint64            `json:"stabilize_operations"`
	FingerTableUpdates   uint64            `json:"finger_table_updates"`
	HeartbeatsSent       uint64            `json:"heartbeats_sent"`
	ReplicationsSent     uint64            `json:"replications_sent"`
	LookupSuccessRate    float64           `json:"lookup_success_rate"`
	StoreSuccessRate     float64           `json:"store_success_rate"`
	NodeAvailability     float64           `json:"node_availability"`
	FingerTableAccuracy  float64           `json:"finger_table_accuracy"`
	ConflictsResolved    uint64            `json:"conflicts_resolved"`
	UnderReplicatedSlots uint64            `json:"under_replicated_slots"`
	Errors               map[string]uint64 `json:"errors"`
}
