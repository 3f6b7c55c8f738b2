"""A ring of three nodes: here in one process, usually one in each of many. Every node reads what the others wrote.

python multi_node.py [ADDRESS [PORT OF THE FIRST NODE]]
"""

import json
import sys

import dht

NAMES = ["one", "two", "three"]


def main() -> None:
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 0

    # The first node founds the ring; the others join through it. Any member would do as a seed.
    nodes: list[dht.DHT] = []
    for name in NAMES:
        seeds = [nodes[0].address] if nodes else []
        node = dht.DHT(node_id=name, address=address, port=0 if nodes else port, seeds=seeds)
        node.start()
        print(f"{name} listens on {node.address}")
        nodes.append(node)
    # Not needed for correct answers, only to see a ring that has come to rest.
    for node in nodes:
        node.wait_ready()
    print(f"one sees a ring of {len(nodes[0].ring().nodes)} nodes")

    for node, name in zip(nodes, NAMES):
        outcome = node.put(f"from {name}", f"hello from {name}")
        print(f"{name} wrote, and at least {outcome.wanted} of {outcome.set_size} replicas have it")
    for node, reader in zip(nodes, NAMES):
        for writer in NAMES:
            print(f"{reader} reads", json.dumps(node[f"from {writer}"]))
    print(f'"from one" is kept by {len(nodes[1].locate("from one"))} nodes')

    # A node that leaves hands its data over first.
    nodes.pop().leave()
    print("three left; one still reads", json.dumps(nodes[0]["from three"]))
    for node in nodes:
        node.leave()


if __name__ == "__main__":
    main()
