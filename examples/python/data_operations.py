"""What one can do with data: objects, bytes, times to live, batches, versions.

python data_operations.py [ADDRESS [PORT]]
"""

import time

import dht
from _arguments import address_and_port

with dht.DHT(**address_and_port()) as node:
    # Anything that JSON can say, so that every language can read it.
    node["user:1"] = {"name": "Ada", "age": 36}
    user = node["user:1"]
    print(f"user:1 is {user['name']}, {user['age']} years old")

    # Bytes come back as they are.
    node["image"] = b"\x89PNG"
    print(f"image has {len(node['image'])} bytes")

    # A value that ends by itself; seconds.
    node.put("session", "token", ttl=0.3)
    print(f"session lives: {str('session' in node).lower()}")
    while "session" in node:
        time.sleep((node.ttl("session") or 0) + 0.001)
    print(f"session lives: {str('session' in node).lower()}")

    # Many keys at once: grouped by node, one message each, a result for each key.
    stored = node.put_many({"a": b"A", "b": b"B", "c": b"C"})
    found = node.get_many(["a", "c", "z"])
    deleted = node.delete_many(["a", "b", "z"])
    print(f"batch: stored {len(stored)}, found {len(found)}, deleted {sum(deleted.values())}")

    # Versions are totally ordered; their texts too.
    first = node.put("counter", 1).version
    second = node.put("counter", 2).version
    print(f"the second write is newer: {str(first < second).lower()}")

    print(f"deleted user:1: {str(node.delete('user:1')).lower()}")
    print(f"deleted user:1 again: {str(node.delete('user:1')).lower()}")
