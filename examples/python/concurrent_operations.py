"""Ten workers on one node at once, each with 100 puts and 100 gets. A node may be used from many threads.

python concurrent_operations.py [ADDRESS [PORT]]
"""

import time
from concurrent.futures import ThreadPoolExecutor

import dht
from _arguments import address_and_port

WORKERS = 10
KEYS = 100


def work(node: dht.DHT, worker: int) -> int:
    """Puts and reads back; how many values were not what was put."""
    wrong = 0
    for n in range(KEYS):
        key = f"worker:{worker}:{n}"
        node[key] = worker * KEYS + n
        wrong += node[key] != worker * KEYS + n
    return wrong


with dht.DHT(**address_and_port()) as node, ThreadPoolExecutor(WORKERS) as pool:
    begun = time.perf_counter()
    wrong = sum(pool.map(lambda worker: work(node, worker), range(WORKERS)))
    operations = WORKERS * KEYS * 2
    print(f"{WORKERS} workers made {operations} operations, {wrong} wrong")
    print(f"{operations / (time.perf_counter() - begun):.0f} operations per second")
    assert wrong == 0
