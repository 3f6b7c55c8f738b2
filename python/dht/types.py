"""What nodes tell about themselves and the ring: frozen dataclasses. Times are seconds, instants Unix seconds, ids
lower-case hexadecimal.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Union

from ._dht import Expected, PutOutcome, Swap, Versioned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "Consistency",
    "Duration",
    "Expected",
    "Finger",
    "Health",
    "Hop",
    "HopNode",
    "Key",
    "LookupTrace",
    "NodeInfo",
    "OperationTrace",
    "PutOutcome",
    "RestoreInfo",
    "RingInfo",
    "RingNode",
    "Settings",
    "SnapshotInfo",
    "Statistics",
    "Swap",
    "TlsFiles",
    "TraceSpan",
    "Versioned",
]

Key = Union[str, bytes]
"""``"k"`` and ``b"k"`` are one key."""

Consistency = Literal["one", "quorum", "all"]
"""How many replicas answer before a call returns."""

Duration = Union[float, str]
"""Seconds, or text like "250ms"."""

Size = Union[int, str]
"""Bytes, or text like "16MiB"."""

Path = Union[str, "PathLike[str]"]


class TlsFiles(TypedDict):
    """The files of mutual TLS, all PEM."""

    cert: Path
    key: Path
    ca: Path


class Settings(TypedDict, total=False):
    """The keyword arguments of `dht.DHT`; what is left out keeps its default. docs/configuration.md of the sources has each
    with its default, its bounds and what it does."""

    node_id: str
    address: str
    port: int
    advertise: str
    seeds: Sequence[str]
    cluster_name: str
    hash_function: Literal["fnv1", "fnv1a", "crc32", "md5", "sha1", "sha256", "consistent"]
    hash_bits: int
    slot_bits: int
    replication_factor: int
    min_replicas: int
    consistency: Consistency
    successor_list_size: int
    virtual_nodes: int | None
    consistent_hashing: bool
    backup_replicas: bool
    repair_rate: Size
    stabilize_interval: Duration
    fix_finger_interval: Duration
    check_predecessor: Duration
    heartbeat_interval: Duration
    request_timeout: Duration
    max_retries: int
    buffer_size: int
    max_connections: int
    network_protocol: Literal["tcp", "udp"]
    enable_logging: bool
    enable_metrics: bool
    routing: Literal["one_hop", "chord"]
    max_table_nodes: int
    data_dir: Path | None
    durability: Literal["none", "interval", "always"]
    max_memory: Size | None
    eviction: Literal["reject", "lru"]
    max_key_size: Size
    max_value_size: Size
    tombstone_grace: Duration
    max_clock_offset: Duration
    cluster_key: str | None
    tls: TlsFiles | None
    allow_insecure: bool
    zone: str
    worker_threads: int
    trace_sample: int


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """One node as another one sees it."""

    id: str
    """Its node_id."""
    address: str
    """"host:port": what ``join`` takes."""
    state: str
    """joining, active, suspect, leaving, left or dead."""
    last_seen: float
    """When it last answered, Unix seconds; until it first has, when this node heard of it. 0 of one that never answered and is suspected or gone."""
    incarnation: int
    """Raised by the node itself whenever it has something new to say."""
    vnodes: int
    """Positions on the ring."""
    zone: str
    """Failure domain; empty: none."""

    @classmethod
    def _of(cls, told: Mapping[str, Any]) -> NodeInfo:
        return cls(**told)


@dataclass(frozen=True, slots=True)
class RingNode(NodeInfo):
    """One member of the ring with its part of the key space."""

    positions: tuple[str, ...]
    """Its ids on the ring, by index."""
    share: float
    """Fraction of the key space that it owns; 0 while it is not active."""

    @classmethod
    def _of(cls, told: Mapping[str, Any]) -> RingNode:
        return cls(**{**told, "positions": tuple(told["positions"])})


@dataclass(frozen=True, slots=True)
class RingInfo:
    """The ring as one node sees it."""

    hash_bits: int
    """Width of an id."""
    slot_bits: int
    """The key space has 2 ** min(hash_bits, slot_bits) slots."""
    replication_factor: int
    """Copies of each record, on distinct nodes."""
    view: str
    """Fingerprint of the set of nodes: equal on nodes that know the same."""
    nodes: tuple[RingNode, ...]
    """All present nodes, ascending by id."""

    @classmethod
    def _of(cls, told: Mapping[str, Any]) -> RingInfo:
        return cls(**{**told, "nodes": tuple(RingNode._of(node) for node in told["nodes"])})


@dataclass(frozen=True, slots=True)
class Finger:
    """One entry of a finger table."""

    index: int
    """k, from 0: the finger of 2 ** k."""
    start: str
    """Position 0 + 2 ** k."""
    node: NodeInfo
    """The node that owns ``start``."""

    @classmethod
    def _of(cls, told: Mapping[str, Any]) -> Finger:
        return cls(**{**told, "node": NodeInfo._of(told["node"])})


@dataclass(frozen=True, slots=True)
class HopNode:
    """Who was asked in a lookup, by the name and address that the asking node had for it."""

    id: str
    """Its node_id."""
    address: str
    """"host:port"."""

    @classmethod
    def _of(cls, told: Mapping[str, Any]) -> HopNode:
        return cls(**told)


@dataclass(frozen=True, slots=True)
class Hop:
    """One node asked in a lookup."""

    node: HopNode
    """Who was asked."""
    position: str
    """The position of that node which led there."""
    took: float
    """Seconds until it answered or was given up."""
    outcome: Literal["closer", "owner", "silent"]
    """It named nodes nearer to the target; it named the owner, which ends the lookup; or it gave no answer, or an
    error, and the next nearest known was asked instead."""

    @classmethod
    def _of(cls, told: Mapping[str, Any]) -> Hop:
        return cls(**{**told, "node": HopNode._of(told["node"])})


@dataclass(frozen=True, slots=True)
class LookupTrace:
    """The way of one lookup to the owner of a key, as one node walked it."""

    key_id: str
    """The id of the key."""
    slot: int
    """The slot that the key falls in, from 0."""
    target: str
    """The last id of the slot: its owner is the owner of the slot, so this is what lookups look for."""
    owner: NodeInfo
    """The node that the walk found."""
    hops: tuple[Hop, ...]
    """The nodes asked, in that order; none if the node itself knew the owner."""
    one_hop: bool
    """The view of the node that walked named the same owner, so that operations reach it without a walk."""
    took: float
    """Seconds, from the call to its end."""

    @classmethod
    def _of(cls, told: Mapping[str, Any]) -> LookupTrace:
        hops = tuple(Hop._of(hop) for hop in told["hops"])
        return cls(**{**told, "owner": NodeInfo._of(told["owner"]), "hops": hops})


@dataclass(frozen=True, slots=True)
class TraceSpan:
    """One step of a traced operation. Times are seconds on one node's clock: no clock is compared with another."""

    depth: int
    """0: asked for, or done, by the node that was called; one more for every node between."""
    node: HopNode
    """Who did it."""
    what: str
    """The kind of the request: ``"apply"`` (coordinate this), ``"store"``, ``"fetch"``, ``"lookup"`` and others."""
    attempt: int
    """0 at the first try."""
    hedged: bool
    """Asked because others, asked before, had not answered yet."""
    begun: float
    """Since the step above it began; at depth 0 since the call."""
    took: float
    """Until it ended for who asked; of a pending one until the step above it ended."""
    served: float | None
    """Of that, at the node that did it; None if it gave no answer or is of an older release."""
    on_the_way: float | None
    """The rest: on the way there and back."""
    outcome: str
    """``"done"``, ``"pending"`` (not needed any more), ``"misrouted"`` (it does not own the key), ``"stale"`` (it knows
    another replica list), ``"not_ready"`` (it has not caught up), ``"refused"`` (it has a higher version), or the name of an
    error, as ``"TIMEOUT"``."""

    @classmethod
    def _of(cls, told: Mapping[str, Any]) -> TraceSpan:
        return cls(**{**told, "node": HopNode._of(told["node"])})


