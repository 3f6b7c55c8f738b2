"""Where to listen, from the command line: 127.0.0.1 and a free port without arguments."""

import sys


def address_and_port() -> dict:
    arguments = sys.argv[1:]
    return {
        "address": arguments[0] if arguments else "127.0.0.1",
        "port": int(arguments[1]) if len(arguments) > 1 else 0,
    }
