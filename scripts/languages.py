"""How a program of each language is built and run against what this checkout built: what the scripts have in common.

Every one of them takes --stage DIR, a tree that libdht was installed into, and --python PYTHON, an interpreter that has
the package dht.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
# No program here takes seconds; a machine under load may.
SECONDS_MAX = 120
COMPILERS = {
    "c": os.environ.get("CC", "cc"),
    "cpp": os.environ.get("CXX", "c++"),
    "go": os.environ.get("GO", "go"),
}
WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
FLAGS = {"c": ["-std=gnu11", "-pthread"], "cpp": ["-std=c++17", "-pthread"]}


def arguments(description: str | None, **more: str) -> argparse.Namespace:
    """--stage, --python and more."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--stage", type=Path, required=True)
    parser.add_argument("--python", default=sys.executable)
    for name, help in more.items():
        parser.add_argument(f"--{name.replace('_', '-')}", required=True, help=help)
    return parser.parse_args()


class Languages:
    """What builds and runs programs."""

    def __init__(self, stage: Path, python: str) -> None:
        stage = stage.resolve()
        # Not resolved: an environment's interpreter is a link, and knows its packages by that.
        self.python = os.path.abspath(python) if os.sep in python else python
        self.environment = {
            **os.environ,
            "LD_LIBRARY_PATH": str(next(stage.glob("**/libdht.so")).parent),
            "PKG_CONFIG_PATH": str(next(stage.glob("**/dht.pc")).parent),
            "PKG_CONFIG_SYSROOT_DIR": str(stage),
        }

    def missing(self, language: str) -> str:
        """Why there are no programs of this language; empty if there are."""
        if language == "python":
            has = [self.python, "-c", "import dht"]
            if subprocess.run(has, capture_output=True, cwd=TARGET).returncode:
                return f"{self.python} has no package dht"
        elif language in COMPILERS:
            for tool in (COMPILERS[language], "pkg-config"):
                if not shutil.which(tool):
                    return f"no {tool} on this machine"
        return ""

    def rust(self, package: str, profile: str = "test") -> Path:
        """Builds a package; where its programs are. The profile of the tests: most is built by them already."""
        command = [os.environ.get("CARGO", "cargo"), "build", "--locked", "--quiet", "--profile", profile, "-p", package]
        subprocess.run(command, check=True, cwd=ROOT)
        return TARGET / {"test": "debug", "dev": "debug"}.get(profile, profile)

    def command(self, language: str, source: Path, program: Path, *flags: str) -> list[str]:
        """Builds a source, in Go a folder; what runs it."""
        if language == "python":
            return [self.python, str(source)]
        program.parent.mkdir(parents=True, exist_ok=True)
        if language == "go":
            environment = {
                **self.environment,
                "CGO_ENABLED": "1",
                "CGO_CFLAGS": " ".join(self._of_dht("--cflags")),
                "CGO_LDFLAGS": " ".join(self._of_dht("--libs")),
            }
            for arguments in (["vet", "."], ["build", "-o", str(program), "."]):
                subprocess.run([COMPILERS["go"], *arguments], check=True, cwd=source, env=environment)
        else:
            command = [COMPILERS[language], *FLAGS[language], *WARNINGS, *(flags or ["-O1"]), *self._of_dht("--cflags")]
            subprocess.run([*command, str(source), "-o", str(program), *self._of_dht("--libs")], check=True)
        return [str(program)]

    def _of_dht(self, which: str) -> list[str]:
        told = subprocess.run(
            ["pkg-config", which, "dht"], env=self.environment, check=True, capture_output=True, text=True
        )
        return told.stdout.split()


def verdict(what: str, passed: int, failed: int, skipped: dict[str, str]) -> int:
    """Tells how it went; the exit status. What was skipped is a failure where CI is true."""
    for name, why in skipped.items():
        print(f"{name}: skipped: {why}")
    print(f"{what}: {passed} passed, {failed} failed, {len(skipped)} skipped")
    return 1 if failed or not passed or (skipped and os.environ.get("CI") == "true") else 0
