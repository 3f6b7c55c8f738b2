"""The `dht` command: ``python -m dht``, or ``dht`` once the package is installed."""

from __future__ import annotations

import signal
import sys

from . import _dht


def main() -> int:
    """Runs the command of `sys.argv` and returns its exit status."""
    # The program sees to its signals itself; Python's handler would only take effect after its end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _dht.run(["dht", *sys.argv[1:]], sys.executable)


if __name__ == "__main__":
    sys.exit(main())
