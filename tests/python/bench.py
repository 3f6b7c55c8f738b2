"""How many gets and puts one thread of a ring of one does, at level one; beside a dict with `json`. `make python-bench`.

Ratios within one run are what counts: absolute numbers are this machine's, now.
"""

from __future__ import annotations

import json
import time
from typing import Any, Callable

import dht

KEYS = 1_000
CALLS = 200_000
ROUNDS = 5


def rate(call: Callable[[str], Any], keys: list[str]) -> float:
    """Calls per second, the best of some rounds."""
    best = 0.0
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for key in keys:
            call(key)
        best = max(best, len(keys) / (time.perf_counter() - begun))
    return best


def main() -> None:
    names = [f"key{i}" for i in range(KEYS)]
    keys = names * (CALLS // KEYS)
    plain: dict[str, str] = {}

    def plain_put(key: str) -> None:
        plain[key] = json.dumps(7)

    with dht.DHT(consistency="one") as node:
        rows = [
            ("loop alone", rate(lambda key: None, keys)),
            ("dict + json put", rate(plain_put, keys)),
            ("dict + json get", rate(lambda key: json.loads(plain[key]), keys)),
        ]
        for what, value in [("int", 7), ("text", "x" * 100), ("dict", {"name": "Ada", "tags": ["a", "b"], "n": 1.5})]:
            put = node.put
            rows.append((f"put {what}", rate(lambda key, value=value: put(key, value), keys)))  # type: ignore[misc]
            rows.append((f"get {what}", rate(node.get, keys)))
        rows.append(("get of none", rate(lambda key: node.get("none"), keys)))
    for name, per_second in rows:
        print(f"{name:20} {per_second:12,.0f}/s {1e9 / per_second:8.0f} ns")


if __name__ == "__main__":
    main()
