"""The blocking face: `DHT`."""

from __future__ import annotations

import os

from . import _dht
from .errors import DHTError, ForkedProcess, NotStarted

# The name is known to type checkers; importing it from typing would take longer than all of this package.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self, Unpack

    from .types import Path, Settings


def settings_of_environment() -> _dht.Settings:
    """The defaults, and over them the DHT_* variables of this process."""
    told = {name: text for name, text in os.environ.items() if name.startswith("DHT_")}
    return _dht.Settings.from_variables(told)


def log_failed_leave(error: BaseException) -> None:
    """A node that could not hand over ends all the same."""
    # Here, because few programs come here.
    import logging

    logging.getLogger("dht").warning("the node stops without having left in order: %s", error)


class DHT(_dht.Node):
    """One node of the ring, in this process. All methods may be called from many threads at once.

    Keyword arguments are the keys of the configuration; see `dht.types.Settings`. Durations are seconds or text like
    "250ms". Wrong ones raise `ConfigError` here, before anything is started. ``with`` starts the node, and at its end
    leaves and stops it.

    A call that is answered from memory returns at once; one that waits lets other threads run and honours Ctrl-C. At
    the end of the interpreter all nodes stop.

    >>> import dht
    >>> with dht.DHT() as node:
    ...     node["answer"] = 42
    ...     node["answer"], "answer" in node, node.get("other", "nothing")
    (42, True, 'nothing')
    """

    __slots__ = ()

    # Without this Python would iterate by asking for node[0], node[1] and so on.
    __iter__ = None

    def __init__(self, **settings: Unpack[Settings]) -> None:
        """Checks the configuration; `start`, or ``with``, starts the node."""
        super().__init__(**settings)

    @classmethod
    def from_config(cls, path: Path) -> Self:
        """A node configured by a file, TOML or JSON by the end of its name. Raises ConfigError, with path
        and line for what cannot be read."""
        return cls(_settings=_dht.Settings.from_file(path))  # type: ignore[call-arg]

    @classmethod
    def from_env(cls) -> Self:
        """A node configured by DHT_* variables: DHT_PORT is ``port`` and so on, lists are comma separated.

        >>> import dht, os
        >>> os.environ["DHT_NODE_ID"] = "me"
        >>> with dht.DHT.from_env() as node:
        ...     node.node_id
        'me'
        >>> del os.environ["DHT_NODE_ID"]
        """
        return cls(_settings=settings_of_environment())  # type: ignore[call-arg]

    def close(self) -> None:
        """`leave`, then `stop`; a failed leave is logged, never raised. Later calls succeed at once.

        >>> import dht
        >>> node = dht.DHT()
        >>> node.start()
        >>> node.close()
        >>> node.close()
        """
        try:
            self.leave()
        except (NotStarted, ForkedProcess):
            # There is nothing to leave: after a fork the node is the parent's.
            pass
        except DHTError as error:
            log_failed_leave(error)
        finally:
            # Also when Ctrl-C ended the wait: nothing stays behind.
            try:
                self.stop()
            except (NotStarted, ForkedProcess):
                pass

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        try:
            return f"<DHT {self.node_id} at {self.address}>"
        except DHTError as error:
            return f"<DHT: {error}>"

    def __reduce__(self) -> Any:
        raise TypeError("a node belongs to its process: make one in each")
