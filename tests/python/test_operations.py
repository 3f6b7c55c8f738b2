"""Every operation of the blocking face, alone and in a ring."""

from __future__ import annotations

import gc
import inspect
import logging
import pickle
import threading
import time
from collections.abc import Iterable, Sized
from pathlib import Path
from typing import Any, Callable

import dht
import pytest


def test_put_outcome(alone: dht.DHT, pair: tuple[dht.DHT, dht.DHT]) -> None:
    outcome = alone.put("k", 0)
    assert outcome
    assert (outcome.acks, outcome.wanted, outcome.set_size, outcome.degraded) == (1, 1, 1, True)
    assert alone.put("k", 1).version > outcome.version
    assert pickle.loads(pickle.dumps(outcome)) == outcome and hash(outcome) == hash(outcome)
    assert repr(outcome) == (
        f"PutOutcome(version={outcome.version!r}, acks=1, wanted=1, set_size=1, degraded=True)"
    )
    with pytest.raises(AttributeError):
        outcome.acks = 2  # type: ignore[misc]
    both = pair[0].put("k", 0, consistency="all")
    assert (both.acks, both.wanted, both.set_size, both.degraded) == (2, 2, 2, True)


def test_get_and_delete(alone: dht.DHT) -> None:
    assert alone.get("g") is None and alone.get("g", 5) == 5 and alone.get_versioned("g") is None
    outcome = alone.put("g", None)
    assert alone.get("g", 5) is None and "g" in alone and alone.contains("g")
    found = alone.get_versioned("g")
    assert found == dht.Versioned(None, outcome.version)
    assert pickle.loads(pickle.dumps(found)) == found
    assert alone.delete("g") is True and alone.delete("g") is False and "g" not in alone


def test_items(alone: dht.DHT) -> None:
    alone["i"] = [1]
    assert alone["i"] == [1] and "i" in alone
    del alone["i"]
    assert "i" not in alone


def test_no_len_and_not_iterable(alone: dht.DHT) -> None:
    node: Any = alone
    with pytest.raises(TypeError):
        len(node)
    with pytest.raises(TypeError):
        iter(node)
    with pytest.raises(TypeError):
        list(node)
    assert not isinstance(node, Iterable) and not isinstance(node, Sized) and bool(node)


def test_ttl(alone: dht.DHT) -> None:
    alone.put("t", 1, ttl=100)
    left = alone.ttl("t")
    assert left is not None and 99 < left <= 100
    found = alone.get_versioned("t")
    assert found is not None and found.expires_at is not None
    assert abs(found.expires_at - time.time() - 100) < 2
    alone.put("t", 1)
    assert alone.ttl("t") is None and alone.ttl("none") is None
    alone.put_with_ttl("t", 1, 0.001)
    alone.put_many({"u": 1}, ttl=0.001)
    until = time.monotonic() + 5
    while "t" in alone or "u" in alone:
        assert time.monotonic() < until, "not expired"


def test_batches(alone: dht.DHT, pair: tuple[dht.DHT, dht.DHT]) -> None:
    for node in (alone, pair[0]):
        many = {f"b{i}": i for i in range(1000)}
        outcomes = node.put_many(many)
        assert list(outcomes) == list(many) and all(outcomes.values())
        asked = ["b7", "none", b"b8", "b3", "b7"]
        assert list(node.get_many(asked).items()) == [("b7", 7), (b"b8", 8), ("b3", 3)]
        assert node.get_many(iter(many)) == many
        assert node.delete_many(["b1", "none"]) == {"b1": True, "none": False}
        assert node.put_many({}) == {} and node.get_many([]) == {} and node.delete_many([]) == {}
    assert pair[1].get("b999") == 999


def test_hash_key() -> None:
    assert dht.DHT(hash_function="sha1").hash_key("abc") == 0xA9993E364706816ABA3E25717850C26C9CD0D89D
    assert dht.DHT(hash_bits=8).hash_key(b"abc") == 0xBA
    with pytest.raises(dht.TooLarge):
        dht.DHT(max_key_size=1).hash_key("abc")