@dataclass(frozen=True, slots=True)
class OperationTrace:
    """One operation, followed through all nodes that worked for it."""

    trace_id: str
    """What the messages of this operation carried and the logs of the nodes name: 16 hexadecimal digits."""
    operation: str
    """``"get"``."""
    key_id: str
    """The id of the key."""
    level: Consistency
    """How many replicas were asked."""
    took: float
    """Seconds, from the call to its end."""
    found: bool
    """Whether there is a value."""
    version: str | None
    """The version that was read, if any."""
    error: str | None
    """The name of the error with which the operation ended; None if it did not fail."""
    message: str
    """The text of the error."""
    maybe_applied: bool
    """For writes."""
    spans: tuple[TraceSpan, ...]
    """What was done where, in the order in which it began: each step right before those that it needed."""
    left_out: int
    """Steps that are not in ``spans``, of which there are 64 at most."""

    @classmethod
    def _of(cls, told: Mapping[str, Any]) -> OperationTrace:
        return cls(**{**told, "spans": tuple(TraceSpan._of(span) for span in told["spans"])})


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """A snapshot that was written."""

    records: int
    """Records in it, deletions included."""
    bytes: int
    """Bytes of the file."""

    @classmethod
    def _of(cls, told: Mapping[str, Any]) -> SnapshotInfo:
        return cls(**told)


