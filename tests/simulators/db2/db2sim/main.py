"""One program under many names, as installed in sqllib/bin and sqllib/adm."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable, Mapping

BIN = ("db2", "db2pd", "db2gcf")
ADM = ("db2start", "db2stop", "db2set", "db2_kill", "db2nkill", "db2iauto", "db2sysc")


def main() -> int:
    name, words = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
    if name == "db2sysc":
        from . import server

        return server.main(words[0])
    if name == "db2":
        from . import clp

        return clp.main(words)
    from . import programs
    from .messages import SqlError

    known: Mapping[str, Callable[[list[str]], int]] = {
        "db2start": programs.db2start,
        "db2stop": programs.db2stop,
        "db2set": programs.db2set,
        "db2pd": programs.db2pd,
        "db2gcf": programs.db2gcf,
        "db2_kill": programs.db2_kill,
        "db2nkill": programs.db2_kill,
        "db2iauto": programs.db2iauto,
    }
    try:
        return known[name](words)
    except SqlError as error:
        programs.say(error.line)
        return error.exit_code
