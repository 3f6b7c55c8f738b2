"""Hash functions: where each of the seven puts a key on the ring, and how fast it is.

python hash_functions.py [ADDRESS [PORT]]
"""

import sys
import time
from typing import Literal, get_args

import dht

Function = Literal[
    "fnv1",
    "fnv1a",
    "crc32",
    "md5",
    "sha1",
    "sha256",  # the default: nobody can choose keys that all fall on one node
    "consistent",  # XXH3: the fast one, where nobody hostile chooses keys
]
FUNCTIONS: tuple[Function, ...] = get_args(Function)
HASHES = 10_000

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
port = int(sys.argv[2]) if len(sys.argv) > 2 else 0

keys = [f"user:{i}" for i in range(HASHES)]
for function in FUNCTIONS:
    # All nodes of a ring have the same function; it is fixed when the ring is founded. Ids are numbers below
    # 2 ** hash_bits; nothing needs to be started to know them.
    node = dht.DHT(address=address, port=port, hash_function=function, hash_bits=64)
    first, second = node.hash_key("user:0"), node.hash_key("user:1")
    print(f"{function}: user:0 is {first:016x}, user:1 is {second:016x}")

    begun = time.perf_counter()
    ids = [node.hash_key(key) for key in keys]
    rate = HASHES / (time.perf_counter() - begun)
    print(f"{function}: {HASHES} hashes, {len(set(ids))} different, {rate:.0f} per second")
