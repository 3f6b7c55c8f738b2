"""The exception tree, and which call raises what."""

from __future__ import annotations

import pickle
import socket
from typing import Any, Callable

import dht
import dht.errors
import pytest

CONTRACT = {
    1: ("KeyNotFound", KeyError),
    2: ("InvalidArgument", ValueError),
    3: ("ConfigError", ValueError),
    4: ("NotStarted", None),
    5: ("NodeStopped", None),
    6: ("NotJoined", None),
    7: ("OperationTimeout", TimeoutError),
    8: ("QuorumError", None),
    9: ("Overloaded", None),
    10: ("IncompatibleRing", None),
    11: ("RingFull", None),
    12: ("TooLarge", ValueError),
    13: ("InvalidValue", ValueError),
    14: ("WrongFormat", None),
    15: ("Address", None),
    16: ("Unreachable", None),
    17: ("Insecure", None),
    18: ("Auth", None),
    19: ("MemoryFull", None),
    20: ("Storage", None),
    21: ("ClockSkew", None),
    22: ("Unsupported", None),
    23: ("ForkedProcess", None),
    24: ("Cancelled", None),
    25: ("Reentrant", None),
    26: ("NodeIdInUse", None),
    27: ("Internal", None),
}


def test_tree() -> None:
    assert len(dht.errors.BY_CODE) == len(CONTRACT) + 1
    for code, (name, base) in CONTRACT.items():
        made = dht.errors.BY_CODE[code]
        assert (made.__name__, made.code) == (name, code)
        assert getattr(dht, name) is made and name in dht.errors.__all__
        assert issubclass(made, dht.DHTError)
        for builtin in (KeyError, ValueError, TimeoutError):
            assert issubclass(made, builtin) == (builtin is base), (name, builtin)
        error = made("text", True)
        assert str(error) == "text" and error.maybe_applied
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.maybe_applied) == (made, "text", True)
    assert not dht.DHTError().maybe_applied


def test_life() -> None:
    node = dht.DHT()
    assert node.hash_key("k") > 0
    for call in calls(node):
        with pytest.raises(dht.NotStarted) as caught:
            call()
        assert caught.value.code == 4 and not caught.value.maybe_applied
    for end in [node.stop, node.leave]:
        with pytest.raises(dht.NotStarted):
            end()
    node.start()
    node.start()
    node.put("k", 1)
    node.stop()
    for end in [node.stop, node.leave, node.close, node.stop]:
        end()
    for call in calls(node):
        with pytest.raises(dht.NodeStopped):
            call()
    with pytest.raises(dht.NodeStopped):
        node.start()
    left = dht.DHT()
    left.start()
    left.leave()
    left.leave()
    left.stop()
    with pytest.raises(dht.NodeStopped):
        left.get("k")


def calls(node: dht.DHT) -> list[Callable[[], Any]]:
    return [
        lambda: node.get("k"),
        lambda: node.put("k", 1),
        lambda: node.delete("k"),
        lambda: node["k"],
        lambda: "k" in node,
        lambda: node.get_many(["k"]),
        lambda: node.put_many({"k": 1}),
        lambda: node.delete_many(["k"]),
        lambda: node.ttl("k"),
        lambda: node.join("127.0.0.1:1"),
        lambda: node.wait_ready(1),
        lambda: node.locate("k"),
        lambda: node.lookup_trace("k"),
        lambda: node.trace("k"),
        lambda: node.snapshot("s"),
        lambda: node.restore("s"),
        lambda: node.node_info(),
        lambda: node.statistics(),
        lambda: node.health(),
        lambda: node.metrics(),
        lambda: node.ring(),
        lambda: node.members(),
        lambda: node.predecessor(),
        lambda: node.successor_list(),
        lambda: node.finger_table(),
        lambda: node.address,
    ]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"port": 65536}, "port"),
        ({"port": -1}, "port"),
        ({"port": "many"}, "port"),
        ({"no_such_key": 1}, "no_such_key"),
        ({"hash_bits": 0}, "hash_bits"),
        ({"replication_factor": 0}, "replication_factor"),
        ({"request_timeout": 0}, "request_timeout"),
        ({"request_timeout": "soon"}, "request_timeout"),
        ({"port": 0, "request_timeout": float("nan")}, "request_timeout = nan"),
        ({"seeds": "127.0.0.1:1"}, "seeds"),
        ({"seeds": ["nowhere"]}, "nowhere"),
        ({"hash_function": "sha3"}, "hash_function"),
        ({"consistency": None}, "consistency"),
        ({"zone": object()}, "zone = <object"),
        ({"node_id": b"x"}, "node_id = b'x'"),
        ({"cluster_key": b"hush"}, r"cluster_key = \(hidden\)"),
        ({"consistent_hashing": False, "virtual_nodes": 4}, "virtual_nodes"),
    ],
    ids=repr,
)
def test_config(settings: dict[str, Any], named: str) -> None:
    for face in (dht.DHT, dht.AsyncDHT):
        with pytest.raises(dht.ConfigError, match=named) as caught:
            face(**settings)
        assert isinstance(caught.value, ValueError) and caught.value.code == 3
        assert "line 1" not in str(caught.value) and "hush" not in str(caught.value)


def test_not_found(alone: dht.DHT) -> None:
    with pytest.raises(KeyError) as caught:
        alone["none"]
    assert isinstance(caught.value, dht.KeyNotFound) and str(caught.value) == "no value under 'none'"
    with pytest.raises(dht.KeyNotFound):
        del alone[b"none"]


