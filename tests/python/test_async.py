"""The face for asyncio."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import dht
import dht._dht
import pytest
from dht._async import AsyncScan


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 60))


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[dht.AsyncDHT, dht.AsyncDHT]]:
    async with dht.AsyncDHT(node_id="first") as first, dht.AsyncDHT(seeds=[first.address]) as second:
        await asyncio.gather(first.wait_ready(), second.wait_ready())
        yield first, second


def test_the_same_operations() -> None:
    """Every public method of DHT but the mapping sugar is there, awaitable, with the same parameters."""
    for name, member in inspect.getmembers(dht.DHT):
        if name.startswith("_"):
            continue
        other = getattr(dht.AsyncDHT, name)
        if callable(member) and name not in ("from_config", "from_env"):
            # A scan is for ``async for``, so beginning one is no step of it.
            assert inspect.iscoroutinefunction(other) == (name != "scan"), name
            left, right = (list(inspect.signature(face).parameters) for face in (member, other))
            assert left == right, name
    assert not hasattr(dht.AsyncDHT, "__getitem__") and not hasattr(dht.AsyncDHT, "__contains__")


def test_operations(tmp_path: Path) -> None:
    async def main() -> None:
        async with pair() as (first, second):
            for value in [None, 1, "é", [1, {"a": 2.5}], b"\0\xff"]:
                assert await first.put("k", value)
                assert await second.get("k", consistency="all") == value
            assert await second.get("none", 7) == 7
            found = await second.get_versioned("k")
            assert found is not None and found.value == b"\0\xff"
            assert await second.contains("k") and not await first.contains("none")
            await first.put_with_ttl("t", 1, 100)
            left = await second.ttl("t")
            assert left is not None and 99 < left <= 100
            assert await first.delete("k") and not await second.delete("k")
            many = {f"m{i}": i for i in range(100)}
            assert list(await first.put_many(many)) == list(many)
            assert await second.get_many(many) == many
            assert await second.delete_many(["m1", "none"]) == {"m1": True, "none": False}
            assert (await first.node_info()).id == "first"
            assert len((await first.ring()).nodes) == 2 and len(await first.members()) == 2
            trace = await first.lookup_trace("k")
            assert trace.owner.id == (await first.locate("k"))[0].id and len(trace.hops) <= 1
            assert (await first.trace("m2", consistency="all")).found
            info = await first.snapshot(tmp_path / "s")
            assert (await second.restore(tmp_path / "s")).bytes == info.bytes
            assert len(await first.locate("k")) == 2 and (await first.health()).joined
            assert (await first.statistics()).stores_successful > 100
            before = await first.predecessor()
            assert before is not None and before.id == second.node_id
            assert [node.id for node in await first.successor_list()] == [second.node_id]
            assert isinstance(await first.finger_table(), list)
            assert await first.hash_key("k") == dht.DHT().hash_key("k")

    run(main())


class Failing:
    """A scan whose second and third step fail."""

    def __init__(self, found: Any) -> None:
        self.found = found
        self.steps = 0

    def _next(self) -> Any:
        self.steps += 1
        if self.steps in (2, 3):
            raise dht.QuorumError("too few replicas answered")
        return self.found._next()


def test_a_scan_goes_on_after_an_error() -> None:
    async def main() -> None:
        async with dht.AsyncDHT() as node:
            await node.put_many({f"k{i}": i for i in range(5)})
            whole = node.scan("k")
            scan = AsyncScan(cast(Any, Failing(node._node.scan("k"))))
            assert aiter(scan) is scan
            found = [await anext(scan)]
            with pytest.raises(dht.QuorumError):
                await anext(scan)
            with pytest.raises(dht.QuorumError):
                async for entry in scan:
                    found.append(entry)
            found += [entry async for entry in scan]
            assert found == [entry async for entry in whole] and len(found) == 5
            for _ in range(2):
                with pytest.raises(StopAsyncIteration):
                    await anext(scan)
        with pytest.raises(dht.NodeStopped):
            await anext(whole)
        with pytest.raises(dht.NodeStopped):
            node.scan()

    run(main())


def test_one_delivery_is_none_of_another() -> None:
    """A future that takes no result leaves those of the same batch theirs, and the loop is told."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        told: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: told.append(context))
        async with pair() as (first, second):
            await first.put("k", 1, consistency="all")

            class Refusing(asyncio.Future[Any]):
                def set_result(self, result: Any) -> None:
                    raise ZeroDivisionError

            calls: list[tuple[Any, asyncio.Future[Any]]] = []
            while len(calls) < 200:
                call: Any = second._node.get("k", consistency="all")
                if type(call) is not dht._dht.Call:
                    # It was answered before anybody waited for it.
                    assert call == 1
                    continue
                future: asyncio.Future[Any] = Refusing() if len(calls) % 10 == 0 else loop.create_future()
                call.begin(loop, future)
                calls.append((call, future))
            # So that many of them come in one batch; they may come one by one.
            time.sleep(0.1)
            others = [future for _, future in calls if not isinstance(future, Refusing)]
            assert await asyncio.gather(*others) == [1] * 180
            assert told and all(isinstance(context["exception"], ZeroDivisionError) for context in told)

    run(main())


