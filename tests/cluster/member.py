"""The Python member of the ring of all languages."""

import json
import sys

import dht


def main() -> None:
    node = dht.DHT(node_id=sys.argv[1], seeds=sys.argv[2:])
    node.start()
    print("address", node.address, flush=True)
    for line in sys.stdin:
        # A field may be empty.
        words = line.rstrip("\n").split(" ")
        answer = "ok"
        if words[0] == "ready":
            node.wait_ready(60)
        elif words[0] == "put":
            value = bytes.fromhex(words[3])
            # What a JSON text means; bytes as they are.
            meant = json.loads(value) if words[2] == "json" else value
            node.put(bytes.fromhex(words[1]), meant, consistency="all", timeout=30)
        elif words[0] == "get":
            found = node.get_versioned(bytes.fromhex(words[1]))
            if found is None:
                answer = "none"
            elif isinstance(found.value, bytes):
                answer = f"bytes {found.value.hex()}"
            else:
                answer = f"json {json.dumps(found.value).encode().hex()}"
        elif words[0] == "increment":
            answer = str(node.increment(bytes.fromhex(words[1]), int(words[2]), consistency="all", timeout=30))
        elif words[0] == "cas":
            key, expected, value = (bytes.fromhex(word) for word in words[1:])
            wanted = dht.Expected.value(json.loads(expected)) if expected else dht.Expected.absent()
            swap = node.compare_and_swap(key, wanted, json.loads(value), consistency="all", timeout=30)
            left = f"json {json.dumps(swap.value).encode().hex()}" if swap.found else "none"
            answer = "swapped" if swap else left
        elif words[0] != "quit":
            raise SystemExit(f"no such line: {line[:80]}")
        print(answer, flush=True)
        if words[0] == "quit":
            break
    node.stop()


if __name__ == "__main__":
    main()
