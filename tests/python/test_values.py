"""Which values are kept, and that they come back as they went in: from memory and over the wire."""

from __future__ import annotations

import enum
import math
import subprocess
import sys
from collections import OrderedDict, namedtuple
from pathlib import Path
from typing import Any

import dht
import pytest

NESTED: Any = "bottom"
for _ in range(200):
    NESTED = [{"k": NESTED}]

VALUES = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**53,
    2**53 + 1,
    -(2**63),
    2**63,
    2**64,
    -(10**40),
    0.0,
    -0.0,
    0.1,
    1.0,
    1e16,
    5e-324,
    1.7976931348623157e308,
    "",
    "text",
    "é ü 日本語 😀 \u2028",
    "\0\x01\x1f\x7f\"\\/\b\f\n\r\t",
    [],
    {},
    [[], {}, [None]],
    {"": "", "ключ": [1, 2.5, {"a": None}], "a": True},
    NESTED,
    "x" * (1 << 20),
    b"",
    b"bytes",
    b"\0\xff\0",
    bytes(range(256)) * 4096,
]


def exactly(left: Any, right: Any) -> bool:
    """Equal, of equal types, all the way down; -0.0 is not 0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(exactly, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(map(exactly, left.values(), right.values()))
    if isinstance(left, float):
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    return bool(left == right)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:30])
def test_come_back_as_they_were(alone: dht.DHT, pair: tuple[dht.DHT, dht.DHT], value: Any) -> None:
    alone.put("k", value)
    assert exactly(alone.get("k"), value)
    first, second = pair
    first.put("k", value)
    assert exactly(second.get("k", consistency="all"), value)
    found = second.get_versioned("k")
    assert found is not None and exactly(found.value, value)
    assert exactly(second.get_many(["k"])["k"], value)


def test_what_is_not_the_values_fault_passes(alone: dht.DHT, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deep values are read by Python's own parser, in which Ctrl-C may arrive and memory end."""
    alone.put("deep", NESTED)

    def get_while(raised: type[BaseException]) -> None:
        def loads(text: str) -> None:
            raise raised("while reading")

        monkeypatch.setattr("json.loads", loads)
        alone.get("deep")

    for passed in (KeyboardInterrupt, MemoryError):
        with pytest.raises(passed):
            get_while(passed)
    for refused in (ValueError, RecursionError):
        with pytest.raises(dht.WrongFormat, match="while reading"):
            get_while(refused)


def test_subclasses_are_their_base(alone: dht.DHT) -> None:
    class Text(str):
        pass

    class Colour(enum.IntEnum):
        RED = 3

    for value, kept in [(Text("a"), "a"), (Colour.RED, 3), (OrderedDict(a=[Text("b")]), {"a": ["b"]})]:
        alone.put("sub", value)
        assert exactly(alone.get("sub"), kept)


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, "\ud800", ["\udfff"], {"\ud800": 1}, [1, {"a": math.nan}]], ids=repr
)
def test_no_json_form(alone: dht.DHT, value: Any) -> None:
    for wrong in [lambda: alone.put("bad", value), lambda: alone.put_many({"good": 1, "bad": value})]:
        with pytest.raises(ValueError) as caught:
            wrong()
        assert isinstance(caught.value, dht.InvalidValue)
        assert caught.value.code == 13 and not caught.value.maybe_applied
    with pytest.raises(ValueError):
        alone["bad"] = value
    assert "bad" not in alone and "good" not in alone


@pytest.mark.parametrize(
    "value",
    [(), (1,), {1}, frozenset(), object(), 1j, bytearray(b"x"), memoryview(b"x"), {1: 2}, {b"k": 1}, {None: 1},
     [b"inside"], {"k": (1,)}, namedtuple("Point", "x")(1), range(3), Path("p")],
    ids=repr,
)  # fmt: skip
def test_other_types(alone: dht.DHT, value: Any) -> None:
    with pytest.raises(TypeError):
        alone.put("bad", value)
    with pytest.raises(TypeError):
        alone["bad"] = value
    with pytest.raises(TypeError):
        alone.put_many({"good": 1, "bad": value})
    assert "bad" not in alone and "good" not in alone


@pytest.mark.parametrize(
    "text, value",
    [
        ('"\\ud800"', "\ud800"),
        ("1e999", math.inf),
        ('{"a": ["\\udfff", -1e999]}', {"a": ["\udfff", -math.inf]}),
    ],
    ids=["a lone surrogate", "beyond all floats", "both within"],
)
def test_what_other_languages_have_written(alone: dht.DHT, text: str, value: Any) -> None:
    put = [sys.executable, "-m", "dht", "put", "odd", text, "--json-value", "--node", alone.address]
    subprocess.run(put, check=True, capture_output=True)
    assert alone.get("odd") == value
    assert dict(alone.scan("odd")) == {"odd": value}


def test_without_end(alone: dht.DHT) -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(dht.InvalidValue):
        alone.put("loop", loop)


def test_keys(alone: dht.DHT) -> None:
    alone.put("key", 1)
    assert alone.get(b"key") == 1 and b"key" in alone
    for key in ["", b"", "é", "a\0b", b"\xff\xfe", "k" * 4096]:
        alone.put(key, "v")
        assert alone.get(key) == "v", key
    assert alone.get("é".encode()) == "v"
    with pytest.raises(dht.TooLarge) as caught:
        alone.put("k" * 4097, 1)
    assert isinstance(caught.value, ValueError)
    with pytest.raises(dht.InvalidArgument):
        alone.put("\ud800", 1)
    wrong: Any
    for wrong in [1, None, memoryview(b"k"), ("k",), 1.5]:
        for call in [
            lambda: alone.get(wrong),
            lambda: alone.put(wrong, 1),
            lambda: alone.delete(wrong),
            lambda: alone[wrong],
            lambda: wrong in alone,
            lambda: alone.get_many([wrong]),
            lambda: alone.put_many({wrong: 1}),
            lambda: alone.hash_key(wrong),
            lambda: alone.locate(wrong),
            lambda: alone.lookup_trace(wrong),
            lambda: alone.trace(wrong),
        ]:
            with pytest.raises(TypeError, match="str or bytes"):
                call()