def test_ten_thousand_at_once() -> None:
    async def main() -> None:
        async with pair() as (first, second):
            await first.put_many({f"k{i}": i for i in range(10_000)})
            got = await asyncio.gather(*(second.get(f"k{i}", consistency="all", timeout=30) for i in range(10_000)))
            assert got == list(range(10_000))

    run(main())


def test_errors() -> None:
    async def main() -> None:
        node = dht.AsyncDHT(max_key_size=3)
        await node.close()
        with pytest.raises(dht.NotStarted):
            await node.get("k")
        await node.start()
        with pytest.raises(dht.TooLarge):
            await node.get("long")
        with pytest.raises(dht.InvalidValue):
            await node.put("k", float("nan"))
        with pytest.raises(TypeError):
            await node.put("k", ())
        with pytest.raises(dht.BatchError) as caught:
            await node.put_many({"k": 1, "long": 2})
        assert list(caught.value.results) == ["k"]
        with pytest.raises(dht.InvalidArgument):
            await node.join("nowhere")
        await node.stop()
        await node.stop()
        await node.leave()
        with pytest.raises(dht.NodeStopped):
            await node.get("k")
        lonely = dht.AsyncDHT(seeds=["127.0.0.1:1"], request_timeout=0.1)
        await lonely.start()
        with pytest.raises(dht.NotJoined):
            await lonely.get("k")
        await lonely.stop()

    run(main())


def test_cancelled_and_timed_out() -> None:
    async def main() -> None:
        async with dht.AsyncDHT(seeds=["127.0.0.1:1"], request_timeout=0.1) as node:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(node.get("k", timeout=30), 0.05)
            task = asyncio.create_task(node.put("k", 1, timeout=30))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(main())


def test_the_loop_runs_on() -> None:
    async def main() -> None:
        async with dht.AsyncDHT(seeds=["127.0.0.1:1"], request_timeout=0.1) as node:
            waiting = asyncio.ensure_future(node.wait_ready(0.5))
            turns = 0
            while not waiting.done():
                await asyncio.sleep(0)
                turns += 1
            assert turns > 100
            with pytest.raises(dht.OperationTimeout):
                await waiting

    run(main())


def test_a_closed_loop_is_not_missed() -> None:
    """The loop ends with a call under way: its reply goes nowhere, and the next loop is served."""
    node = dht.AsyncDHT(seeds=["127.0.0.1:1"], request_timeout=0.1)

    async def first() -> None:
        await node.start()
        waiting = asyncio.ensure_future(node.get("k", timeout=0.3))
        await asyncio.sleep(0.05)
        waiting.cancel()

    async def second() -> None:
        with pytest.raises(dht.NotJoined):
            await node.get("k", timeout=0.3)
        await node.stop()

    run(first())
    run(second())


def test_several_loops() -> None:
    node = dht.DHT()
    node.start()
    failures: list[BaseException] = []

    def work() -> None:
        async def main() -> None:
            async with dht.AsyncDHT(seeds=[node.address]) as own:
                # Keys of its own: who puts a key that another node puts while it comes to own it cannot always be told which
                # came first.
                keys = [f"{own.node_id} {i}" for i in range(100)]
                got = await asyncio.gather(*(own.put(key, 1, consistency="all", timeout=30) for key in keys))
                assert all(got)

        try:
            run(main())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    node.stop()
    assert not failures


def test_a_cancelled_close_still_stops() -> None:
    async def main() -> None:
        entered = asyncio.Event()

        class Slow(dht.AsyncDHT):
            async def leave(self, timeout: float | str = 10.0) -> None:
                entered.set()
                await asyncio.Event().wait()

        node = Slow()
        await node.start()
        closing = asyncio.ensure_future(node.close())
        await entered.wait()
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        with pytest.raises(dht.NodeStopped):
            await node.get("k")

    run(main())
