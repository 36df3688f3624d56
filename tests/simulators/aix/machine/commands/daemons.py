"""The daemons behind subsystems that the lab node has no program for: processes that run, and listen where others look for them."""

from __future__ import annotations

import signal
import socket
from types import FrameType
from typing import NoReturn

from ..box import Box

PORTS = {"nimesis": (1058, 1059), "nimsh": (3901, 3902)}


class _Ended(Exception):  # noqa: N818 - no error
    """SIGTERM has come."""


def _end(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise _Ended


def daemon(box: Box) -> int:
    """Until SIGTERM; SIGHUP changes nothing."""
    listeners = [socket.create_server(("", port)) for port in PORTS.get(box.name, ())]
    signal.signal(signal.SIGHUP, lambda *_: None)
    signal.signal(signal.SIGTERM, _end)
    try:
        while True:
            signal.pause()
    except _Ended:
        pass
    for one in listeners:
        one.close()
    return 0


inetd = xntpd = snmpd = nfsd = rpc_mountd = biod = nimesis = nimsh = daemon
