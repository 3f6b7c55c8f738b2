"""The package and the process: forks, spawned children, the end of the interpreter, Ctrl-C. Each case is a process of
its own that must end by itself, in the right way, within `END` seconds; PROCESS_RUNS says how often (20).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

RUNS = int(os.environ.get("PROCESS_RUNS", "20"))
END = 5.0
# What happens before the moment that is measured: starting an interpreter on a busy machine.
BEGIN = 30.0

SILENT = "seeds=['127.0.0.1:1'], request_timeout=0.05"
"""A node that never joins: its calls wait."""


def python(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Ctrl-C of a test must not reach the tests.
        start_new_session=True,
        # A shell starts what it puts into the background deaf to Ctrl-C, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def ends(process: subprocess.Popen[str], status: int, within: float) -> tuple[str, str]:
    """The outputs of a process that must end with `status`; it is killed if it does not."""
    try:
        out, err = process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        out, err = process.communicate()
        pytest.fail(f"no end within {within} s:\n{out}\n{err}")
    assert process.returncode == status, f"status {process.returncode}:\n{out}\n{err}"
    return out, err


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.stderr and process.stderr.read()


def ends_soon(process: subprocess.Popen[str], status: int = 0) -> tuple[str, str]:
    ready(process)
    return ends(process, status, END)


FORK = """
import os, sys, time, dht
node = dht.DHT()
node.start()
node.put("k", 1)
print("ready", flush=True)
child = os.fork()
if child == 0:
    begun = time.monotonic()
    calls = [
        lambda: node.get("k"), lambda: node.put("k", 2), lambda: node["k"], lambda: node.health(), node.start,
        node.stop, node.leave, lambda: node.hash_key("k"), lambda: node.get_many(["k"]), lambda: node.join("a:1"),
    ]
    for call in calls:
        try:
            call()
        except dht.ForkedProcess as error:
            assert error.code == 23
        else:
            os._exit(3)
    assert time.monotonic() - begun < 1
    # The end of a `with` around the fork: the node is the parent's.
    node.close()
    # The child is free to have nodes of its own.
    with dht.DHT() as own:
        own["k"] = 3
        assert own["k"] == 3
    import asyncio
    async def main():
        async with dht.AsyncDHT() as own, dht.AsyncDHT(seeds=[own.address]) as other:
            await other.put("k", 4, consistency="all")
            assert await own.get("k", consistency="all") == 4
    asyncio.run(main())
    sys.exit(7)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 7, status
assert node.get("k") == 1
"""

FORK_BUSY = """
import asyncio, os, sys, threading, dht
node = dht.DHT()
node.start()
other = dht.DHT(seeds=[node.address])
other.start()
def work():
    i = 0
    while True:
        other.put(f"k{i % 100}", i, consistency="all")
        i += 1
threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
print("ready", flush=True)
for _ in range(10):
    child = os.fork()
    if child == 0:
        try:
            node.get("k")
        except dht.ForkedProcess:
            del node, other
            with dht.DHT() as own:
                own["k"] = 1
            sys.exit(0)
        os._exit(3)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
"""

SPAWN = """
import multiprocessing, dht

def child(address):
    with dht.DHT(seeds=[address]) as node:
        node.put("child", node.get("parent") + 1, consistency="all")

if __name__ == "__main__":
    import sys, types
    with dht.DHT() as node:
        node["parent"] = 1
        print("ready", flush=True)
        for method in {methods}:
            context = multiprocessing.get_context(method)
            process = context.Process(target=child, args=(node.address,))
            process.start()
            process.join(20)
            assert process.exitcode == 0, (method, process.exitcode)
            assert node["child"] == 2
            del node["child"]
"""

EXIT_THREADS = f"""
import threading, time, dht
node = dht.DHT({SILENT})
node.start()
def work():
    node.get("k", timeout=60)
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.1)
print("ready", flush=True)
"""

EXIT_BUSY = """
import threading, time, dht
node = dht.DHT()
node.start()
other = dht.DHT(seeds=[node.address], enable_logging=True)
other.start()
def work():
    i = 0
    while True:
        other.put(f"k{i % 100}", i, consistency="all")
        node.get(f"k{i % 100}")
        i += 1
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.1)
print("ready", flush=True)
"""

EXIT_ASYNC = f"""
import asyncio, threading, dht
node = dht.AsyncDHT({SILENT})
async def main():
    await node.start()
    waiting = [asyncio.ensure_future(node.get("k", timeout=60)) for _ in range(100)]
    await asyncio.sleep(0.05)
    print("ready", flush=True)
