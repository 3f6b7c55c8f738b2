"""A program that passes ``mypy --strict``, and runs."""

from __future__ import annotations

import asyncio
from typing import TypedDict

import dht


class User(TypedDict):
    name: str


def blocking() -> tuple[str, dict[str, int]]:
    with dht.DHT(request_timeout="2s", consistency="quorum") as node:
        user: User = {"name": "Ada"}
        outcome: dht.PutOutcome = node.put("user:1", user, ttl=60)
        assert outcome.acks >= outcome.wanted
        kept: User = node["user:1"]
        outcomes: dict[str, dht.PutOutcome] = node.put_many({"a": 1, "b": 2})
        numbers: dict[str, int] = node.get_many(outcomes)
        found: dht.Versioned | None = node.get_versioned("a")
        assert found is not None and found.expires_at is None
        swap: dht.Swap = node.compare_and_swap("a", found, 1)
        assert swap and swap.version is not None and node.compare_and_swap("a", dht.Expected.version(swap.version), 1)
        whole: int = node.increment("hits")
        part: float = node.increment("load", 0.5)
        assert (whole, part) == (1, 0.5) and node.count("hits") == 1
        keys: list[str | bytes] = [key for key, _ in node.scan("hits")]
        assert keys == ["hits"]
        owners: list[dht.NodeInfo] = node.locate(b"a")
        hops: tuple[dht.Hop, ...] = node.lookup_trace(b"a").hops
        assert owners[0].id == node.node_id
        try:
            node["none"]
        except KeyError as error:
            assert isinstance(error, dht.KeyNotFound)
        return kept["name"], numbers


async def concurrent() -> int:
    async with dht.AsyncDHT() as node:
        await asyncio.gather(*(node.put(f"k{i}", i) for i in range(3)))
        task: asyncio.Task[dict[str, int]] = asyncio.create_task(node.get_many(["k0", "k1", "k2"]))
        statistics: dht.Statistics = await node.statistics()
        assert statistics.stores_successful == 3
        whole: int = await node.increment("hits", 2)
        part: float = await node.increment("load", 0.5)
        names: list[str | bytes] = [key async for key, _ in node.scan("hits")]
        assert (whole, part, names) == (2, 0.5, ["hits"])
        return sum((await task).values())


if __name__ == "__main__":
    print(*blocking(), asyncio.run(concurrent()))
