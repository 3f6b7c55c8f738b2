"""An embeddable, replicated, self-healing distributed hash table.

A program starts a node inside its own process and has a key-value store shared with every process that joined the same
ring: no server, no leader.

>>> import dht
>>> with dht.DHT() as first, dht.DHT() as second:
...     second.join(first.address)
...     second["greeting"] = {"text": "hello"}
...     first["greeting"]
{'text': 'hello'}
"""

from __future__ import annotations

import atexit as _atexit

from . import _dht
from ._async import AsyncDHT
from ._dht import Expected, PutOutcome, Swap, Versioned, __version__
from ._sync import DHT
from .errors import (
    Address,
    Auth,
    BatchError,
    Cancelled,
    ClockSkew,
    ConfigError,
    DHTError,
    ForkedProcess,
    IncompatibleRing,
    Insecure,
    Internal,
    InvalidArgument,
    InvalidValue,
    KeyNotFound,
    MemoryFull,
    NodeIdInUse,
    NodeStopped,
    NotJoined,
    NotStarted,
    OperationTimeout,
    Overloaded,
    QuorumError,
    Reentrant,
    RingFull,
    Storage,
    TooLarge,
    Unreachable,
    Unsupported,
    WrongFormat,
)

# See `_sync`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from .types import (
        Finger,
        Health,
        Hop,
        HopNode,
        LookupTrace,
        NodeInfo,
        OperationTrace,
        RestoreInfo,
        RingInfo,
        RingNode,
        SnapshotInfo,
        Statistics,
        TraceSpan,
    )

__all__ = [
    "DHT",
    "Address",
    "AsyncDHT",
    "Auth",
    "BatchError",
    "Cancelled",
    "ClockSkew",
    "ConfigError",
    "DHTError",
    "Expected",
    "Finger",
    "ForkedProcess",
    "Health",
    "Hop",
    "HopNode",
    "IncompatibleRing",
    "Insecure",
    "Internal",
    "InvalidArgument",
    "InvalidValue",
    "KeyNotFound",
    "LookupTrace",
    "MemoryFull",
    "NodeIdInUse",
    "NodeInfo",
    "NodeStopped",
    "NotJoined",
    "NotStarted",
    "OperationTimeout",
    "OperationTrace",
    "Overloaded",
    "PutOutcome",
    "QuorumError",
    "Reentrant",
    "RestoreInfo",
    "RingFull",
    "RingInfo",
    "RingNode",
    "SnapshotInfo",
    "Statistics",
    "Storage",
    "Swap",
    "TooLarge",
    "TraceSpan",
    "Unreachable",
    "Unsupported",
    "Versioned",
    "WrongFormat",
    "__version__",
]

# After all threads that are waited for; calls that wait in daemon threads end with their nodes.
_atexit.register(_dht.end_all)


_TYPES = frozenset({
    "Finger", "Health", "Hop", "HopNode", "LookupTrace", "NodeInfo", "OperationTrace", "RestoreInfo", "RingInfo",
    "RingNode", "SnapshotInfo", "Statistics", "TraceSpan", "types",
})  # fmt: skip


def __getattr__(name: str) -> object:
    # Half of the time of an import would go into dataclasses that most programs never see.
    if name in _TYPES:
        from importlib import import_module

        types = import_module(".types", __name__)
        return types if name == "types" else getattr(types, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
