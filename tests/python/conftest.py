"""What the tests share: nodes that end with the test, and a limit on every test, since a hang is a failure."""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Iterator
from typing import Any, Callable

import dht
import pytest

# More than any test needs; stacks of all threads are printed then, and the run ends. Some run PROCESS_RUNS processes.
HANG = 120.0 + 10.0 * int(os.environ.get("PROCESS_RUNS", "20"))


@pytest.fixture(autouse=True)
def limit(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    faulthandler.dump_traceback_later(HANG, exit=True, file=sys.__stderr__)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def make() -> Iterator[Callable[..., dht.DHT]]:
    """Makes started nodes that are stopped at the end of the test."""
    nodes: list[dht.DHT] = []

    def started(**settings: Any) -> dht.DHT:
        node = dht.DHT(**settings)
        nodes.append(node)
        node.start()
        return node

    yield started
    for node in nodes:
        try:
            node.stop()
        except dht.NotStarted:
            pass


@pytest.fixture(scope="module")
def alone() -> Iterator[dht.DHT]:
    """A ring of one, shared by the tests of a file: they use keys of their own."""
    node = dht.DHT()
    node.start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[dht.DHT, dht.DHT]]:
    """Two nodes of one ring: every call of level quorum crosses the network."""
    first = dht.DHT(node_id="first")
    first.start()
    second = dht.DHT(node_id="second", seeds=[first.address])
    second.start()
    first.wait_ready()
    second.wait_ready()
    yield first, second
    second.stop()
    first.stop()
