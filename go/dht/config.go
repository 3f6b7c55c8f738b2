package dht

import (
	"encoding/json"
	"time"
)

// Config says how a node is. Begin with DefaultConfig: a zero Config is refused.
type Config struct {
	made bool

	NodeID            string
	Address           string
	Port              uint16
	Advertise         string
	Seeds             []string // "host:port"
	ClusterName       string
	HashFunction      string // fnv1, fnv1a, crc32, md5, sha1, sha256, consistent
	HashBits          int
	SlotBits          int
	ReplicationFactor int
	MinReplicas       int
	Consistency       string // one, quorum, all
	SuccessorListSize int
	VirtualNodes      int // 0: a client; -1: the default
	ConsistentHashing bool
	BackupReplicas    bool
	StabilizeInterval time.Duration
	FixFingerInterval time.Duration
	CheckPredecessor  time.Duration
	HeartbeatInterval time.Duration
	RequestTimeout    time.Duration
	MaxRetries        int
	BufferSize        int
	MaxConnections    int
	NetworkProtocol   string
	EnableLogging     bool
	EnableMetrics     bool
	Routing           string
	MaxTableNodes     int
	DataDir           string // empty: memory only
	Durability        string
	MaxMemory         uint64 // 0: no limit
	Eviction          string
	MaxKeySize        int
	MaxValueSize      int
	TombstoneGrace    time.Duration
	MaxClockOffset    time.Duration
	ClusterKey        string // empty: none
	TLS               *TLS   // nil: none
	AllowInsecure     bool
	Zone              string
	WorkerThreads     int
}

// TLS names the files of a certificate.
type TLS struct {
	Cert string `json:"cert"`
	Key  string `json:"key"`
	CA   string `json:"ca"`
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
		return "", newError(codeConfig, "CONFIG: a zero Config: begin with dht.DefaultConfig()", false)
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
		"stabilize_interval": c.StabilizeInterval.Seconds(), "fix_finger_interval": c.FixFingerInterval.Seconds(),
		"check_predecessor": c.CheckPredecessor.Seconds(), "heartbeat_interval": c.HeartbeatInterval.Seconds(),
		"request_timeout": c.RequestTimeout.Seconds(), "max_retries": c.MaxRetries, "buffer_size": c.BufferSize,
		"max_connections": c.MaxConnections, "network_protocol": c.NetworkProtocol,
		"enable_logging": c.EnableLogging, "enable_metrics": c.EnableMetrics, "routing": c.Routing,
		"max_table_nodes": c.MaxTableNodes, "durability": c.Durability, "eviction": c.Eviction,
		"max_key_size": c.MaxKeySize, "max_value_size": c.MaxValueSize,
		"tombstone_grace": c.TombstoneGrace.Seconds(), "max_clock_offset": c.MaxClockOffset.Seconds(),
		"allow_insecure": c.AllowInsecure, "zone": c.Zone, "worker_threads": c.WorkerThreads,
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
	text, err := json.Marshal(keys)
	if err != nil {
		return "", newError(codeConfig, "CONFIG: "+err.Error(), false)
	}
	return string(text), nil
}