def test_arguments(alone: dht.DHT) -> None:
    ttl: Any
    for ttl in [0, -1, 0.0, float("nan"), float("inf"), 10**400, True, "", "soon", "0s"]:
        for call in [
            lambda: alone.put("k", 1, ttl),
            lambda: alone.put("k", 1, ttl=ttl),
            lambda: alone.put_with_ttl("k", 1, ttl),
            lambda: alone.put_many({"k": 1}, ttl),
            lambda: alone.get("k", timeout=ttl),
        ]:
            with pytest.raises(dht.InvalidArgument) as caught:
                call()
            assert isinstance(caught.value, ValueError)
    # Whoever gives several times is told which of them is wrong.
    with pytest.raises(dht.InvalidArgument) as caught:
        alone.put("k", 1, ttl=0, timeout=1)
    assert str(caught.value) == "ttl = 0: must be above 0"
    with pytest.raises(dht.InvalidArgument) as caught:
        alone.expire("k", -1.5)
    assert str(caught.value) == "ttl = -1.5: must be a finite number of seconds, not below 0"
    with pytest.raises(dht.InvalidArgument, match=r"^timeout = 'soon': must be seconds, or text like 250ms or 1h"):
        alone.put("k", 1, ttl=1, timeout="soon")
    with pytest.raises(dht.InvalidArgument, match=r"^timeout = True: must be a number of seconds"):
        alone.leave(True)
    for timeout in [3601, 0.0001, "2h"]:
        with pytest.raises(dht.InvalidArgument, match="1 ms and 1 h"):
            alone.get("k", timeout=timeout)
    level: Any = "most"
    with pytest.raises(dht.InvalidArgument, match="one, quorum, all"):
        alone.get("k", consistency=level)
    with pytest.raises(dht.InvalidArgument):
        alone.wait_ready(-1)
    wrong: Any
    for wrong in [[], {}, b"1s", object()]:
        with pytest.raises(TypeError):
            alone.put("k", 1, wrong)
    with pytest.raises(TypeError):
        alone.put("k")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="list of keys"):
        alone.get_many("key")
    with pytest.raises(TypeError, match="mapping"):
        alone.put_many([("k", 1)])  # type: ignore[arg-type]
    assert "k" not in alone


def test_sizes(make: Callable[..., dht.DHT]) -> None:
    node = make(max_value_size=10, max_key_size="2B")
    with pytest.raises(dht.TooLarge):
        node.put("k", "x" * 9)
    with pytest.raises(dht.TooLarge):
        node.get("key")
    with pytest.raises(dht.BatchError) as caught:
        node.put_many({"a": 1, "b": "x" * 20, "c": 3, b"long": 4})
    error = caught.value
    assert list(error.results) == ["a", "c"] and all(error.results.values())
    assert [(key, type(value)) for key, value in error.errors.items()] == [
        ("b", dht.TooLarge),
        (b"long", dht.TooLarge),
    ]
    assert error.code == 12 and not error.maybe_applied and "2 of 4" in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert again.results == error.results and list(again.errors) == list(error.errors)
    with pytest.raises(dht.BatchError) as reads:
        node.get_many(["a", "key", "x"])
    assert reads.value.results == {"a": 1} and list(reads.value.errors) == ["key"]
    with pytest.raises(dht.BatchError) as deletes:
        node.delete_many(["a", "key"])
    assert deletes.value.results == {"a": True}


def test_addresses(make: Callable[..., dht.DHT]) -> None:
    node = make()
    for wrong in ["", "nowhere", "127.0.0.1:99999", node.address]:
        with pytest.raises(dht.InvalidArgument):
            node.join(wrong)
    with pytest.raises(dht.InvalidArgument):
        node.join([])
    with pytest.raises(TypeError):
        node.join(7400)  # type: ignore[arg-type]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        other = dht.DHT(port=taken.getsockname()[1])
        with pytest.raises(dht.Address):
            other.start()
        # It failed for a reason of the machine: it may be tried again.
        taken.close()
        other.start()
        other.stop()
    lonely = make(request_timeout=0.3, max_retries=0)
    with pytest.raises(dht.Unreachable):
        lonely.join("127.0.0.1:1")
    stranger = make(cluster_name="other")
    with pytest.raises(dht.IncompatibleRing, match="other"):
        node.join(stranger.address)


def test_not_joined(make: Callable[..., dht.DHT]) -> None:
    node = make(seeds=["127.0.0.1:1"], request_timeout=0.2)
    assert not node.health().joined
    with pytest.raises(dht.NotJoined):
        node.get("k")
    with pytest.raises(TimeoutError) as caught:
        node.wait_ready(0.05)
    assert isinstance(caught.value, dht.OperationTimeout)


def test_wrong_because_of_others(make: Callable[..., dht.DHT]) -> None:
    there = make(node_id="there")
    seeds = [there.address]
    cases: list[tuple[dict[str, Any], type[dht.DHTError]]] = [
        ({"seeds": ["no-such-host.invalid:1"]}, dht.Address),
        ({"port": int(there.address.rsplit(":", 1)[1])}, dht.Address),
        ({"seeds": seeds, "hash_bits": 64}, dht.IncompatibleRing),
        ({"seeds": seeds, "node_id": "there"}, dht.NodeIdInUse),
    ]
    for settings, expected in cases:
        with pytest.raises(expected):
            dht.DHT(**settings).start()
    with pytest.raises(dht.InvalidArgument):
        there.join(there.address)
    with pytest.raises(dht.Insecure):
        dht.DHT(address="0.0.0.0")
    there["k"] = 1
    assert there["k"] == 1


def test_an_interrupted_close_still_stops() -> None:
    class Interrupted(dht.DHT):
        def leave(self, timeout: float | str = 10.0) -> None:
            raise KeyboardInterrupt

    node = Interrupted()
    node.start()
    with pytest.raises(KeyboardInterrupt):
        node.close()
    with pytest.raises(dht.NodeStopped):
        node.get("k")
