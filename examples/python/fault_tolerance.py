"""Five nodes, one of which dies: everything is still there, and the ring restores its copies.

python fault_tolerance.py [ADDRESS [PORT]]: of the first; the others take free ports.
"""

import time

import dht
from _arguments import address_and_port

KEYS = 100


def readable(node: dht.DHT) -> int:
    found = sum(node.get(f"key:{n}") == n for n in range(KEYS))
    assert found == KEYS, found
    return found


def started(**settings) -> dht.DHT:
    node = dht.DHT(**settings)
    node.start()
    return node


settings = address_and_port()
nodes = [started(**settings)]
joining = {"seeds": [nodes[0].address], "address": settings["address"]}
nodes += [started(**joining) for _ in range(4)]
for node in nodes:
    node.wait_ready()
nodes[0].put_many({f"key:{n}": n for n in range(KEYS)})
print(f"{len(nodes)} nodes, {KEYS} keys")

# No goodbye, no hand-over: to the others, a crash.
nodes.pop().stop()
print("one stopped without a goodbye")
print(f"read back {readable(nodes[1])} keys of {KEYS}")

# The nodes that are left copy what they now have too few copies of.
for node in nodes:
    while (
        sum(member.state == "active" for member in node.members()) > len(nodes)
        or not node.health().fully_replicated
    ):
        time.sleep(0.02)
print("the ring has healed")

fresh = started(**joining)
fresh.wait_ready()
print("a new node joined")
print(f"read back {readable(fresh)} keys of {KEYS} through it")
for node in [*nodes, fresh]:
    node.leave()
print("all left")