def test_topology(pair: tuple[dht.DHT, dht.DHT], alone: dht.DHT) -> None:
    first, second = pair
    info = first.node_info()
    assert (info.id, info.address, info.state, info.vnodes) == ("first", first.address, "active", 16)
    assert first.node_id == "first" and abs(info.last_seen - time.time()) < 5
    other = first.predecessor()
    assert other is not None and other.id == "second"
    assert [node.id for node in first.successor_list()] == ["second"]
    assert {node.id for node in second.members()} == {"first", "second"}
    assert {node.id for node in first.locate("k")} == {"first", "second"}
    ring = first.ring()
    assert (ring.hash_bits, ring.slot_bits, ring.replication_factor) == (160, 14, 3)
    assert [node.id for node in ring.nodes] == ["first", "second"]
    assert abs(sum(node.share for node in ring.nodes) - 1) < 1e-9
    assert all(len(node.positions) == 16 and len(node.positions[0]) == 40 for node in ring.nodes)
    assert ring.view == second.ring().view
    for finger in first.finger_table():
        assert 0 <= finger.index < 160 and len(finger.start) == 40 and finger.node.id in ("first", "second")
    assert alone.predecessor() is None and alone.successor_list() == [] and alone.ring().nodes[0].share == 1.0
    with pytest.raises(AttributeError):
        info.id = "x"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(ring)) == ring


def test_lookup_trace(pair: tuple[dht.DHT, dht.DHT], make: Callable[..., dht.DHT]) -> None:
    first, second = pair
    client = make(virtual_nodes=0, seeds=[first.address])
    for node, hops in [(first, range(0, 2)), (second, range(0, 2)), (client, range(1, 3))]:
        trace = node.lookup_trace("k")
        assert trace.owner.id == node.locate("k")[0].id and trace.one_hop
        assert int(trace.key_id, 16) == node.hash_key("k") and trace.slot == node.hash_key("k") >> 146
        assert int(trace.target, 16) == node.hash_key("k") | ((1 << 146) - 1)
        assert len(trace.hops) in hops and trace.took >= sum(hop.took for hop in trace.hops)
        for hop in trace.hops:
            assert {"first": first, "second": second}[hop.node.id].address == hop.node.address
            assert len(hop.position) == 40 and hop.took > 0
        assert not trace.hops or trace.hops[-1].outcome == "owner"
        assert pickle.loads(pickle.dumps(trace)) == trace
        with pytest.raises(AttributeError):
            trace.slot = 0  # type: ignore[misc]


def test_trace(pair: tuple[dht.DHT, dht.DHT]) -> None:
    first, second = pair
    first.put("k", 1, consistency="all")
    trace = first.trace("k", consistency="all")
    assert (trace.operation, trace.level, trace.found, trace.error) == ("get", "all", True, None)
    assert int(trace.key_id, 16) == first.hash_key("k") and len(trace.trace_id) == 16 and trace.left_out == 0
    assert sorted(span.node.id for span in trace.spans) == sorted([first.node_id, second.node_id])
    for span in trace.spans:
        assert (span.what, span.outcome, span.depth, span.attempt, span.hedged) == ("fetch", "done", 0, 0, False)
        assert span.served is not None and span.on_the_way is not None
        assert abs(span.served + span.on_the_way - span.took) < 1e-6 and span.took <= trace.took
    missing = second.trace("none")
    assert (missing.found, missing.version) == (False, None)
    assert pickle.loads(pickle.dumps(trace)) == trace
    with pytest.raises(dht.TooLarge):
        first.trace("k" * 5000)


def test_snapshot_and_restore(make: Callable[..., dht.DHT], tmp_path: Path) -> None:
    node = make()
    node.put_many({f"k{i}": i for i in range(100)})
    node.delete("k0")
    path = tmp_path / "snapshot"
    info = node.snapshot(path)
    assert info == dht.SnapshotInfo(100, path.stat().st_size)
    with pytest.raises(dht.InvalidArgument, match="overwrites nothing"):
        node.snapshot(str(path))
    other = make()
    assert other.restore(str(path)) == dht.RestoreInfo(100, 0, info.bytes)
    assert other.get_many([f"k{i}" for i in range(100)]) == {f"k{i}": i for i in range(1, 100)}
    other.put("k1", "newer")
    assert other.restore(path).superseded == 1 and other.get("k1") == "newer"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(dht.Storage, match="damaged"):
        other.restore(path)
    with pytest.raises(dht.InvalidArgument, match="no snapshot"):
        other.restore(__file__)
    with pytest.raises(TypeError):
        node.snapshot(1)  # type: ignore[arg-type]
    assert [file.name for file in tmp_path.iterdir()] == ["snapshot"]


