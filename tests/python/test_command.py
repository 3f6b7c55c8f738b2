"""The `dht` command of the package."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import dht

DHT = [sys.executable, "-m", "dht"]


def test_help_and_version() -> None:
    shown = subprocess.run([*DHT, "--version"], capture_output=True, text=True, check=True).stdout
    assert shown == f"dht {dht.__version__}\n"
    assert subprocess.run([*DHT, "fly"], capture_output=True).returncode == 2
    script = Path(sysconfig.get_path("scripts")) / "dht"
    assert subprocess.run([script, "--version"], capture_output=True, text=True, check=True).stdout == shown


def test_serves_and_is_talked_to() -> None:
    served = subprocess.Popen([*DHT, "--json", "serve", "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert served.stdout is not None
        address = json.loads(served.stdout.readline())["address"]
        put = subprocess.run([*DHT, "put", "k", '{"a": 1}', "--node", address], capture_output=True, text=True)
        assert put.returncode == 0, put.stderr
        with dht.DHT(seeds=[address]) as node:
            assert node.get("k") == {"a": 1}
            node.put("from python", [1, 2])
            got = subprocess.run([*DHT, "get", "from python", "--node", address], capture_output=True, text=True)
            assert (got.returncode, json.loads(got.stdout)) == (0, [1, 2])
        missing = subprocess.run([*DHT, "get", "none", "--node", address], capture_output=True)
        assert missing.returncode == 1
        served.send_signal(signal.SIGTERM)
        assert served.wait(20) in (0, 128 + signal.SIGTERM)
    finally:
        served.kill()
        served.wait()
        assert served.stdout is not None
        served.stdout.close()


def test_demo_starts_python(tmp_path: Path) -> None:
    """Its nodes are this interpreter, and nothing is lost."""
    for i in range(20):
        (tmp_path / f"file{i}").write_bytes(os.urandom(1000))
    demo = subprocess.run(
        [*DHT, "demo", "--nodes", "3", "--files", str(tmp_path), "--seed", "1"],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
