"""The seven hash functions: 10,000 keys each, and how fast that is. `sha256` is the default; `consistent` (XXH3) is the
fast one.

python hash_functions.py [ADDRESS [PORT]]
"""

import time

import dht
from _arguments import address_and_port

HASHES = 10_000

for hash_function in ["fnv1", "fnv1a", "crc32", "md5", "sha1", "sha256", "consistent"]:
    # Hashing needs no running node.
    node = dht.DHT(hash_function=hash_function, **address_and_port())
    begun = time.perf_counter()
    for n in range(HASHES):
        node.hash_key(f"key_{n}")
    rate = HASHES / (time.perf_counter() - begun)
    digits = len(f"{node.hash_key('key_0'):040x}")
    print(f"{hash_function}: {HASHES} hashes, {rate:.0f} per second; an id has {digits} digits")
