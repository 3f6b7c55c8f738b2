"""What type checkers and readers see: stubs against the module, a typed program, and every example of a docstring."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import dht
import dht._async
import dht._dht
import dht._sync
import dht.errors
import dht.types
import pytest

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "python" / "README.md"


def checked(*arguments: str, where: Path = ROOT) -> None:
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=where, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_stubs_fit_the_module() -> None:
    checked("mypy.stubtest", "--mypy-config-file", "pyproject.toml", "--ignore-disjoint-bases", "dht._dht")


def test_strict_types() -> None:
    checked("mypy", "--strict", "--config-file", "pyproject.toml")


def test_typed_example_runs() -> None:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("typed_example.py"))], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "Ada {'a': 1, 'b': 2} 3\n"), done.stderr


def test_wrong_programs_are_refused(tmp_path: Path) -> None:
    """The types say something: each of these lines is an error."""
    for line in [
        "dht.DHT(prot=1)",
        "dht.DHT(port='1')",
        "node.put(1, 2)",
        "node.get('k', consistency='most')",
        "for key in node: pass",
        "node.put('k', 1).acks = 2",
        "node.locate('k')[0].name",
    ]:
        program = tmp_path / "wrong.py"
        program.write_text(f"import dht\nnode = dht.DHT()\n{line}\n")
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml"), str(program)],
            cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 1 and "wrong.py:3" in done.stdout, (line, done.stdout, done.stderr)


def documented() -> list[tuple[str, Any]]:
    """Every docstring, those of the extension module included, which doctest's own finder passes over."""
    found: dict[str, Any] = {}
    modules: list[ModuleType] = [dht, dht._sync, dht._async, dht.errors, dht.types]
    for module in modules:
        found[module.__name__] = module
        for name, member in vars(module).items():
            if inspect.isclass(member) and member.__module__.startswith("dht"):
                found[f"{member.__module__}.{name}"] = member
                for inner in dir(member):
                    if not inner.startswith("__"):
                        owner = next(base for base in member.__mro__ if inner in vars(base))
                        found[f"{owner.__qualname__}.{inner}"] = inspect.getattr_static(member, inner)
    return [(name, thing) for name, thing in found.items() if ">>>" in (inspect.getdoc(thing) or "")]


DOCUMENTED = documented()


def test_examples_are_there() -> None:
    assert len(DOCUMENTED) > 25, [name for name, _ in DOCUMENTED]


@pytest.mark.parametrize("thing", [thing for _, thing in DOCUMENTED], ids=[name for name, _ in DOCUMENTED])
def test_example(thing: Any) -> None:
    text = inspect.getdoc(thing) or ""
    example = doctest.DocTestParser().get_doctest(text, {}, str(thing), None, None)
    shown: list[str] = []
    failed = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=shown.append).failed
    assert failed == 0, "".join(shown)


def test_everything_is_exported() -> None:
    for name in dht.__all__:
        assert getattr(dht, name) is not None
    with pytest.raises(AttributeError):
        getattr(dht, "nothing")
    star: dict[str, Any] = {}
    exec("from dht import *", star)
    assert set(dht.__all__) <= set(star)


def test_import_is_light() -> None:
    """What is slow to import stays out until it is wanted."""
    code = "import sys, dht; print([name for name in ('asyncio', 'dataclasses', 'logging', 'typing') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-S", "-c", "import sys; sys.path[:0] = %r; %s" % (sys.path, code)],
                          capture_output=True, text=True)  # fmt: skip
    assert done.stdout == "[]\n", done.stdout + done.stderr


def test_readme() -> None:
    blocks = README.read_text("utf-8").split("```python\n")[1:]
    assert blocks
    for block in blocks:
        exec(compile(block.split("```")[0], str(README), "exec"), {})
