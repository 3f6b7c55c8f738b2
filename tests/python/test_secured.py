"""Rings with a cluster_key or certificates: who is in, and what the others are told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import dht
import pytest

SECRET = "the right secret"


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_who_knows_the_key_is_in(make: Callable[..., dht.DHT], protocol: str) -> None:
    settings: Any = {"cluster_key": SECRET, "network_protocol": protocol}
    first = make(**settings)
    second = make(seeds=[first.address], **settings)
    first.put("k", {"n": 1})
    second.put(b"raw", b"\x00")
    assert second.get("k") == {"n": 1} and first.get(b"raw") == b"\x00"
    for other in ({"cluster_key": "the wrong secret"}, {}):
        stranger = dht.DHT(seeds=[first.address], **other)
        with pytest.raises(dht.Auth, match="cluster_key") as caught:
            stranger.start()
        assert caught.value.code == 18 and not caught.value.maybe_applied
        assert "secret" not in str(caught.value)
    alone = make()
    with pytest.raises(dht.Auth):
        alone.join(first.address)
    assert len(first.members()) == 2


def test_certificates_name_their_nodes(make: Callable[..., dht.DHT], tmp_path: Path) -> None:
    def keygen(*arguments: str) -> None:
        subprocess.run([sys.executable, "-m", "dht", "keygen", *arguments], check=True, capture_output=True)

    def tls(authority: str, node_id: str) -> Any:
        folder = tmp_path / authority / node_id
        keygen("node", "--ca", str(tmp_path / authority), "--node-id", node_id, "--dir", str(folder))
        return {"cert": str(folder / "node.pem"), "key": str(folder / "node.key"), "ca": str(folder / "ca.pem")}

    for authority in ("ours", "theirs"):
        keygen("ca", "--dir", str(tmp_path / authority))
    first = make(tls=tls("ours", "one"))
    second = make(tls=tls("ours", "two"), seeds=[first.address])
    assert first.node_id == "one" and second.node_id == "two"
    first.put("k", 42)
    assert second.get("k") == 42
    stranger = dht.DHT(tls=tls("theirs", "three"), seeds=[first.address])
    with pytest.raises(dht.Auth, match="tls.ca"):
        stranger.start()
    with pytest.raises(dht.ConfigError, match="URI:dht:other"):
        dht.DHT(node_id="other", tls=tls("ours", "four")).start()


def test_a_secret_is_not_shown() -> None:
    node = dht.DHT(cluster_key=SECRET)
    assert SECRET not in repr(node)
    with pytest.raises(dht.ConfigError) as caught:
        dht.DHT(cluster_key=f"{SECRET},{SECRET},{SECRET}")
    assert SECRET not in str(caught.value)
