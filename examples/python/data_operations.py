"""Data operations: JSON and bytes, a time to live, levels, batches.

python data_operations.py [ADDRESS [PORT]]
"""

import json
import sys
import time

import dht

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
port = int(sys.argv[2]) if len(sys.argv) > 2 else 0

with dht.DHT(address=address, port=port) as node:
    # JSON: str, bool, None, int, float, list, dict. Every language reads it.
    node["user:1"] = {"age": 36, "name": "Ada"}
    user = node["user:1"]
    print(f"user:1 is {json.dumps(user['name'])} and {user['age']} years old")

    # Bytes: of any content, under keys of any content. They come back as bytes; they stay apart from JSON.
    node["photo"] = b"\x00\xff\x00"
    photo = node["photo"]
    print(f"photo has {len(photo)} bytes")
    print("photo as JSON:", "wrong format" if isinstance(photo, bytes) else "?")

    # A time to live: the value is gone afterwards, on all replicas at once.
    node.put("session", "abc", ttl=3600)
    print(f"session lives for {round((node.ttl('session') or 0) / 60)} minutes")
    node.put("blink", "now you see me", ttl="100ms")
    while "blink" in node:
        time.sleep(0.01)
    print("blink is gone")

    # A level and a deadline for one call; the defaults are those of the configuration.
    outcome = node.put("important", True, consistency="all", timeout=1)
    print(f"important: {outcome.acks} of {outcome.wanted} replicas")

    # Batches: one message for each node that is concerned, one result for each key.
    stored = node.put_many({"item:1": 1, "item:2": 2, "item:3": 3})
    print(f"stored {len(stored)} items")
    keys = ["item:1", "item:2", "item:3", "item:4"]
    found = node.get_many(keys)
    for key in keys:
        print(f"{key} is {found[key]}" if key in found else f"{key} is not there")
    deleted = node.delete_many(keys)
    print(f"deleted {sum(deleted.values())} items")
