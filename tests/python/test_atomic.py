"""Operations that look at the present value, and scans: what only Python has of them."""

from __future__ import annotations

import asyncio
import pickle
import threading
from typing import Any, Callable

import dht
import pytest


def test_what_can_be_expected(alone: dht.DHT) -> None:
    outcome = alone.put("e", [1])
    first = alone.compare_and_swap("e", outcome, [2])
    found = alone.get_versioned("e")
    assert first and found is not None and found.version == first.version
    assert not alone.compare_and_swap("e", outcome, [3])
    assert alone.compare_and_swap("e", found, [3])
    assert not alone.compare_and_swap("e", found, [4])
    current = alone.compare_and_swap("e", None, [4])
    assert (current.swapped, current.value, current.found) == (False, [3], True)
    assert alone.compare_and_swap("e", current, [4]) and alone.compare_and_swap("e", [4], b"\0")
    assert not alone.compare_and_swap("e", b"", 1) and alone.compare_and_swap("e", b"\0", None)
    assert not alone.compare_and_swap("e", None, 1), "None is no value, not the value None"
    assert alone.compare_and_swap("e", dht.Expected.value(None), 1)
    assert not alone.compare_and_swap("e", 1.0, 2) and alone.compare_and_swap("e", 1, {"b": 1, "a": [None]})
    assert alone.compare_and_swap("e", {"a": [None], "b": 1}, 2, ttl=60)
    assert alone.ttl("e") is not None and alone.delete("e")
    gone = alone.compare_and_swap("e", 2, 3)
    assert not gone and gone.value is None and not gone.found and gone.version is not None
    assert alone.compare_and_swap("e", gone, 3), "what found nothing expects nothing"
    never = alone.compare_and_swap("never", 2, 3)
    assert (never.swapped, never.version, never.value) == (False, None, None)
    assert alone.compare_and_swap("never", dht.Expected.absent(), 3, consistency="all", timeout=5)


def test_wrong_expectations(alone: dht.DHT) -> None:
    for version in ["", "1", "x" * 48]:
        with pytest.raises(dht.InvalidArgument):
            dht.Expected.version(version)
    for wrong in [object(), (1,), {1: 2}]:
        with pytest.raises(TypeError):
            alone.compare_and_swap("w", wrong, 1)
    with pytest.raises(dht.InvalidValue):
        alone.compare_and_swap("w", float("nan"), 1)
    with pytest.raises(dht.InvalidArgument):
        alone.put_if_absent("w", 1, ttl=0)
    assert "w" not in alone


def test_frozen_shapes(alone: dht.DHT) -> None:
    swap = alone.put_if_absent("shape", [1])
    again = alone.put_if_absent("shape", 2)
    for one in (swap, again):
        assert pickle.loads(pickle.dumps(one)) == one
        with pytest.raises(AttributeError):
            one.swapped = True  # type: ignore[misc]
    assert hash(swap) == hash(swap) and swap != again
    assert repr(again) == f"Swap(swapped=False, version={swap.version!r}, value=[1], found=True)"
    assert swap.version is not None
    version = dht.Expected.version(swap.version)
    assert version == dht.Expected.version(swap.version) and version != dht.Expected.absent()
    assert hash(version) == hash(dht.Expected.version(swap.version))
    assert repr(version) == f"Expected.version({swap.version!r})" and repr(dht.Expected.absent()) == "Expected.absent()"
    assert repr(dht.Expected.value([b"x" == 1])) == "Expected.value([False])"
    with pytest.raises(TypeError):
        dht.Expected()  # type: ignore[call-arg,unused-ignore]


def test_increment(alone: dht.DHT) -> None:
    assert alone.increment("i") == 1 and alone.increment("i", by=2, consistency="one") == 3
    assert type(alone.increment("i", 0)) is int and type(alone.increment("i", 0.0)) is float
    for wrong in [True, "1", None, b"1"]:
        with pytest.raises(TypeError):
            alone.increment("i", wrong)  # type: ignore[call-overload]
    for number in [1 << 63, -(1 << 63) - 1, float("inf"), float("nan")]:
        with pytest.raises(dht.InvalidValue):
            alone.increment("i2", number)
    assert "i2" not in alone


def test_taking(alone: dht.DHT) -> None:
    assert alone.get_and_put("t", b"\0") is None and alone.get_and_put("t", None, ttl=60) == b"\0"
    assert alone.get_and_delete("t", 7) is None and alone.get_and_delete("t", 7) == 7


def test_nothing_is_lost_between_threads(pair: tuple[dht.DHT, dht.DHT]) -> None:
    sums: list[int] = []

    def count(node: dht.DHT) -> None:
        for _ in range(50):
            sums.append(node.increment("n"))

    threads = [threading.Thread(target=count, args=(pair[i % 2],)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sums) == list(range(1, 301))


def test_scan(pair: tuple[dht.DHT, dht.DHT]) -> None:
    first, second = pair
    users = {f"user:{i}": i for i in range(700)}
    first.put_many(users)
    first.put(b"\xff\0", b"raw")
    found = list(second.scan("user:", consistency="all", timeout=30))
    assert len(found) == len(users) and dict(found) == users
    assert list(second.scan(b"\xff")) == [(b"\xff\0", b"raw")]
    scan = second.scan("user:")
    assert iter(scan) is scan and next(scan)[0] in users
    del scan
    assert second.count("user:") == 700 and second.count(b"\xff") == 1 and first.count("none") == 0
    assert first.len() == first.count()
    assert second.clear("user:") == 700 and list(first.scan("user:")) == []
    first.put("left", 1)
    assert first.clear() >= 2 and second.count() == 0
    with pytest.raises(TypeError):
        second.scan(1)  # type: ignore[arg-type]


def test_a_scan_ends_with_its_node(make: Callable[..., dht.DHT]) -> None:
    node = make()
    node.put("k", 1)
    scan = node.scan()
    node.stop()
    with pytest.raises(dht.NodeStopped):
        next(scan)
    for call in (node.scan, node.count, node.len, node.clear):
        with pytest.raises(dht.NodeStopped):
            call()
    unstarted = dht.DHT()
    with pytest.raises(dht.NotStarted):
        unstarted.scan()


def test_asyncio(alone: dht.DHT) -> None:
    async def main() -> None:
        async with dht.AsyncDHT(seeds=[alone.address]) as node:
            await node.wait_ready()
            first = await node.put_if_absent("a", 1, consistency="all")
            assert first and not await node.put_if_absent("a", 2)
            assert await node.compare_and_swap("a", first, [1], ttl=60, consistency="all")
            assert await node.persist("a") and await node.ttl("a") is None and await node.expire("a", 60)
            sums = await asyncio.gather(*(node.increment("many", consistency="all") for _ in range(100)))
            assert sorted(sums) == list(range(1, 101))
            assert await node.increment("many", 0.5) == 100.5
            assert await node.get_and_put("a", 3) == [1] and await node.get_and_delete("a") == 3
            assert await node.get_and_delete("a", "none") == "none"
            await node.put_many({f"scan:{i}": i for i in range(300)})
            found: dict[Any, Any] = {}
            async for key, value in node.scan("scan:", consistency="all"):
                assert key not in found
                found[key] = value
            assert found == {f"scan:{i}": i for i in range(300)}
            assert await node.count("scan:") == 300 and await node.len() > 0 and await node.clear("scan:") == 300
            assert [key async for key, _ in node.scan("scan:")] == []

    asyncio.run(asyncio.wait_for(main(), 60))
