"""The vectors that all languages share; see `tests/vectors/README.md`."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import dht
import dht.errors
import pytest
from test_values import exactly

VECTORS = Path(__file__).parent.parent / "vectors"


def read(name: str) -> Any:
    return json.loads((VECTORS / name).read_text("utf-8"))


def content(told: dict[str, Any]) -> bytes:
    """The bytes that a vector tells."""
    if "text" in told:
        return str(told["text"]).encode()
    if "hex" in told:
        return bytes.fromhex(told["hex"])
    encode: Callable[[str], bytes] = bytes.fromhex if told["encoding"] == "hex" else str.encode
    return b"".join(encode(piece) * count for piece, count in told["parts"])


VALUES = read("values.json")


def test_values(alone: dht.DHT, pair: tuple[dht.DHT, dht.DHT]) -> None:
    assert len(VALUES["values"]) > 30
    for told in VALUES["values"]:
        text = content(told)
        value = json.loads(text) if told["format"] == "json" else text
        alone.put(told["name"], value)
        assert exactly(alone.get(told["name"]), value), told["name"]
        pair[0].put(told["name"], value)
        assert exactly(pair[1].get(told["name"], consistency="all"), value), told["name"]


def test_texts_of_other_languages(alone: dht.DHT, tmp_path: Path) -> None:
    """Stored as they stand, by a program that keeps texts as they are."""
    for told in VALUES["values"]:
        file = tmp_path / "value"
        file.write_bytes(content(told))
        form = "--json-value" if told["format"] == "json" else "--bytes"
        put = [sys.executable, "-m", "dht", "put", told["name"], "--file", str(file), form, "--node", alone.address]
        done = subprocess.run(put, capture_output=True, text=True)
        assert done.returncode == 0, (told["name"], done.stderr)
        value = json.loads(file.read_bytes()) if told["format"] == "json" else file.read_bytes()
        assert exactly(alone.get(told["name"]), value), told["name"]


def test_keys(alone: dht.DHT) -> None:
    assert VALUES["keys"]
    for told in VALUES["keys"]:
        key = content(told)
        alone.put(key, told)
        assert alone.get(key) == told and alone.get_many([key]) == {key: told}
        if "text" in told:
            assert alone.get(told["text"]) == told


def test_hash_ids() -> None:
    cases = read("hash_ids.json")
    assert len(cases) > 50
    for case in cases:
        bits = case["config"].get("hash_bits", 160)
        assert f"{dht.DHT(**case['config']).hash_key(case['key']):0{-(-bits // 4)}x}" == case["id"], case


ERRORS = read("errors.json")


def test_numbers() -> None:
    made = {kind.code for kind in dht.errors.BY_CODE}
    assert made == set(ERRORS["numbers"].values())


def said(case: dict[str, Any], node: dht.DHT, tmp_path: Path) -> Callable[[], Any] | None:
    """The call of a case; None where Python has no way to say it."""
    text = content(case["input"]) if "input" in case else b""
    key = content(case["key"]) if "key" in case else b"k"
    match case["op"]:
        case "new":
            file = tmp_path / "config.json"
            file.write_bytes(text)
            return lambda: dht.DHT.from_config(file)
        case "put_json":
            try:
                value = json.loads(text)
            except ValueError:
                return None
            return lambda: node.put(key, value)
        case "put_bytes":
            return lambda: node.put(key, text)
        case "get":
            return lambda: node.get(key)
        case "put_options" | "get_options" as op:
            try:
                options = json.loads(text)
            except ValueError:
                return None
            if not isinstance(options, dict):
                return None
            return (lambda: node.put("k", 1, **options)) if op == "put_options" else lambda: node.get("k", **options)
        case "join":
            return lambda: node.join(text.decode())
        case "get_bytes_as_json":
            # There is one get, and it gives bytes.
            return None
    raise AssertionError(f"{case['op']} is new: teach this test")


@pytest.mark.parametrize("case", ERRORS["cases"], ids=lambda case: f"{case['op']} {case.get('input', '')}"[:60])
def test_errors(alone: dht.DHT, tmp_path: Path, case: dict[str, Any]) -> None:
    call = said(case, alone, tmp_path)
    if call is None:
        return
    code = ERRORS["numbers"][case["error"]]
    # What has the wrong type, or no such name, is Python's own error.
    with pytest.raises((dht.errors.BY_CODE[code], TypeError)) as caught:
        call()
    if isinstance(caught.value, TypeError):
        assert case["op"] in ("put_options", "get_options"), caught.value
    if case["op"] == "new":
        settings = None
        try:
            settings = json.loads(content(case["input"]))
        except ValueError:
            pass
        if isinstance(settings, dict):
            with pytest.raises(dht.errors.BY_CODE[code]):
                dht.DHT(**settings)


def test_most_errors_can_be_said(alone: dht.DHT, tmp_path: Path) -> None:
    """So that the test above does not pass by saying nothing."""
    spoken = sum(said(case, alone, tmp_path) is not None for case in ERRORS["cases"])
    assert spoken >= 35, spoken


@pytest.mark.parametrize("case", read("ttl.json"), ids=lambda case: repr(case["ttl"]))
def test_ttl(alone: dht.DHT, case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises((dht.InvalidArgument, TypeError)) as caught:
            alone.put("ttl", 1, case["ttl"])
        assert isinstance(caught.value, TypeError) == isinstance(case["ttl"], (list, dict))
        return
    alone.put("ttl", 1, case["ttl"])
    left = alone.ttl("ttl")
    if case["seconds"] is None:
        assert left is None
    else:
        # A float of Unix seconds has no more than microseconds to give.
        assert left is not None and case["seconds"] - 5 < left < case["seconds"] + 0.001


def test_batches(alone: dht.DHT) -> None:
    cases = read("batches.json")
    assert cases
    for case in cases:
        entries, keys = json.loads(case["entries"]), json.loads(case["keys"])
        assert list(alone.put_many(entries)) == list(entries)
        found = {key: json.loads(text) for key, text in case["found"]}
        got = alone.get_many(keys)
        assert exactly(got, found), (got, found)
        assert alone.delete_many(keys) == case["deleted"]


def meant(told: dict[str, Any], text: str, hex: str) -> Any:
    """What a step stores or finds: what a JSON text means, or bytes."""
    if told.get(text) is not None:
        return json.loads(told[text])
    return bytes.fromhex(told[hex]) if hex in told else None


def expectation(told: dict[str, Any], versions: dict[str, str]) -> Any:
    if "absent" in told:
        return None
    if "version_of" in told:
        return dht.Expected.version(versions[told["version_of"]])
    return dht.Expected.value(meant(told, "value", "hex"))


def atomic_step(node: dht.DHT, step: dict[str, Any], versions: dict[str, str]) -> None:
    key, ttl = step["key"], step.get("ttl")
    value = meant(step, "value", "hex")
    match step["op"]:
        case "put" | "put_bytes":
            outcome = node.put(key, value)
            versions[step.get("name", "")] = outcome.version
        case "delete":
            assert node.delete(key) is step["existed"], step
        case "put_if_absent" | "compare_and_swap" as op:
            if op == "put_if_absent":
                swap = node.put_if_absent(key, value, ttl)
            else:
                swap = node.compare_and_swap(key, expectation(step["expected"], versions), value, ttl)
            found = step.get("found") is not None or "found_hex" in step
            assert swap.swapped is step["swapped"] and bool(swap) is swap.swapped and swap.found is found, step
            assert exactly(swap.value, meant(step, "found", "found_hex")), (step, swap)
            versions[step.get("name", "")] = swap.version or ""
        case "increment":
            if "error" in step:
                with pytest.raises(dht.errors.BY_CODE[ERRORS["numbers"][step["error"]]]) as caught:
                    node.increment(key, json.loads(step["by"]))
                assert not caught.value.maybe_applied
            else:
                assert exactly(node.increment(key, json.loads(step["by"])), json.loads(step["sum"])), step
        case "get_and_put":
            assert exactly(node.get_and_put(key, value, ttl), meant(step, "previous", "none")), step
        case "get_and_delete":
            missing = object()
            before = node.get_and_delete(key, missing)
            assert before is missing if step["previous"] is None else exactly(before, json.loads(step["previous"])), step
        case "expire":
            assert ttl is not None and node.expire(key, ttl) is step["existed"], step
        case "persist":
            assert node.persist(key) is step["existed"], step
        case "ttl":
            left, most = node.ttl(key), step["lives_at_most"]
            assert left is None if most is None else left is not None and 0 < left <= most, (step, left)
        case op:
            raise AssertionError(f"{op} is new: teach this test")


def test_atomic(alone: dht.DHT) -> None:
    steps = read("atomic.json")
    assert len(steps) > 40
    versions: dict[str, str] = {}
    for step in steps:
        # Python writes JSON anew: texts that differ in white space or escapes mean the same to a compare-and-swap.
        atomic_step(alone, step, versions)


def test_every_vector_file_is_run() -> None:
    source = inspect.getsource(sys.modules[__name__])
    for file in VECTORS.glob("*.json"):
        assert f'read("{file.name}")' in source, f"{file.name} is new: run it"