asyncio.run(main())
"""

EXIT_LOOP_IN_THREAD = f"""
import asyncio, threading, time, dht
node = dht.AsyncDHT({SILENT})
async def main():
    await node.start()
    await asyncio.gather(*(node.get("k", timeout=60) for _ in range(100)))
threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
time.sleep(0.2)
print("ready", flush=True)
"""

EXIT_SYSTEM = """
import sys, dht
nodes = [dht.DHT() for _ in range(3)]
for node in nodes:
    node.start()
print("ready", flush=True)
sys.exit(5)
"""

INTERRUPTED = f"""
import dht
node = dht.DHT({SILENT})
node.start()
print("ready", flush=True)
try:
    CALL
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""

INTERRUPTED_JOINING = """
import socket, dht
with socket.socket() as silent:
    silent.bind(("127.0.0.1", 0))
    silent.listen()
    address = "127.0.0.1:%d" % silent.getsockname()[1]
    node = dht.DHT(seeds=[address], request_timeout=60)
    print("ready", flush=True)
    try:
        node.start()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""

PASSED_ON = f"""
import signal, dht
node = dht.DHT({SILENT})
node.start()
seen = []
signal.signal(signal.SIGINT, lambda *_: seen.append(1))
print("ready", flush=True)
try:
    node.get("k", timeout=1)
except dht.NotJoined:
    assert seen, "the handler did not run"
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("code", [FORK, FORK_BUSY], ids=["quiet", "busy"])
def test_fork(code: str) -> None:
    for _ in range(RUNS):
        ends_soon(python(code))


def test_spawned_children(tmp_path: object) -> None:
    methods = ["spawn", "forkserver", "fork"] if hasattr(os, "fork") else ["spawn"]
    script = os.path.join(str(tmp_path), "spawn.py")
    with open(script, "w") as file:
        file.write(SPAWN.replace("{methods}", repr(methods)))
    for _ in range(max(1, RUNS // 10)):
        process = subprocess.Popen(
            [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        ready(process)
        # Three interpreters start.
        ends(process, 0, BEGIN)


@pytest.mark.parametrize(
    ("code", "status"),
    [(EXIT_THREADS, 0), (EXIT_BUSY, 0), (EXIT_ASYNC, 0), (EXIT_LOOP_IN_THREAD, 0), (EXIT_SYSTEM, 5)],
    ids=["threads", "busy", "async", "loop_in_thread", "sys_exit"],
)
def test_exit_with_calls_under_way(code: str, status: int) -> None:
    for _ in range(RUNS):
        out, err = ends_soon(python(code), status)
        assert "panicked" not in err and "Fatal" not in err, err


@pytest.mark.parametrize(
    "code",
    [
        INTERRUPTED.replace("CALL", 'node.get("k", timeout=60)'),
        INTERRUPTED.replace("CALL", 'node.put("k", 1, timeout=60)'),
        INTERRUPTED.replace("CALL", "node.wait_ready(60)"),
        INTERRUPTED_JOINING,
    ],
    ids=["get", "put", "wait_ready", "start"],
)
def test_interrupted(code: str) -> None:
    for run in range(RUNS):
        process = python(code)
        ready(process)
        # At one moment or another of the call, and before it.
        time.sleep(0.01 * (run % 20))
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=END)
        except subprocess.TimeoutExpired:
            process.kill()
            pytest.fail(f"no end within {END} s")
        # Python's own way, if the signal came before the try.
        interrupted = process.returncode == 0 and out == "interrupted\n"
        assert interrupted or (process.returncode == -signal.SIGINT and "KeyboardInterrupt" in err), (out, err)
        assert time.monotonic() - begun < END


def test_other_handlers_run() -> None:
    process = python(PASSED_ON)
    ready(process)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    ends(process, 0, END)
