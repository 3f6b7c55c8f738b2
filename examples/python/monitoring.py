"""What a node tells about itself: counters, times, health, the ring.

python monitoring.py [ADDRESS [PORT]]
"""

import dht
from _arguments import address_and_port

with dht.DHT(**address_and_port()) as node:
    for n in range(10):
        node[f"key:{n}"] = n
        node.get(f"key:{n}")
    node.get("no such key")

    statistics = node.statistics()
    print(f"stores: {statistics.stores_successful} successful, {statistics.stores_failed} failed")
    print(f"lookups: {statistics.lookups_successful} successful, {statistics.lookups_not_found} not found")
    print(f"a store took {statistics.average_store_time:.9f} s on average")
    print(f"data: {statistics.data_items_stored} items, {statistics.data_bytes_stored} bytes")
    assert (statistics.stores_successful, statistics.lookups_successful) == (10, 11)

    # What a readiness probe asks for.
    health = node.health()
    print(f"health: joined {str(health.joined).lower()}, fully replicated {str(health.fully_replicated).lower()}")

    for member in node.ring().nodes:
        print(f"member {member.address}: {member.state}, share {member.share:.3f}")
