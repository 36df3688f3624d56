"""rpower for mgt=ipmi.  A BMC is a file or nobody.

/var/lib/xcat-standin/bmc/<address> holds `on` or `off`: a BMC that answers.
Without the file the BMC is unreachable, as BMCs are in a lab.  A BMC that is
more than a file is one that listens on TCP port 623 of its address, takes the
line `<user> <password> <action>` and answers `on`, `off` or `error <text>`.
"""

from __future__ import annotations

import pathlib
import socket

from .. import net, paths
from ..objects import Attributes, Objects
from ..request import Request

STATES = "/var/lib/xcat-standin/bmc"
ACTIONS = ("stat", "state", "status", "on", "off", "softoff", "reset", "boot", "cycle")
ANSWERS = ("on", "off", "softoff", "reset", "cycle")
PORT = 623
CONNECT_TIMEOUT_S = 3.0
WANTED = ("mgt", "power", "bmc", "bmcusername", "bmcpassword")


def rpower(request: Request) -> None:
    words = [w for w in request.args if not w.startswith("-")]
    if len(words) < 2:
        request.out("Usage: rpower <noderange> [on|off|softoff|reset|boot|cycle|stat|state|status]")
        request.code |= 1
        return
    objects = Objects(request.database)
    names, missing = objects.noderange.expand(words[0])
    if missing:
        request.err(f"Error: Invalid nodes and/or groups in noderange: {','.join(missing)}")
        return
    found = objects.nodes(names, WANTED)
    silent = []
    for name in names:
        method = found[name].get("power") or found[name].get("mgt", "")
        if method != "ipmi":
            request.error(f"{name}: mgt={method} is not served here")
        elif words[1] not in ACTIONS:
            request.out(f"{name}: Error: Unsupported command: rpower {words[1]} when using mgt=ipmi.")
            request.code |= 1
        elif not _answer(request, name, found[name], words[1]):
            silent.append(name)
    if silent:
        request.pace.wait_until("rpower timeout")
    for name in silent:
        request.node_error(name, "ERROR: timeout")


def _answer(request: Request, name: str, node: Attributes, action: str) -> bool:
    """False: the BMC says nothing."""
    address = net.resolve(node.get("bmc", "")) or ""
    place = paths.at(f"{STATES}/{address or 'none'}")
    if place.is_file():
        request.out(f"{name}: {_act_on_file(place, action)}")
        return True
    reachable = bool(address) and paths.is_whole_machine()
    answer = _ask(address, node, action) if reachable else ""
    if answer.startswith("error"):
        request.node_error(name, answer.removeprefix("error").strip())
    elif answer:
        request.out(f"{name}: {answer}")
    return bool(answer)


def _act_on_file(place: pathlib.Path, action: str) -> str:
    now = place.read_text().strip() or "off"
    if action in ("stat", "state", "status"):
        return now
    if action in ("on", "off", "softoff"):
        wanted = "off" if action == "softoff" else action
        place.write_text(wanted + "\n")
        return "softoff" if action == "softoff" else wanted
    if action == "boot":
        place.write_text("on\n")
        return "reset" if now == "on" else "on"
    return "reset" if now == "on" else "off"  # reset of an off node sends nothing


def _ask(address: str, node: Attributes, action: str) -> str:
    user, password = node.get("bmcusername", "-"), node.get("bmcpassword", "-")
    try:
        with socket.create_connection((address, PORT), timeout=CONNECT_TIMEOUT_S) as connection:
            connection.sendall(f"{user} {password} {action}\n".encode())
            connection.settimeout(CONNECT_TIMEOUT_S)
            answer = connection.makefile("r").readline().strip()
    except OSError:
        return ""
    return answer if answer in ANSWERS or answer.startswith("error ") else ""