def test_health_and_statistics(make: Callable[..., dht.DHT]) -> None:
    node = make()
    health = node.health()
    assert health == dht.Health(True, True, True, 0, 0, True)
    node.put_many({"a": 1, "b": 2})
    node.get("a")
    node.get("none")
    with pytest.raises(dht.TooLarge):
        node.put("k" * 5000, 1)
    numbers = node.statistics()
    assert (numbers.stores_successful, numbers.lookups_successful, numbers.lookups_not_found) == (2, 2, 1)
    assert numbers.data_items_stored == 2 and numbers.uptime > 0 and abs(numbers.start_time - time.time()) < 60
    assert isinstance(numbers.errors, dict)


def test_join_and_leave(make: Callable[..., dht.DHT]) -> None:
    first, second, third = make(), make(), make()
    second.put("early", "kept")
    second.join([first.address])
    third.join(f"{first.address}, {second.address}")
    third.join(first.address)
    third.wait_ready(20)
    for node in (first, second, third):
        assert len(node.successor_list()) == 2 and len(node.finger_table()) == 160
        assert all(abs(known.last_seen - time.time()) < 60 for known in node.members())
    assert first.get("early") == "kept"
    third.put("late", 1)
    third.leave()
    assert first.get("late") == 1
    assert third.node_info().state == "left"
    with pytest.raises(dht.NodeStopped):
        third.get("late")
    third.stop()
    with pytest.raises(dht.NodeStopped):
        third.node_info()


def test_waits_of_nothing(make: Callable[..., dht.DHT]) -> None:
    node = make()
    for none in (0, 0.0, "0", "0s", "0 ms"):
        node.wait_ready(none)
    with pytest.raises(dht.InvalidArgument, match="250ms or 1h"):
        node.wait_ready("soon")
    node.leave("0s")


def test_what_was_never_started_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    node = dht.DHT()
    with caplog.at_level(logging.WARNING, "dht"):
        node.close()
    assert caplog.text == ""
    with pytest.raises(dht.NotStarted):
        node.leave()


