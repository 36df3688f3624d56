"""Put into every Python that runs on a simulated host: packet sockets for ARP reach the simulated segment instead of a real one.

It is copied to the host's library as ``sitecustomize``; standard library only. ``SIMULATED_HOST`` and ``SIMULATED_SOCKET`` come before it.
"""

from __future__ import annotations

import select
import socket
import time
from typing import Any, Self

SIMULATED_HOST = ""
SIMULATED_SOCKET = ""
_ARP = 0x0806
_NOBODY = b"\x00" * 6


def _ask_segment(question: str, address: str) -> str:
    """Ask the pair: who answers for an address; or tell it that this host announced one."""
    parts = [word.encode() for word in (SIMULATED_HOST, question, address)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as talk:
        talk.connect(SIMULATED_SOCKET)
        framed = b"".join(len(part).to_bytes(4, "big") + part for part in (*parts, b""))
        talk.sendall(len(parts).to_bytes(4, "big") + framed)
        with talk.makefile("rb") as stream:
            answer = stream.read()
    return answer[8 : 8 + int.from_bytes(answer[4:8], "big")].decode().strip()


class _ArpSocket:
    """Stands for an ``AF_PACKET`` socket bound to ARP on one interface."""

    def __init__(self, *_words: object) -> None:
        self._near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._device = ""

    def bind(self, address: tuple[Any, ...]) -> None:
        self._device = str(address[0])

    def fileno(self) -> int:
        return self._near.fileno()

    def sendto(self, data: bytes, *_where: object) -> int:
        sender, target = data[14:18], data[24:28]
        if sender == target:
            _ask_segment(".announced", socket.inet_ntoa(target))
        elif int.from_bytes(data[6:8], "big") == 1:
            mac = _ask_segment(".who-has", socket.inet_ntoa(target))
            if mac:
                self._far.send(data[:6] + b"\x00\x02" + bytes.fromhex(mac) + target + data[8:14] + sender)
        return len(data)

    def send(self, data: bytes) -> int:
        return self.sendto(data)

    def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int, int, int, bytes]]:
        data = self._near.recv(size)
        return data, (self._device, _ARP, 0, 1, data[8:14])

    def recv(self, size: int) -> bytes:
        return self.recvfrom(size)[0]

    def settimeout(self, seconds: float | None) -> None:
        self._near.settimeout(seconds)

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - the signature of the standard library
        self._near.setblocking(flag)

    def setsockopt(self, *_words: object) -> None:
        """Nothing to set."""

    def close(self) -> None:
        self._near.close()
        self._far.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


_real_select, _real_monotonic = select.select, time.monotonic
_skipped_s = [0.0]


def _select(reading: Any, writing: Any, failing: Any, timeout_s: float | None = None) -> Any:
    """The simulated segment answers at once: whoever waits for it alone need not wait, only time has to pass."""
    waiting = list(reading)
    if timeout_s is None or writing or failing or not waiting or not all(isinstance(one, _ArpSocket) for one in waiting):
        return _real_select(reading, writing, failing, timeout_s)
    ready = _real_select(waiting, [], [], 0)
    if not ready[0]:
        _skipped_s[0] += timeout_s
    return ready


def _monotonic() -> float:
    return _real_monotonic() + _skipped_s[0]


select.select, time.monotonic = _select, _monotonic
_RealSocket = socket.socket


class _Socket(_RealSocket):
    def __new__(cls, family: int = -1, *_words: Any, **_options: Any) -> Any:
        if family == getattr(socket, "AF_PACKET", None):
            return _ArpSocket()
        return super().__new__(cls)


socket.socket = _Socket  # type: ignore[misc]
