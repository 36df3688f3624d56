"""Whether nobody answers: a program for the node that asks, ``python3 -m xcat_ha.silence ADDRESS,PORT …``. Standard library only.

Prints ``HOLDS`` if none of them answers, ``FAILS: who`` if one does, ``UNKNOWN: why`` if this node could not even ask. A refused
connection is an answer: somebody is there to refuse it. Silence proves nothing about a machine; it is only not a proof of the contrary.
"""

from __future__ import annotations

import errno
import select
import socket
import sys
import time

LIMIT_S = 4.0
_OWN_FAULT = frozenset({errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENOMEM})
_NOBODY = frozenset({errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.EHOSTDOWN})


def outcomes(targets: list[tuple[str, int]], limit_s: float = LIMIT_S) -> dict[tuple[str, int], int | None]:
    """For each (address, port): 0 connected, an errno, or None for no answer within ``limit_s`` seconds. All are asked at once."""
    waiting: dict[socket.socket, tuple[str, int]] = {}
    found: dict[tuple[str, int], int | None] = dict.fromkeys(targets)
    for address, port in targets:
        asking = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        asking.setblocking(False)
        code = asking.connect_ex((address, port))
        if code in {errno.EINPROGRESS, errno.EWOULDBLOCK}:
            waiting[asking] = (address, port)
        else:
            found[(address, port)] = code
            asking.close()
    deadline = time.monotonic() + limit_s
    while waiting and (remaining_s := deadline - time.monotonic()) > 0:
        _, ready, _ = select.select([], list(waiting), [], remaining_s)
        for asking in ready:
            found[waiting.pop(asking)] = asking.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            asking.close()
    for asking in waiting:
        asking.close()
    return found


def verdict(found: dict[tuple[str, int], int | None]) -> str:
    """The line to print."""
    unknown = ""
    for (address, port), code in found.items():
        if code is None or code in _NOBODY:
            continue
        if code in _OWN_FAULT:
            unknown = f"UNKNOWN: {address} port {port} cannot be asked: {errno.errorcode.get(code, str(code))}"
            continue
        said = "answers" if code == 0 else f"answers with {errno.errorcode.get(code, str(code))}"
        return f"FAILS: {address} port {port} {said}"
    return unknown or "HOLDS"


def main(words: list[str]) -> int:
    """Ask all targets; returns the exit status."""
    try:
        targets = [(address, int(port)) for address, _, port in (word.rpartition(",") for word in words)]
    except ValueError as error:
        print(f"UNKNOWN: {error}")  # noqa: T201 - its answer
        return 0
    print(verdict(outcomes(targets)))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
