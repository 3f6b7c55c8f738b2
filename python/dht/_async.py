"""The face for asyncio: `AsyncDHT`."""

from __future__ import annotations

from . import _dht
from ._dht import Call
from ._sync import log_failed_leave, settings_of_environment
from .errors import DHTError, ForkedProcess, NotStarted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
    from types import TracebackType
    from typing import Any, TypeVar, overload

    from typing_extensions import Self, Unpack

    from .types import (
        Consistency,
        Duration,
        Finger,
        Health,
        Key,
        LookupTrace,
        NodeInfo,
        OperationTrace,
        Path,
        PutOutcome,
        RestoreInfo,
        RingInfo,
        Settings,
        SnapshotInfo,
        Statistics,
        Swap,
        Versioned,
    )

    K = TypeVar("K", bound=Key)
    T = TypeVar("T")


async def _settled(reply: T) -> T:
    """The result of an operation that is done, or is waited for here.

    To the type checker the node is a blocking one, whose methods return their results; this one's may return a `Call`.
    """
    if type(reply) is not Call:
        return reply
    # Here, because it takes longer to import than all of this package; in a coroutine somebody has done so.
    from asyncio import get_running_loop

    call: Any = reply
    loop = get_running_loop()
    future: Future[T] = loop.create_future()
    call.begin(loop, future)
    try:
        return await future
    finally:
        # Of a cancelled task; otherwise it is done.
        call.cancel()


class AsyncScan:
    """The keys of a scan with their values; see `AsyncDHT.scan`. No generator, which is over once it has raised."""

    __slots__ = ("_found",)

    def __init__(self, found: _dht.Scan) -> None:
        self._found: _dht.Scan | None = found

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[Key, Any]:
        entry = None if self._found is None else await _settled(self._found._next())
        if entry is None:
            raise StopAsyncIteration
        return entry

    async def aclose(self) -> None:
        """Ends the scan: for `contextlib.aclosing`."""
        self._found = None


