"""The exceptions of this package: one class for each kind of error, all under `DHTError`.

``code`` is the number of the kind, the same in every language; ``maybe_applied`` tells whether the operation may have
taken effect all the same.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

__all__ = [
    "Address",
    "Auth",
    "BatchError",
    "Cancelled",
    "ClockSkew",
    "ConfigError",
    "DHTError",
    "ForkedProcess",
    "IncompatibleRing",
    "Insecure",
    "Internal",
    "InvalidArgument",
    "InvalidValue",
    "KeyNotFound",
    "MemoryFull",
    "NodeIdInUse",
    "NodeStopped",
    "NotJoined",
    "NotStarted",
    "OperationTimeout",
    "Overloaded",
    "QuorumError",
    "Reentrant",
    "RingFull",
    "Storage",
    "TooLarge",
    "Unreachable",
    "Unsupported",
    "WrongFormat",
]


class DHTError(Exception):
    """Any error of this package.

    >>> import dht
    >>> try:
    ...     dht.DHT(port=65536)
    ... except dht.DHTError as error:
    ...     print(type(error).__name__, error.code, error.maybe_applied)
    ConfigError 3 False
    """

    code: ClassVar[int] = 0
    """The number of the kind; 0 only for this class itself."""

    maybe_applied: bool
    """True where the outcome is unknown; False means that nothing was changed."""

    def __init__(self, message: str = "", maybe_applied: bool = False) -> None:
        super().__init__(message)
        self.maybe_applied = maybe_applied

    def __str__(self) -> str:
        # KeyError and OSError would show it in their own way.
        return str(self.args[0]) if self.args else ""


class KeyNotFound(DHTError, KeyError):
    """There is no value under the key (only ``node[key]`` and ``del node[key]`` raise it)."""

    code = 1


class InvalidArgument(DHTError, ValueError):
    """An argument is outside what the operation takes. Correct the call; repeating it fails again."""

    code = 2


class ConfigError(DHTError, ValueError):
    """The configuration is wrong; the text names key, value and bound."""

    code = 3


class NotStarted(DHTError):
    """The node was not started. Call ``start`` first, or use ``with``."""

    code = 4


class NodeStopped(DHTError):
    """The node was stopped or has left; it is never started again. Make a new one."""

    code = 5


class NotJoined(DHTError):
    """The node did not get into a ring within the deadline; it keeps trying. Call again later, or check the seeds."""

    code = 6


class OperationTimeout(DHTError, TimeoutError):
    """The deadline passed. Where ``maybe_applied`` is true, read before deciding to write again."""

    code = 7


class QuorumError(DHTError):
    """Fewer replicas answered than the level needs. Try again, take a lower level, or bring nodes back."""

    code = 8


class Overloaded(DHTError):
    """A queue is full here or at the peer. Wait a little and send less at once; nothing was queued."""

    code = 9


class IncompatibleRing(DHTError):
    """The ring has other immutable parameters, or another name; the text says both values."""

    code = 10


class RingFull(DHTError):
    """No position is left for this node, or the ring has ``max_table_nodes``; the text says which."""

    code = 11


class TooLarge(DHTError, ValueError):
    """Key or value is longer than ``max_key_size`` or ``max_value_size``."""

    code = 12


class InvalidValue(DHTError, ValueError):
    """The value cannot be stored, such as NaN or a lone surrogate."""

    code = 13


class WrongFormat(DHTError):
    """The stored value has another format than the one asked for."""

    code = 14


class Address(DHTError):
    """An address cannot be bound or resolved. Choose another address or port, or check the name service."""

    code = 15


class Unreachable(DHTError):
    """No peer answered at the address. Check that it runs and that the network lets us through; then try again."""

    code = 16


class Insecure(DHTError):
    """The node would be open to anyone who reaches its port. The text says which ways out exist."""

    code = 17


class Auth(DHTError):
    """The peer does not prove that it belongs to the ring, or we do not to it. Check keys and certificates."""

    code = 18


class MemoryFull(DHTError):
    """``max_memory`` is used up and the policy is to refuse. Delete, raise it, or let it evict."""

    code = 19


class Storage(DHTError):
    """The disk failed or is full. Mend it and restart the node; the replicas keep the data meanwhile."""

    code = 20


class ClockSkew(DHTError):
    """Clocks differ by more than ``max_clock_offset``; the text says both. Set the clock, then join again."""

    code = 21


class Unsupported(DHTError):
    """This release, or the peer's, does not have the feature. Leave the key at its default, or upgrade."""

    code = 22


class ForkedProcess(DHTError):
    """The process was forked after the node was made. Make and start a node in the child instead."""

    code = 23


class Cancelled(DHTError):
    """The caller gave the call up. Where ``maybe_applied`` is true, read before deciding to write again."""

    code = 24


class Reentrant(DHTError):
    """A blocking call was made from inside a callback of the library. Make it from another thread."""

    code = 25


class NodeIdInUse(DHTError):
    """A live node has this node_id. Choose another, or stop the other node first."""

    code = 26


class Internal(DHTError):
    """A defect of this library. Report it with its text; the node may be restarted."""

    code = 27


class BatchError(DHTError):
    """Some keys of a batch failed. ``results`` has what the others gave, ``errors`` a `DHTError` for each that failed.

    ``code`` is that of the first error; ``maybe_applied`` is true if it is for any of them.

    >>> import dht
    >>> with dht.DHT(max_key_size=3) as node:
    ...     try:
    ...         node.put_many({"ok": 1, "long": 2})
    ...     except dht.BatchError as error:
    ...         print(list(error.results), list(error.errors), type(error.errors["long"]).__name__)
    ['ok'] ['long'] TooLarge
    """

    results: dict[Any, Any]
    errors: dict[Any, DHTError]

    def __init__(self, results: dict[Any, Any], errors: dict[Any, DHTError]) -> None:
        count = len(errors)
        first = next(iter(errors.items()), None)
        text = f"{count} of {count + len(results)} keys failed"
        if first is not None:
            text += f", the first: {first[0]!r}: {type(first[1]).__name__}: {first[1]}"
        super().__init__(text, any(error.maybe_applied for error in errors.values()))
        self.code = first[1].code if first is not None else 0  # type: ignore[misc]
        self.results = results
        self.errors = errors

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.results, self.errors)


BY_CODE: list[type[DHTError]] = [
    DHTError,
    KeyNotFound,
    InvalidArgument,
    ConfigError,
    NotStarted,
    NodeStopped,
    NotJoined,
    OperationTimeout,
    QuorumError,
    Overloaded,
    IncompatibleRing,
    RingFull,
    TooLarge,
    InvalidValue,
    WrongFormat,
    Address,
    Unreachable,
    Insecure,
    Auth,
    MemoryFull,
    Storage,
    ClockSkew,
    Unsupported,
    ForkedProcess,
    Cancelled,
    Reentrant,
    NodeIdInUse,
    Internal,
]
"""The class of each number."""
