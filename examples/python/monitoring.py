"""Monitoring: what a node tells about itself, its neighbours, the ring and its work.

python monitoring.py [ADDRESS [PORT OF THE FIRST NODE]]
"""

import sys

import dht

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
port = int(sys.argv[2]) if len(sys.argv) > 2 else 0


def yes(true_or_false: bool) -> str:
    return "yes" if true_or_false else "no"


with dht.DHT(node_id="first", address=address, port=port) as first:
    with dht.DHT(node_id="second", address=address, seeds=[first.address]) as second:
        first.wait_ready()
        second.wait_ready()
        for i in range(50):
            first.put(f"key:{i}", i)
        for i in range(60):
            first.get(f"key:{i}")  # ten of them are not there

        me = first.node_info()
        print(f"node {me.id} on {me.address} is {me.state}, with {me.vnodes} positions")
        before = first.predecessor()
        print(f"before it: {before.id if before else 'nobody'}")
        for successor in first.successor_list():
            print(f"after it: {successor.id}")
        print(f"fingers: {len(first.finger_table())}")

        ring = first.ring()
        share = sum(node.share for node in ring.nodes)
        remembered = len(first.members())
        print(f"{len(ring.nodes)} nodes own {100 * share:.0f} % of the ring; {remembered} nodes are remembered")

        # What a readiness probe asks.
        health = first.health()
        print(f"joined: {yes(health.joined)}, storage works: {yes(health.storage_ok)}")

        # Everything is counted per key, at the node that was called; times are seconds.
        told = first.statistics()
        print(f"stores: {told.stores_successful} successful, {told.stores_failed} failed")
        print(f"lookups: {told.lookups_successful} successful, {told.lookups_not_found} of keys that were not there")
        print(f"records held here: {told.data_items_stored}")
        print(
            f"half of the stores took less than {told.store_time_p50:.6f} s, 99 % less than {told.store_time_p99:.6f} s"
        )
        print(f"messages: {told.messages_sent} sent, {told.messages_received} received")
        print(f"up for {told.uptime:.1f} s")
