"""Basic setup: one node, which is a ring by itself; put, get, delete.

python basic_setup.py [ADDRESS [PORT]]
"""

import json
import sys

import dht

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
port = int(sys.argv[2]) if len(sys.argv) > 2 else 0  # 0: the system chooses one


def yes(true_or_false: bool) -> str:
    return "yes" if true_or_false else "no"


# Without seeds a node founds a ring of one, which serves at once.
with dht.DHT(node_id="alice", address=address, port=port) as node:
    print(f"alice listens on {node.address}")

    # A value is str, bool, None, int, float, list, dict or bytes. `node["greeting"] = "hello"` does the same.
    outcome = node.put("greeting", "hello")
    print(f"stored greeting on {outcome.acks} of {outcome.set_size} replicas")

    print("greeting is", json.dumps(node["greeting"]))

    # `get` answers None, or the default that it is given; `node["missing"]` would raise KeyNotFound.
    missing = node.get("missing")
    print("missing is", "not there" if missing is None else "there")

    print("greeting existed when it was deleted:", yes(node.delete("greeting")))
    print("greeting is still there:", yes("greeting" in node))

# At the end of `with` the node left: it handed over what only it held, and stopped.
print("alice left")
