package dht

import (
	"encoding/json"
	"time"
	"unicode/utf8"
)

// Config says how a node is. Begin with DefaultConfig: a zero Config is refused by New, which also checks every value.
// The keys are those of the library in every language; docs/configuration.md of the sources has each with its default, its
// bounds and how to choose it.
type Config struct {
	made bool

	NodeID            string        // any text up to 255 bytes; empty: generated
	Address           string        // to bind
	Port              uint16        // to bind; 0: chosen by the system
	Advertise         string        // "host:port" that others dial; empty: the bound address, of 0.0.0.0 that towards a seed
	Seeds             []string      // "host:port" of members to join through; none: found a ring
	ClusterName       string        // rings of other names are refused
	HashFunction      string        // fnv1, fnv1a, crc32, md5, sha1, sha256, consistent; alike on all nodes
	HashBits          int           // of an id, 1 to 256; alike on all nodes
	SlotBits          int           // 0 to 20: the key space has 2^SlotBits slots; alike on all nodes
	ReplicationFactor int           // copies on distinct nodes, 1 to 64
	MinReplicas       int           // fewer in sight than this: writes fail with ErrQuorum
	Consistency       string        // level of calls that name none: one, quorum, all
	SuccessorListSize int           // 1 to 128
	VirtualNodes      int           // positions, up to 200; 0: a client; -1: 16, or 1 without ConsistentHashing
	ConsistentHashing bool          // false: one position and raw digests; alike on all nodes
	BackupReplicas    bool          // replicas are compared and mended in the background
	RepairRate        uint64        // bytes per second moved for repair; 0: no limit
	StabilizeInterval time.Duration // 10 ms to 1 h, as the three that follow; jittered by 20 %
	FixFingerInterval time.Duration
	CheckPredecessor  time.Duration
	HeartbeatInterval time.Duration // a failure is noticed after a few of them
	RequestTimeout    time.Duration // bounds a call whose context has no deadline, and those that say so, 1 ms to 1 h
	MaxRetries        int           // further attempts inside one call, up to 100
	BufferSize        int           // messages queued per peer
	MaxConnections    int           // open ones; beyond, the idlest is closed
	NetworkProtocol   string        // tcp or udp
	EnableLogging     bool          // to stderr
	EnableMetrics     bool          // histograms; counters are always kept
	Routing           string        // one_hop or chord
	MaxTableNodes     int           // node records kept
	DataDir           string        // empty: memory only
	Durability        string        // none, interval, always
	MaxMemory         uint64        // bytes; 0: no limit
	Eviction          string        // reject or lru
	MaxKeySize        int           // bytes; alike on all nodes
	MaxValueSize      int           // bytes; alike on all nodes
	TombstoneGrace    time.Duration // how long a deletion is remembered at least
	MaxClockOffset    time.Duration // Join with a larger one fails with ErrClockSkew
	ClusterKey        string        // secret shared by all nodes; empty: none
	TLS               *TLS          // mutual TLS; nil: none
	AllowInsecure     bool          // bind other than loopback without key and TLS
	Zone              string        // replicas go to distinct zones first
	WorkerThreads     int           // of the process-wide runtime, decided by its first node; 0: min(cores, 4)
	TraceSample       int           // one in so many operations is traced; 0: none
}

// TLS names the files of mutual TLS, all PEM.
type TLS struct {
	Cert string `json:"cert"` // of this node
	Key  string `json:"key"`  // of Cert
	CA   string `json:"ca"`   // whose certificates are trusted
}

