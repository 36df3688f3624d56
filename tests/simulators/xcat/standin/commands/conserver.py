"""makeconservercf: /etc/conserver.cf, on the host that owns site.master."""

from __future__ import annotations

import os
from typing import Any

from .. import client, net, options, paths, services
from ..objects import Objects
from ..request import Request

CONF = "/etc/conserver.cf"

HEAD = """\
config * {
  sslrequired yes;
  sslcacertificatefile /etc/xcat/cert/ca.pem;
  sslcredentials /etc/xcat/cert/server-cred.pem;
}
default cyclades { type host; portbase 7000; portinc 1; }
default mrv { type host; portbase 2000; portinc 100; }
"""
DEFAULTS = """\
default * {
  logfile /var/log/consoles/&;
  timestamp 1lab;
  rw *;
  master localhost;
}
"""


def makeconservercf(request: Request) -> None:
    if _sent_elsewhere(request):
        return
    if services.is_active("goconserver"):
        raise request.stop(
            "goconserver is being used as the console service, did you mean: makegocons <noderange>? If not, stop goconserver and retry."
        )
    chosen, operands = options.parse(request.args, "cldt:hvVD", ["cleanup", "local", "delete", "trust="])
    objects = Objects(request.database)
    names, missing = objects.noderange.expand(",".join(operands) or "all")
    if missing:
        request.err(f"Error: Invalid nodes and/or groups in noderange: {','.join(missing)}")
        return
    blocks = {} if not operands else _read_blocks()
    if "d" in chosen or "delete" in chosen:
        for name in names:
            blocks.pop(name, None)
    else:
        blocks |= _blocks(objects, names)
    trusted = [t for v in (*chosen.get("t", []), *chosen.get("trust", [])) for t in v.split(",")]
    text = HEAD + _access(request.host, trusted) + DEFAULTS
    paths.at(CONF).write_text(text + "".join(blocks[n] for n in sorted(blocks)))
    paths.at("/var/log/consoles").mkdir(parents=True, exist_ok=True)
    services.restart("conserver")  # nobody looks whether it came up
    request.pace.wait_until("makeconservercf")


def _access(host: str, trusted: list[str]) -> str:
    own = list(dict.fromkeys(["127.0.0.1", *(a.address for a in net.local_addresses())]))
    lines = [f"  trusted {address};\n" for address in own]
    lines.append(f"  trusted {','.join(dict.fromkeys(['localhost', host, *trusted]))};\n")
    return "access * {\n" + "".join(lines) + "}\n"


def _blocks(objects: Objects, names: list[str]) -> dict[str, str]:
    found = objects.nodes(names, ("cons", "mgt", "serialport"))
    # site.consoleondemand: conserver opens a console when somebody connects, not all of them when it starts.
    on_demand = "  options ondemand;\n" if str(objects.database.site("consoleondemand")).lower() in {"yes", "y", "1"} else ""
    blocks = {}
    for name in names:
        method = found[name].get("cons") or found[name].get("mgt")
        if method:
            blocks[name] = (
                f"#xCAT BEGIN {name} CONS\nconsole {name} {{\n  type exec;\n{on_demand}"
                f"  exec /opt/xcat/share/xcat/cons/{method} {name};\n}}\n#xCAT END {name} CONS\n"
            )
    return blocks


def _read_blocks() -> dict[str, str]:
    place = paths.at(CONF)
    blocks: dict[str, str] = {}
    name = ""
    for line in place.read_text().splitlines(keepends=True) if place.exists() else []:
        if line.startswith("#xCAT BEGIN "):
            name = line.split()[2]
            blocks[name] = ""
        if name:
            blocks[name] += line
        if line.startswith("#xCAT END "):
            name = ""
    return blocks


def makegocons(request: Request) -> None:
    if _sent_elsewhere(request):
        return
    raise request.stop("goconserver is not installed.")


def _sent_elsewhere(request: Request) -> bool:
    """On a host without site.master's address the request goes to the one that has it."""
    address = request.database.site("master")
    if not address or "-l" in request.args or net.is_mine(address):
        return False
    target = f"{address}:{request.database.site('xcatdport', '3001')}"
    message: dict[str, Any] = {
        "command": request.command,
        "args": list(request.args),
        "stdin": None,
        "cwd": os.sep,
        "environment": {},
    }
    try:
        request.code |= client.exchange(target, message, request.sink)
    except client.ConnectionFailedError as failure:
        request.error(f"Unable to dispatch hierarchical sub-command to {target}.  Error: Connection failure: {failure}")
    return True