@dataclass(frozen=True, slots=True)
class RestoreInfo:
    """A snapshot that was restored."""

    records: int
    """Records in it, deletions included."""
    superseded: int
    """Of those, records that met a higher version, which stayed."""
    bytes: int
    """Bytes of the file."""

    @classmethod
    def _of(cls, told: Mapping[str, Any]) -> RestoreInfo:
        return cls(**told)


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a node and its part of the ring are well: what a readiness probe asks."""

    joined: bool
    """The node is active in a ring."""
    handed_over: bool
    """It has all that it should hold and nothing that others should."""
    fully_replicated: bool
    """It has caught up with all that it holds, and every slot that it owns has all its replicas, as many as the ring has
    nodes for, caught up and equal."""
    under_replicated_slots: int
    """Slots that it owns that lack a replica, or one that has caught up and is equal."""
    bytes_to_go: int
    """Bytes that it still has to hand over."""
    storage_ok: bool
    """The store takes writes."""

    @classmethod
    def _of(cls, told: Mapping[str, Any]) -> Health:
        return cls(**told)


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a node has counted and measured since it started, operations per key and at the node called. Times are
    seconds."""

    start_time: float
    """When the node started, Unix seconds."""
    uptime: float
    """For how long the node has run, in seconds."""
    messages_sent: int
    """Messages sent to other nodes and to clients."""
    messages_received: int
    """Messages received from other nodes and from clients."""
    bytes_sent: int
    """Bytes sent to other nodes and to clients."""
    bytes_received: int
    """Bytes received from other nodes and from clients."""
    stores_successful: int
    """Keys that were written or deleted through this node: a batch of 1,000 is 1,000."""
    stores_failed: int
    """Keys that could not be written or deleted through this node."""
    lookups_successful: int
    """Keys that were read through this node, with a value or without."""
    lookups_failed: int
    """Keys that could not be read through this node."""
    lookups_not_found: int
    """Keys that were read through this node and had no value; they are successful lookups too."""
    average_store_time: float
    """Mean of what successful writes took, in seconds; 0 before the first."""
    average_lookup_time: float
    """Mean of what successful reads took, in seconds, of those from memory one in 16 timed for all; 0 before the
    first."""
    store_time_p50: float
    """Half of the successful writes took no longer, in seconds, within a sixteenth; 0 before the first and without
    ``enable_metrics``."""
    store_time_p99: float
    """The same of 99 in 100 successful writes."""
    lookup_time_p50: float
    """The same of half of the successful reads."""
    lookup_time_p99: float
    """The same of 99 in 100 successful reads."""
    data_items_stored: int
    """Records with a value on this node, replicas included."""
    data_bytes_stored: int
    """Bytes of keys and values on this node, replicas included."""
    nodes_joined: int
    """Other nodes that joined or came back, clients not counted."""
    nodes_left: int
    """Other nodes that left or were given up, clients not counted."""
    network_errors: int
    """Dials that failed, connections that broke, frames that were malformed."""
    stabilize_operations: int
    """Rounds of stabilize, one for each position."""
    finger_table_updates: int
    """Fingers that were set to another node."""
    heartbeats_sent: int
    """Probes that were sent to other nodes."""
    replications_sent: int
    """Records that were sent to replicas."""
    lookup_success_rate: float
    """Fraction of the reads that succeeded, 0 to 1; 1 before the first."""
    store_success_rate: float
    """Fraction of the writes that succeeded, 0 to 1; 1 before the first."""
    node_availability: float
    """Fraction of the probes that were answered, 0 to 1; 1 before the first."""
    finger_table_accuracy: float
    """Fraction of the fingers of position 0 that name the right node, 0 to 1."""
    conflicts_resolved: int
    """Records of which two replicas had different versions."""
    under_replicated_slots: int
    """Slots that the node owns which lack a replica that has caught up and is equal."""
    hits: int
    """Keys that were read through this node and had a value."""
    misses: int
    """The same as ``lookups_not_found``."""
    evictions: int
    """Records that this node evicted to stay below ``max_memory``."""
    expirations: int
    """Values that this node dropped because their time to live was over, some seconds later."""
    misbehaviours: int
    """Things that others did to this node which no node does."""
    misbehaviour_kinds: dict[str, int]
    """Misbehaviours by kind, such as ``bad_handshake``."""
    misbehaving_peers: dict[str, int]
    """Misbehaviours by who did them, of at most 256 peers those with the most: an IP address, an address dialled or
    a node_id. The source of a datagram may be forged."""
    errors: dict[str, int]
    """Errors by name, such as ``TIMEOUT``: of operations called here, and of what the node does by itself."""

    @classmethod
    def _of(cls, told: Mapping[str, Any]) -> Statistics:
        return cls(**told)
