"""Three nodes of one ring. Here they share a process; they may as well run on three machines.

python multi_node.py [ADDRESS [PORT]]: of the first; the others take free ports.
"""

import dht
from _arguments import address_and_port

settings = address_and_port()
with dht.DHT(node_id="one", **settings) as one:
    print(f"node one at {one.address}")

    # Any member's address is enough to join.
    joining = {"seeds": [one.address], "address": settings["address"]}
    two = dht.DHT(node_id="two", **joining)
    two.start()
    print(f"node two at {two.address}")
    with dht.DHT(node_id="three", **joining) as three:
        print(f"node three at {three.address}")
        for node in one, two, three:
            node.wait_ready()
        print(f"{len(one.members())} members")

        outcome = two.put("user:1", "Ada")
        print(f"two wrote user:1 on {outcome.wanted} replicas at least")
        print(f"one reads user:1: {one['user:1']}")
        print(f"user:1 is kept by {len(three.locate('user:1'))} nodes")

        # A node that leaves hands over first, so nothing is lost.
        two.leave()
        print("two left")
        print(f"three reads user:1: {three['user:1']}")
        assert three["user:1"] == "Ada"
print("all left")
