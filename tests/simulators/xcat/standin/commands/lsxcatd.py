"""lsxcatd: what the running daemon is and which database it uses."""

from __future__ import annotations

from .. import VERSION, options, paths
from ..request import Request

USAGE = "lsxcatd [-v|--version]\nlsxcatd [-h|--help]\nlsxcatd [-d|--database]\nlsxcatd [-t|--nodetype]\nlsxcatd [-a|--all]"
LONG = ["version", "help", "database", "nodetype", "all"]


def lsxcatd(request: Request) -> None:
    try:
        chosen, operands = options.parse(request.args, "vhdta", LONG)
    except options.BadOptionError:
        chosen, operands = {}, []
    flags = {name[0] if name != "nodetype" else "t" for name in chosen}
    if not flags or operands:
        request.out(USAGE)
        request.code |= 1
        return
    if "h" in flags:
        request.out(USAGE)
        return
    everything = "a" in flags
    if everything or "v" in flags:
        request.out(VERSION)
    if everything or "t" in flags:
        if paths.at("/etc/xCATMN").exists():
            request.out("This is a Management Node")
        elif paths.at("/etc/xCATSN").exists():
            request.out("This is a Service Node")
    if everything or "d" in flags:
        for line in request.cfgloc.describe():
            request.out(line)