class AsyncDHT:
    """One node of the ring, in this process, for asyncio: the operations of `DHT` with ``await``.

    The process's own threads drive the calls, so any number of them may wait at once, and of any event loop. A cancelled
    call is given up; a write may have been applied then.

    >>> import asyncio, dht
    >>> async def main():
    ...     async with dht.AsyncDHT() as node:
    ...         await node.put("answer", 42)
    ...         return await asyncio.gather(*(node.get("answer") for _ in range(3)))
    >>> asyncio.run(main())
    [42, 42, 42]
    """

    __slots__ = ("__weakref__", "_node")

    def __init__(self, **settings: Unpack[Settings]) -> None:
        """Checks the configuration; `start`, or ``async with``, starts the node."""
        self._node = _dht.Node(_asynchronous=True, **settings)

    @classmethod
    def _made(cls, settings: _dht.Settings) -> Self:
        made = cls.__new__(cls)
        made._node = _dht.Node(_asynchronous=True, _settings=settings)
        return made

    @classmethod
    def from_config(cls, path: Path) -> Self:
        """A node configured by a file, TOML or JSON by the end of its name. Raises ConfigError, with path
        and line for what cannot be read."""
        return cls._made(_dht.Settings.from_file(path))

    @classmethod
    def from_env(cls) -> Self:
        """A node configured by DHT_* variables; see `DHT.from_env`."""
        return cls._made(settings_of_environment())

    @property
    def address(self) -> str:
        """What others dial and `join` takes: "host:port". Raises NotStarted before `start`."""
        return self._node.address

    @property
    def node_id(self) -> str:
        """This node's name on the ring. Raises NotStarted before `start`."""
        return self._node.node_id

    async def start(self) -> None:
        """Starts the node; see `DHT.start`."""
        await _settled(self._node.start())  # type: ignore[func-returns-value]

    async def join(self, addresses: str | Sequence[str]) -> None:
        """Joins the ring of ``addresses``; see `DHT.join`."""
        await _settled(self._node.join(addresses))  # type: ignore[func-returns-value]

    async def wait_ready(self, timeout: Duration = 30.0) -> None:
        """Waits until this node has joined and caught up; see `DHT.wait_ready`."""
        await _settled(self._node.wait_ready(timeout))  # type: ignore[func-returns-value]

    async def leave(self, timeout: Duration = 10.0) -> None:
        """Hands over, says goodbye and ends; see `DHT.leave`."""
        await _settled(self._node.leave(timeout))  # type: ignore[func-returns-value]

    async def stop(self) -> None:
        """Ends the node at once; see `DHT.stop`."""
        await _settled(self._node.stop())  # type: ignore[func-returns-value]

    async def close(self) -> None:
        """`leave`, then `stop`; a failed leave is logged, never raised."""
        try:
            await self.leave()
        except (NotStarted, ForkedProcess):
            # There is nothing to leave: after a fork the node is the parent's.
            pass
        except DHTError as error:
            log_failed_leave(error)
        finally:
            # Also when the task was cancelled: nothing stays behind.
            try:
                await self.stop()
            except (NotStarted, ForkedProcess):
                pass

    async def put(
        self,
        key: Key,
        value: Any,
        ttl: Duration | None = None,
        *,
        consistency: Consistency | None = None,
        timeout: Duration | None = None,
    ) -> PutOutcome:
        """Stores ``value`` under ``key``; see `DHT.put`."""
        return await _settled(
            self._node.put(key, value, ttl, consistency=consistency, timeout=timeout)
        )

    async def put_with_ttl(
        self,
        key: Key,
        value: Any,
        ttl: Duration,
        *,
        consistency: Consistency | None = None,
        timeout: Duration | None = None,
    ) -> PutOutcome:
        """Stores ``value`` under ``key`` for ``ttl`` seconds; see `DHT.put`."""
        return await _settled(
            self._node.put_with_ttl(key, value, ttl, consistency=consistency, timeout=timeout)
        )

    async def get(
        self,
        key: Key,
        default: Any = None,
        *,
        consistency: Consistency | None = None,
        timeout: Duration | None = None,
    ) -> Any:
        """The value of ``key``, or ``default`` if there is none; see `DHT.get`."""
        return await _settled(self._node.get(key, default, consistency=consistency, timeout=timeout))

    async def get_versioned(
        self, key: Key, *, consistency: Consistency | None = None, timeout: Duration | None = None
    ) -> Versioned | None:
        """The value of ``key`` with its version and expiry, or None; see `DHT.get_versioned`."""
        return await _settled(
            self._node.get_versioned(key, consistency=consistency, timeout=timeout)
        )

    async def contains(
        self, key: Key, *, consistency: Consistency | None = None, timeout: Duration | None = None
    ) -> bool:
        """Whether ``key`` has a value."""
        return await _settled(self._node.contains(key, consistency=consistency, timeout=timeout))

    async def ttl(self, key: Key) -> float | None:
        """Seconds that ``key`` still lives; None if it has no value or never expires."""
        return await _settled(self._node.ttl(key))

    async def delete(
        self, key: Key, *, consistency: Consistency | None = None, timeout: Duration | None = None
    ) -> bool:
        """Deletes ``key``; True if it had a value; see `DHT.delete`."""
        return await _settled(self._node.delete(key, consistency=consistency, timeout=timeout))

    async def expire(
        self, key: Key, ttl: Duration, *, consistency: Consistency | None = None, timeout: Duration | None = None
    ) -> bool:
        """Lets what is under ``key`` live for ``ttl`` seconds from now; see `DHT.expire`."""
        return await _settled(self._node.expire(key, ttl, consistency=consistency, timeout=timeout))

    async def persist(
        self, key: Key, *, consistency: Consistency | None = None, timeout: Duration | None = None
    ) -> bool:
        """Lets what is under ``key`` live for ever; see `DHT.persist`."""
        return await _settled(self._node.persist(key, consistency=consistency, timeout=timeout))

    async def compare_and_swap(
        self,
        key: Key,
        expected: Any,
        value: Any,
        ttl: Duration | None = None,
        *,
        consistency: Consistency | None = None,
        timeout: Duration | None = None,
    ) -> Swap:
        """Stores ``value`` if what is there is as ``expected``; see `DHT.compare_and_swap`."""
        return await _settled(
            self._node.compare_and_swap(key, expected, value, ttl, consistency=consistency, timeout=timeout)
        )

    async def put_if_absent(
        self,
        key: Key,
        value: Any,
        ttl: Duration | None = None,
        *,
        consistency: Consistency | None = None,
        timeout: Duration | None = None,
    ) -> Swap:
        """Stores ``value`` if there is no value; see `DHT.put_if_absent`."""
        return await _settled(
            self._node.put_if_absent(key, value, ttl, consistency=consistency, timeout=timeout)
        )

    if TYPE_CHECKING:

        @overload
        async def increment(
            self, key: Key, by: int = 1, *, consistency: Consistency | None = None, timeout: Duration | None = None
        ) -> int: ...

        @overload
        async def increment(
            self, key: Key, by: float, *, consistency: Consistency | None = None, timeout: Duration | None = None
        ) -> float: ...

    async def increment(
        self, key: Key, by: float = 1, *, consistency: Consistency | None = None, timeout: Duration | None = None
    ) -> float:
        """Adds ``by`` to the number under ``key`` and returns the sum; see `DHT.increment`."""
        return await _settled(self._node.increment(key, by, consistency=consistency, timeout=timeout))

    async def get_and_put(
        self,
        key: Key,
        value: Any,
        ttl: Duration | None = None,
        *,
        consistency: Consistency | None = None,
        timeout: Duration | None = None,
    ) -> Any:
        """Stores ``value`` and returns what was there before, or None; see `DHT.get_and_put`."""
        return await _settled(
            self._node.get_and_put(key, value, ttl, consistency=consistency, timeout=timeout)
        )

    async def get_and_delete(
        self,
        key: Key,
        default: Any = None,
        *,
        consistency: Consistency | None = None,
        timeout: Duration | None = None,
    ) -> Any:
        """Deletes ``key`` and returns what was there, or ``default``; see `DHT.get_and_delete`."""
        return await _settled(
            self._node.get_and_delete(key, default, consistency=consistency, timeout=timeout)
        )

    def scan(
        self, prefix: Key = "", *, consistency: Consistency | None = None, timeout: Duration | None = None
    ) -> AsyncIterator[tuple[Key, Any]]:
        """Iterates over the keys that begin with ``prefix``, by ``async for``; see `DHT.scan`.

        After an error of the network ``anext``, or another ``async for``, goes on where it was. A step that was
        cancelled may have taken a key with it.
        """
        return AsyncScan(self._node.scan(prefix, consistency=consistency, timeout=timeout))

    async def count(self, prefix: Key = "") -> int:
        """How many keys begin with ``prefix``, counted one by one; see `DHT.count`."""
        return await _settled(self._node.count(prefix))

    async def len(self) -> int:
        """About how many keys there are; see `DHT.len`."""
        return await _settled(self._node.len())

    async def clear(self, prefix: Key = "") -> int:
        """Deletes the keys that begin with ``prefix`` and returns how many; see `DHT.clear`."""
        return await _settled(self._node.clear(prefix))

    async def put_many(
        self,
        mapping: Mapping[K, Any],
        ttl: Duration | None = None,
        *,
        consistency: Consistency | None = None,
        timeout: Duration | None = None,
    ) -> dict[K, PutOutcome]:
        """Stores a mapping of keys to values; see `DHT.put_many`."""
        return await _settled(
            self._node.put_many(mapping, ttl, consistency=consistency, timeout=timeout)
        )

    async def get_many(
        self, keys: Iterable[K], *, consistency: Consistency | None = None, timeout: Duration | None = None
    ) -> dict[K, Any]:
        """The values of those of ``keys`` that have one; see `DHT.get_many`."""
        return await _settled(self._node.get_many(keys, consistency=consistency, timeout=timeout))

    async def delete_many(
        self, keys: Iterable[K], *, consistency: Consistency | None = None, timeout: Duration | None = None
    ) -> dict[K, bool]:
        """Deletes ``keys``; for each, whether it had a value; see `DHT.delete_many`."""
        return await _settled(
            self._node.delete_many(keys, consistency=consistency, timeout=timeout)
        )

    async def hash_key(self, key: Key) -> int:
        """The id of ``key`` on the ring. Works before `start` too."""
        return self._node.hash_key(key)

    async def locate(self, key: Key) -> list[NodeInfo]:
        """The nodes that keep ``key``, its owner first."""
        return self._node.locate(key)

    async def lookup_trace(self, key: Key) -> LookupTrace:
        """The way to the owner of ``key``; see `DHT.lookup_trace`."""
        return await _settled(self._node.lookup_trace(key))

    async def trace(
        self, key: Key, *, consistency: Consistency | None = None, timeout: Duration | None = None
    ) -> OperationTrace:
        """What every node did for a read of ``key``; see `DHT.trace`."""
        return await _settled(self._node.trace(key, consistency=consistency, timeout=timeout))

    async def snapshot(self, path: Path) -> SnapshotInfo:
        """Writes this node's records to a new file; see `DHT.snapshot`. Cancelled: no file is left."""
        return await _settled(self._node.snapshot(path))

    async def restore(self, path: Path) -> RestoreInfo:
        """Brings the records of a snapshot into the ring; see `DHT.restore`. Cancelled: a part may be restored."""
        return await _settled(self._node.restore(path))

    async def node_info(self) -> NodeInfo:
        """This node."""
        return self._node.node_info()

    async def predecessor(self) -> NodeInfo | None:
        """The first other node before this node's position 0; None alone."""
        return self._node.predecessor()

    async def successor_list(self) -> list[NodeInfo]:
        """The next other nodes clockwise; [] alone."""
        return self._node.successor_list()

    async def finger_table(self) -> list[Finger]:
        """The finger table of position 0, ascending: finger k is the node that owns position 0 + 2^k."""
        return self._node.finger_table()

    async def ring(self) -> RingInfo:
        """The ring as this node sees it."""
        return self._node.ring()

    async def members(self) -> list[NodeInfo]:
        """All nodes that this node remembers, those that are gone included."""
        return self._node.members()

    async def statistics(self) -> Statistics:
        """What this node has counted and measured since it started."""
        return self._node.statistics()

    async def health(self) -> Health:
        """Whether this node and its part of the ring are well."""
        return self._node.health()

    async def metrics(self) -> str:
        """Statistics, health and members by state as text in Prometheus' exposition format."""
        return self._node.metrics()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        try:
            return f"<AsyncDHT {self.node_id} at {self.address}>"
        except DHTError as error:
            return f"<AsyncDHT: {error}>"

    def __reduce__(self) -> Any:
        raise TypeError("a node belongs to its process: make one in each")
