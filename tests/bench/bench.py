"""The Python side of `make bench-bindings`: for each line on standard input one round, and one line of JSON: nanoseconds
per operation. With an argument, the port of a Redis server, that too."""

import json
import sys
import time

import dht

KEYS = 1_000
OPERATIONS = 20_000
REDIS_OPERATIONS = 2_000


def per(operations: int, call) -> float:
    begun = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - begun) / operations


def main() -> None:
    keys = [f"user:{n:08}:profile" for n in range(KEYS)]
    many = keys * (OPERATIONS // KEYS)
    value = "v" * 98
    plain: dict[str, str] = {}
    server = None
    if len(sys.argv) > 1:
        import redis

        server = redis.Redis(port=int(sys.argv[1]))
    with dht.DHT(consistency="one") as node:
        put, get, dumps, loads = node.put, node.get, json.dumps, json.loads

        def puts() -> None:
            for key in many:
                put(key, value)

        def gets() -> None:
            for key in many:
                get(key)

        def dict_puts() -> None:
            for key in many:
                plain[key] = dumps(value)

        def dict_gets() -> None:
            for key in many:
                loads(plain[key])

        def redis_puts() -> None:
            for key in many[:REDIS_OPERATIONS]:
                server.set(key, dumps(value))

        def redis_gets() -> None:
            for key in many[:REDIS_OPERATIONS]:
                loads(server.get(key))

        for _ in sys.stdin:
            row = {
                "python put": per(OPERATIONS, puts),
                "python get": per(OPERATIONS, gets),
                "dict + json put": per(OPERATIONS, dict_puts),
                "dict + json get": per(OPERATIONS, dict_gets),
            }
            if server is not None:
                row["redis-py put"] = per(REDIS_OPERATIONS, redis_puts)
                row["redis-py get"] = per(REDIS_OPERATIONS, redis_gets)
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