def test_with_logs_a_failed_leave(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(dht.DHT):
        def leave(self, timeout: float | str = 10.0) -> None:
            raise dht.OperationTimeout("not everything was handed over")

    with Failing() as node, caplog.at_level(logging.WARNING, "dht"):
        node.put("k", 1)
    assert "not everything was handed over" in caplog.text
    with pytest.raises(dht.NodeStopped):
        node.get("k")


def test_logging(caplog: pytest.LogCaptureFixture, make: Callable[..., dht.DHT]) -> None:
    with caplog.at_level(logging.DEBUG, "dht"):
        node = make(enable_logging=True, node_id="chatty")
        other = make(seeds=[node.address])
        other.stop()
        until = time.monotonic() + 10
        while "chatty" not in caplog.text:
            assert time.monotonic() < until, "nothing was logged"
            time.sleep(0.01)
    assert all(record.name == "dht" or record.name.startswith("dht.") for record in caplog.records)


def test_sampled_traces(caplog: pytest.LogCaptureFixture, make: Callable[..., dht.DHT]) -> None:
    with caplog.at_level(logging.DEBUG, "dht.trace"):
        node = make(trace_sample=1)
        other = make(seeds=[node.address])
        other.wait_ready()
        node.put("k", 1, consistency="all")
        until = time.monotonic() + 10
        while not any(text.startswith("done ") and 'op="put"' in text for text in caplog.messages):
            assert time.monotonic() < until, caplog.text
            time.sleep(0.01)
    hops = [record for record in caplog.records if record.message.startswith("hop ") and 'op="put"' in record.message]
    assert hops and all(record.name == "dht.trace" and record.levelno == logging.DEBUG for record in hops)
    assert len({record.message.split("trace=")[1].split()[0] for record in hops}) == 1, "of one operation"


def test_config_file_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "node.toml"
    file.write_text('node_id = "filed"\nrequest_timeout = "250ms"\n')
    with dht.DHT.from_config(file) as node:
        assert node.node_id == "filed"
    with pytest.raises(dht.ConfigError, match="none.toml"):
        dht.DHT.from_config(str(tmp_path / "none.toml"))
    monkeypatch.setenv("DHT_NODE_ID", "environed")
    monkeypatch.setenv("DHT_NODE", "127.0.0.1:7400")
    with dht.DHT.from_env() as node:
        assert node.node_id == "environed"
    monkeypatch.setenv("DHT_PORT", "many")
    with pytest.raises(dht.ConfigError, match="DHT_PORT"):
        dht.DHT.from_env()


def test_subclasses_pass_settings_on(tmp_path: Path) -> None:
    class Named(dht.DHT):
        def __init__(self, name: str, *, key_size: int = 3) -> None:
            super().__init__(node_id=name, max_key_size=key_size)

    with Named("named") as node:
        assert node.node_id == "named" and node.put("k", 1)
        with pytest.raises(dht.TooLarge):
            node.get("long")
    with pytest.raises(dht.ConfigError, match="max_key_size"):
        Named("named", key_size=0)

    class Plain(dht.DHT):
        pass

    with Plain(node_id="plain") as node:
        assert node.node_id == "plain"
    with pytest.raises(dht.ConfigError, match="prot"):
        Plain(prot=1)
    file = tmp_path / "node.json"
    file.write_text('{"node_id": "filed"}')
    with Plain.from_config(file) as node:
        assert type(node) is Plain and node.node_id == "filed"

    class Adding(dht.DHT):
        def __init__(self, **settings: Any) -> None:
            super().__init__(node_id="added", **settings)

    with Adding(max_key_size=3) as node:
        assert node.node_id == "added"
    # Neither may be dropped unseen.
    with pytest.raises(TypeError, match="not from both"):
        Adding.from_config(file)
    with pytest.raises(RuntimeError, match="already"):
        Plain(node_id="plain").__init__(node_id="other")  # type: ignore[misc]


def test_a_subclass_without_settings_says_so() -> None:
    class Forgetful(dht.DHT):
        def __init__(self, *names: str) -> None:
            self.names = names

    node = Forgetful("a", "b")
    for call in (node.start, node.stop, lambda: node.get("k"), lambda: node.hash_key("k"), lambda: node.address):
        with pytest.raises(dht.NotStarted, match="super"):
            call()
    node.close()
    assert "super" in repr(node)


def test_settings_of_many_types(tmp_path: Path) -> None:
    dht.DHT(seeds=("127.0.0.1:1",), request_timeout="250ms", max_value_size="1MiB", virtual_nodes=None, tls=None)
    for life in range(2):
        with dht.DHT(data_dir=tmp_path / "data", durability="always") as node:
            assert node.get("lives", 0) == life
            node.put("lives", life + 1)


def test_many_threads(alone: dht.DHT) -> None:
    failures: list[BaseException] = []

    def work(name: int) -> None:
        try:
            for i in range(200):
                alone.put(f"{name}-{i}", i)
                assert alone.get(f"{name}-{i}") == i
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_waiting_lets_others_run(make: Callable[..., dht.DHT]) -> None:
    node = make(seeds=["127.0.0.1:1"], request_timeout=0.5)
    seen: list[type[BaseException]] = []

    def blocked() -> None:
        try:
            node.get("k", timeout=1)
        except dht.DHTError as error:
            seen.append(type(error))

    thread = threading.Thread(target=blocked)
    begun = time.monotonic()
    thread.start()
    count = 0
    while thread.is_alive():
        count += 1
    assert seen == [dht.NotJoined] and time.monotonic() - begun > 0.9
    assert count > 10_000, "the waiting call held the interpreter"


def threads_of_this_process() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_cycles_leave_nothing() -> None:
    def cycle(close: bool) -> None:
        node = dht.DHT()
        node.start()
        node.put("k", 1)
        assert node.get("k") == 1
        if close:
            node.stop()

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    cycle(True)
    gc.collect()
    before = threads_of_this_process(), descriptors()
    for i in range(50):
        cycle(i % 2 == 0)
    gc.collect()
    until = time.monotonic() + 5
    while (threads_of_this_process(), descriptors()) > before:
        assert time.monotonic() < until, (threads_of_this_process(), descriptors(), before)
        time.sleep(0.01)


def test_documented() -> None:
    for face in (dht.DHT, dht.AsyncDHT):
        for name in dir(face):
            if not name.startswith("_"):
                member = inspect.getattr_static(face, name)
                assert inspect.getdoc(member), f"{face.__name__}.{name} has no docstring"


def test_nodes_are_not_pickled(alone: dht.DHT) -> None:
    with pytest.raises(TypeError):
        pickle.dumps(alone)
