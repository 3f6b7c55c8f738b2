"""Fault tolerance: of five nodes one stops without a word; nothing is lost, and a new one takes its place.

python fault_tolerance.py [ADDRESS [PORT OF THE FIRST NODE]]
"""

from __future__ import annotations

import sys
import time

import dht

VALUES = 200


def start(number: int, address: str, port: int, seeds: list[str]) -> dht.DHT:
    # Failures are noticed after a few heartbeats.
    node = dht.DHT(node_id=f"node-{number}", address=address, port=port, seeds=seeds, heartbeat_interval="200ms")
    node.start()
    return node


def right(node: dht.DHT) -> int:
    """How many values are as they were stored."""
    return sum(node.get(f"key:{i}") == i for i in range(VALUES))


def main() -> None:
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 0

    nodes = [start(1, address, port, [])]
    seeds = [nodes[0].address]
    nodes += [start(number, address, 0, seeds) for number in range(2, 6)]
    for node in nodes:
        node.wait_ready()
    print(f"ring of {len(nodes[0].ring().nodes)} nodes")

    for i in range(VALUES):
        nodes[i % 5].put(f"key:{i}", i)
    print(f"stored {VALUES} values, each on three nodes")

    # To the others this is a crash: no hand-over, no goodbye.
    nodes.pop(2).stop()
    print("node-3 stopped")
    print(f"read {right(nodes[3])} of {VALUES} values at once")

    # The survivors notice, and copy what is now on two nodes only to a third.
    for node in nodes:
        while len(node.ring().nodes) > 4 or not node.health().fully_replicated:
            time.sleep(0.05)
    print(f"{len(nodes)} nodes have three replicas of everything again")

    nodes.append(start(6, address, 0, seeds))
    nodes[4].wait_ready()
    print(f"node-6 joined: ring of {len(nodes[4].ring().nodes)} nodes")
    print(f"read {right(nodes[4])} of {VALUES} values through it")

    for node in nodes:
        node.stop()


if __name__ == "__main__":
    main()
