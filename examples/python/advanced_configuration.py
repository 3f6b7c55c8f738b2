"""Advanced configuration: every key, each with a reason to change it. The defaults are good; change what you measured.

python advanced_configuration.py [ADDRESS [PORT]]
"""

from __future__ import annotations

import sys

import dht


def configured(node_id: str, address: str, port: int, seeds: list[str]) -> dht.DHT:
    return dht.DHT(
        # Who it is, and where. A fixed name keeps a node's positions over a restart, so less data moves.
        node_id=node_id,
        address=address,
        port=port,
        advertise="",  # what others dial, if it is not the bound address: behind NAT, in containers
        seeds=seeds,
        cluster_name="example",  # rings of other names are refused
        zone="",  # a rack, room or cloud zone: copies of a key go to distinct ones
        # The ring: alike on all its nodes. 4,096 slots are plenty for 8 x 2 nodes x 32 positions.
        hash_function="sha256",
        hash_bits=256,
        slot_bits=12,
        consistent_hashing=True,
        virtual_nodes=32,  # twice the default: the load is spread more evenly
        successor_list_size=8,
        routing="one_hop",  # "chord": operations walk finger tables
        max_table_nodes=100_000,
        # Replicas.
        replication_factor=2,
        min_replicas=1,
        consistency="all",
        backup_replicas=True,
        repair_rate="16MiB",  # bytes per second
        tombstone_grace="2h",  # longer than a node is usually away
        max_clock_offset=1,
        # Upkeep, jittered by 20 %: twice as often as by default finds failures sooner and sends more messages.
        # Durations are seconds, or text with a unit.
        stabilize_interval=0.5,
        fix_finger_interval=1,
        check_predecessor="1s",
        heartbeat_interval="500ms",
        # Calls and the network.
        request_timeout=5,  # bounds a whole call with its retries
        max_retries=5,
        buffer_size=512,
        max_connections=256,
        network_protocol="tcp",  # or udp
        max_key_size="1KiB",
        max_value_size="1MiB",
        # Storage: in memory without a bound; with a data_dir on disk.
        data_dir=None,
        durability="interval",
        max_memory=None,
        eviction="reject",
        # Security: without key or TLS only loopback is bound, unless the network is trusted.
        cluster_key=None,
        tls=None,
        allow_insecure=False,
        # Telling what happens, through `logging`; histograms for statistics; threads of the process-wide runtime.
        enable_logging=True,
        enable_metrics=True,
        worker_threads=2,
        trace_sample=0,  # one in so many operations is traced
    )


def main() -> None:
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 0

    # A wrong value is refused before anything starts, with key, value and bound.
    try:
        dht.DHT(hash_bits=257)
    except dht.ConfigError as error:
        print("refused:", error)

    with configured("first", address, port, []) as first, configured("second", address, 0, [first.address]) as second:
        second.wait_ready()
        ring = second.ring()
        print(f"ids of {ring.hash_bits} bits, {2**ring.slot_bits} slots, {ring.replication_factor} replicas")
        for node in ring.nodes:
            print(f"{node.id} has {len(node.positions)} positions")
        outcome = first.put("key", "value")
        print(f"level all: {outcome.acks} of {outcome.wanted} replicas acknowledged")
        print(f"an id has {len(ring.nodes[0].positions[0])} digits")


if __name__ == "__main__":
    main()
