"""Concurrent operations: ten threads share three nodes; each stores a hundred values and reads them back elsewhere.

python concurrent_operations.py [ADDRESS [PORT OF THE FIRST NODE]]

For asyncio see `dht.AsyncDHT`, which has the same operations with `await`.
"""

import sys
import threading
import time

import dht

WORKERS = 10
VALUES = 100


def main() -> None:
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 0

    nodes = [dht.DHT(address=address, port=port)]
    nodes[0].start()
    while len(nodes) < 3:
        nodes.append(dht.DHT(address=address, seeds=[nodes[0].address]))
        nodes[-1].start()
    for node in nodes:
        node.wait_ready()

    right = [0] * WORKERS

    def work(worker: int) -> None:
        writer, reader = nodes[worker % 3], nodes[(worker + 1) % 3]
        for i in range(VALUES):
            writer.put(f"{worker}/{i}", worker * VALUES + i)
        for i in range(VALUES):
            right[worker] += reader.get(f"{worker}/{i}") == worker * VALUES + i

    begun = time.perf_counter()
    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = 2 * WORKERS * VALUES / (time.perf_counter() - begun)
    print(f"{WORKERS} workers x {VALUES} values: {sum(right)} of {WORKERS * VALUES} are right")
    print(f"{rate:.0f} operations per second")

    for node in nodes:
        node.leave()


if __name__ == "__main__":
    main()
