"""The text for Prometheus: read as its exposition format (version 0.0.4) demands, and compared with the statistics."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields

import dht
import pytest

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
VALUE = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|Inf)|NaN"
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? ({VALUE})")
TYPES = {"counter", "gauge", "summary", "histogram", "untyped"}

Labels = tuple[tuple[str, str], ...]


@dataclass
class Family:
    help: str
    type: str = ""
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)


def unescaped(value: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], value)


def parse(text: str) -> dict[str, Family]:
    """All families by name. Stricter than the format: each has a HELP and then a TYPE line, then all its samples."""
    assert text.endswith("\n") and "\r" not in text
    families: dict[str, Family] = {}
    name = ""
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, words = re.fullmatch(rf"# HELP ({NAME}) (.+)", line).groups()  # type: ignore[union-attr]
            assert name not in families and not re.search(r"\\[^\\n]", words), line
            families[name] = Family(words)
        elif line.startswith("# TYPE "):
            typed, kind = line.removeprefix("# TYPE ").split(" ")
            family = families[name]
            assert typed == name and not family.type and not family.samples and kind in TYPES, line
            family.type = kind
        else:
            found = SAMPLE.fullmatch(line)
            assert found is not None, line
            family = families[name]
            of = {(k, unescaped(v)) for k, v in re.findall(r'([^,="]+)="((?:[^"\\]|\\.)*)"', found[2] or "")}
            labels = tuple(sorted(of))
            assert len({k for k, _ in labels}) == len(labels), line
            assert family.type and (found[1], labels) not in family.samples, line
            family.samples[found[1], labels] = float(found[3])
            check_sample(name, family.type, found[1], dict(labels), float(found[3]))
    assert all(family.type for family in families.values())
    return families


def check_sample(family: str, kind: str, name: str, labels: dict[str, str], value: float) -> None:
    if kind == "summary":
        if "quantile" in labels:
            assert name == family and 0 <= float(labels["quantile"]) <= 1
        else:
            assert name in (f"{family}_sum", f"{family}_count") and value >= 0
        return
    assert name == family and "quantile" not in labels and "le" not in labels
    assert name.endswith("_total") == (kind == "counter")
    assert not name.endswith(("_sum", "_count", "_bucket"))
    assert kind != "counter" or value >= 0


def values(text: str) -> dict[tuple[str, Labels], float]:
    return {sample: value for family in parse(text).values() for sample, value in family.samples.items()}


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "# HELP a A.\n# TYPE a gauge\na 1",
        "# TYPE a gauge\na 1\n",
        "# HELP a A.\na 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1\na 2\n",
        "# HELP a A.\n# TYPE a gauge\na one\n",
        "# HELP a A.\n# TYPE a gauge\nb 1\n",
        "# HELP a A.\n# TYPE a counter\na 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1\n# HELP a A.\n# TYPE a gauge\n",
        '# HELP a A.\n# TYPE a gauge\na{b="c"d"} 1\n',
        '# HELP a A.\n# TYPE a gauge\na{b="c\\d"} 1\n',
        '# HELP a A.\n# TYPE a gauge\na{b="c\nd"} 1\n',
        '# HELP a A.\n# TYPE a gauge\na{b="1",b="2"} 1\n',
        "# HELP a A.\n# TYPE a summary\na 1\n",
    ],
)
def test_the_parser_is_strict(wrong: str) -> None:
    with pytest.raises((AssertionError, AttributeError, KeyError, ValueError)):
        parse(wrong)


QUANTILES = {
    "store_time_p50": ("dht_store_duration_seconds", (("quantile", "0.5"),)),
    "store_time_p99": ("dht_store_duration_seconds", (("quantile", "0.99"),)),
    "lookup_time_p50": ("dht_lookup_duration_seconds", (("quantile", "0.5"),)),
    "lookup_time_p99": ("dht_lookup_duration_seconds", (("quantile", "0.99"),)),
}


def test_every_statistic_is_told(make: Callable[..., dht.DHT]) -> None:
    node = make()
    node.put_many({"a": 1, "b": "text"})
    node.get("a")
    node.get("none")
    with pytest.raises(dht.WrongFormat):
        node.increment("b")
    host, port = node.address.rsplit(":", 1)
    with socket.create_connection((host, int(port))) as stranger:
        stranger.sendall(bytes(64))
        while stranger.recv(1024):
            pass
    until = time.monotonic() + 10
    while not node.statistics().misbehaviours:
        assert time.monotonic() < until, "it was not counted"
        time.sleep(0.01)
    before, text, after = node.statistics(), node.metrics(), node.statistics()
    told = values(text)

    def near(value: float, name: str, low: float, high: float) -> None:
        slack = 0.01 if name == "start_time" else 0  # the clock there counts whole milliseconds
        assert min(low, high) - slack <= value <= max(low, high) + slack, name

    for one in fields(dht.Statistics):
        first, last = getattr(before, one.name), getattr(after, one.name)
        if isinstance(first, dict):
            assert first, f"{one.name}: none to compare"
            label = "peer" if one.name == "misbehaving_peers" else "kind"
            for of, count in first.items():
                near(told[f"dht_{one.name}_total", ((label, of),)], one.name, count, last[of])
            continue
        candidates = [(f"dht_{one.name}{unit}", ()) for unit in ("", "_total", "_seconds")]
        found = [told[c] for c in [*candidates, QUANTILES.get(one.name)] if c is not None and c in told]
        assert len(found) == 1, one.name
        near(found[0], one.name, first, last)
    errors = [told["dht_errors_total", (("kind", kind),)] for kind in ("WRONG_FORMAT", "TIMEOUT")]
    assert errors == [1, 0]
    assert told["dht_misbehaving_peers_total", (("peer", host),)] == 1
    assert told["dht_store_duration_seconds_count", ()] == 2 and told["dht_store_duration_seconds_sum", ()] > 0


def test_health_and_members_are_told(make: Callable[..., dht.DHT]) -> None:
    node = make()
    told = values(node.metrics())
    for one in fields(dht.Health):
        assert told[f"dht_{one.name}", ()] == getattr(node.health(), one.name), one.name
    states = ("joining", "active", "suspect", "leaving", "left", "dead")
    members = {state: told["dht_members", (("state", state),)] for state in states}
    assert members == dict.fromkeys(states, 0) | {"active": 1}


def test_without_histograms(make: Callable[..., dht.DHT]) -> None:
    node = make(enable_metrics=False)
    node.put("k", 1)
    family = parse(node.metrics())["dht_store_duration_seconds"]
    assert family.type == "summary" and {name for name, _ in family.samples} == {
        "dht_store_duration_seconds_sum",
        "dht_store_duration_seconds_count",
    }


def test_async() -> None:
    async def main() -> None:
        async with dht.AsyncDHT() as node:
            await node.put("k", 1)
            assert values(await node.metrics())["dht_stores_successful_total", ()] == 1
        with pytest.raises(dht.NodeStopped):
            await node.metrics()
        with pytest.raises(dht.NotStarted):
            await dht.AsyncDHT().metrics()

    asyncio.run(main())