// DefaultConfig is a node on loopback, on a port that the system chooses.
func DefaultConfig() Config {
	return Config{
		made:              true,
		Address:           "127.0.0.1",
		ClusterName:       "default",
		HashFunction:      "sha256",
		HashBits:          160,
		SlotBits:          14,
		ReplicationFactor: 3,
		MinReplicas:       1,
		Consistency:       "quorum",
		SuccessorListSize: 16,
		VirtualNodes:      -1,
		ConsistentHashing: true,
		BackupReplicas:    true,
		RepairRate:        64 << 20,
		StabilizeInterval: time.Second,
		FixFingerInterval: 2 * time.Second,
		CheckPredecessor:  2 * time.Second,
		HeartbeatInterval: time.Second,
		RequestTimeout:    2 * time.Second,
		MaxRetries:        3,
		BufferSize:        1024,
		MaxConnections:    1024,
		NetworkProtocol:   "tcp",
		EnableMetrics:     true,
		Routing:           "one_hop",
		MaxTableNodes:     100000,
		Durability:        "interval",
		Eviction:          "reject",
		MaxKeySize:        4 << 10,
		MaxValueSize:      16 << 20,
		TombstoneGrace:    time.Hour,
		MaxClockOffset:    5 * time.Second,
	}
}

func (c Config) json() (string, error) {
	if !c.made {
		return "", newError(ErrConfig, "a Config that does not come from dht.DefaultConfig(): begin with that, then change fields", false)
	}
	seeds := c.Seeds
	if seeds == nil {
		seeds = []string{}
	}
	keys := map[string]any{
		"node_id": c.NodeID, "address": c.Address, "port": c.Port, "advertise": c.Advertise, "seeds": seeds,
		"cluster_name": c.ClusterName, "hash_function": c.HashFunction, "hash_bits": c.HashBits,
		"slot_bits": c.SlotBits, "replication_factor": c.ReplicationFactor, "min_replicas": c.MinReplicas,
		"consistency": c.Consistency, "successor_list_size": c.SuccessorListSize,
		"consistent_hashing": c.ConsistentHashing, "backup_replicas": c.BackupReplicas,
		"repair_rate":        c.RepairRate,
		"stabilize_interval": c.StabilizeInterval.Seconds(), "fix_finger_interval": c.FixFingerInterval.Seconds(),
		"check_predecessor": c.CheckPredecessor.Seconds(), "heartbeat_interval": c.HeartbeatInterval.Seconds(),
		"request_timeout": c.RequestTimeout.Seconds(), "max_retries": c.MaxRetries, "buffer_size": c.BufferSize,
		"max_connections": c.MaxConnections, "network_protocol": c.NetworkProtocol,
		"enable_logging": c.EnableLogging, "enable_metrics": c.EnableMetrics, "routing": c.Routing,
		"max_table_nodes": c.MaxTableNodes, "durability": c.Durability, "eviction": c.Eviction,
		"max_key_size": c.MaxKeySize, "max_value_size": c.MaxValueSize,
		"tombstone_grace": c.TombstoneGrace.Seconds(), "max_clock_offset": c.MaxClockOffset.Seconds(),
		"allow_insecure": c.AllowInsecure, "zone": c.Zone, "worker_threads": c.WorkerThreads,
		"trace_sample": c.TraceSample,
	}
	if c.VirtualNodes != -1 {
		keys["virtual_nodes"] = c.VirtualNodes
	}
	if c.DataDir != "" {
		keys["data_dir"] = c.DataDir
	}
	if c.MaxMemory != 0 {
		keys["max_memory"] = c.MaxMemory
	}
	if c.ClusterKey != "" {
		keys["cluster_key"] = c.ClusterKey
	}
	if c.TLS != nil {
		keys["tls"] = c.TLS
	}
	// Else it would be stored as another text.
	for name, value := range keys {
		for _, text := range textsOf(value) {
			if !utf8.ValidString(text) {
				return "", newError(ErrConfig, name+": must be UTF-8", false)
			}
		}
	}
	text, err := json.Marshal(keys)
	if err != nil {
		return "", newError(ErrConfig, err.Error(), false)
	}
	return string(text), nil
}

func textsOf(value any) []string {
	switch value := value.(type) {
	case string:
		return []string{value}
	case []string:
		return value
	case *TLS:
		return []string{value.Cert, value.Key, value.CA}
	}
	return nil
}
