"""The commands, one module per family; a command's module is loaded when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from ..engine import DbError
from ..request import CommandError, Request

# Commands that xcatd serves: command -> module (function of the same name).
SERVED = {
    "lsdef": "lsdef",
    "mkdef": "defs",
    "chdef": "defs",
    "rmdef": "defs",
    "nodels": "nodels",
    "nodech": "nodels",
    "tabdump": "tab",
    "gettab": "tab",
    "tabrestore": "tabwrite",
    "tabprune": "tabwrite",
    "lsxcatd": "lsxcatd",
    "makehosts": "hosts",
    "makedns": "dns",
    "makedhcp": "dhcp",
    "makeconservercf": "conserver",
    "makegocons": "conserver",
    "nodeset": "nodeset",
    "mknb": "mknb",
    "rpower": "rpower",
}

# Commands that are programs of their own beside the daemon.
LOCAL = {
    "chtab": "tabwrite",
    "dumpxCATdb": "dump",
    "restorexCATdb": "dump",
    "xcatconfig": "admin",
    "restartxcatd": "admin",
}

IN_BIN = ("lsdef", "mkdef", "chdef", "rmdef", "nodels", "nodech", "gettab", "lsxcatd", "rpower")


def handler(command: str) -> Callable[[Request], None]:
    module = importlib.import_module(f".{SERVED[command]}", __package__)
    found: Callable[[Request], None] = getattr(module, command)
    return found


def run(request: Request) -> int:
    """Serve one request; every failure becomes text and an exit code."""
    try:
        handler(request.command)(request)
    except CommandError:
        pass
    except DbError as error:
        request.error(f"DB error {error}")
    return request.code
