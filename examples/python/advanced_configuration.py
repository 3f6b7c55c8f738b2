"""Every key of the configuration that this release supports, set away from its default where that makes sense. Units and
bounds: `dht.types.Settings` and the documentation of dht-core's `Config`. Durations are seconds or text.

python advanced_configuration.py [ADDRESS [PORT]]
"""

import dht
from _arguments import address_and_port

settings = {
    # Who we are and which ring this is.
    "node_id": "advanced",
    "cluster_name": "example",
    # The ring: the same on all nodes, compared when one joins.
    "hash_function": "sha1",
    "hash_bits": 64,
    "slot_bits": 10,
    "consistent_hashing": True,
    # Copies, and how many of them answer before a call returns.
    "replication_factor": 2,
    "consistency": "all",
    "backup_replicas": True,
    "tombstone_grace": 600,
    # Positions on the ring, and how far this node looks along it.
    "virtual_nodes": 8,
    "successor_list_size": 4,
    "routing": "one_hop",
    # How often the ring is looked after; jittered by a fifth.
    "stabilize_interval": "500ms",
    "fix_finger_interval": "1s",
    "check_predecessor": 1.0,
    "heartbeat_interval": 0.5,
    # Calls: a bound for each, its retries included, and for what may wait.
    "request_timeout": 1,
    "max_retries": 2,
    "buffer_size": 256,
    "max_connections": 64,
    "network_protocol": "tcp",
    "max_clock_offset": 2,
    # Sizes.
    "max_key_size": 256,
    "max_value_size": "1MiB",
    # What the node tells.
    "enable_logging": False,
    "enable_metrics": True,
    # Threads of the runtime that all nodes of the process share.
    "worker_threads": 2,
    **address_and_port(),
}
# Checked as a whole: a wrong value is named here, with its bound, before anything is started.
try:
    dht.DHT(**{**settings, "replication_factor": 0})
    print("replication_factor 0: accepted")
except dht.ConfigError:
    print("replication_factor 0: refused")

with dht.DHT(**settings) as node:
    info = node.node_info()
    print(f"node {info.id} of {info.vnodes} virtual nodes")
    ring = node.ring()
    print(f"ids of {ring.hash_bits} bits in 2^{ring.slot_bits} slots, {ring.replication_factor} copies")
    node["key"] = "value"
    print(f"read key: {node['key']}")
    assert node["key"] == "value"
print("left")
