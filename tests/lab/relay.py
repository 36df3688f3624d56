"""A slow or lossy cable.

    python3 -m tests.lab.relay READY_FILE PORT PORT DELAY_MS LOSS_PCT

Copies frames between two network interfaces, each frame late and some never.  The kernel's
netem would do it as well, but not every kernel has it.
"""

from __future__ import annotations

import contextlib
import heapq
import random
import select
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_ETH_P_ALL: Final = 0x0003
_SOL_PACKET: Final = 263
_PACKET_VNET_HDR: Final = 15
_PACKET_IGNORE_OUTGOING: Final = 23
_LARGEST_FRAME_BYTES: Final = 10 + 14 + 65536


@dataclass(order=True)
class _Frame:
    due_s: float
    number: int
    data: bytes = field(compare=False)
    to: socket.socket = field(compare=False)


class Queue:
    """Frames on their way.  Times are seconds of a monotonic clock, given by the caller."""

    def __init__(self, delay_s: float, loss: float, rng: random.Random) -> None:
        self._delay_s = delay_s
        self._loss = loss
        self._rng = rng
        self._frames: list[_Frame] = []
        self._count = 0

    def put(self, data: bytes, to: socket.socket, now_s: float) -> None:
        """Accept a frame, or lose it."""
        if self._rng.random() >= self._loss:
            self._count += 1
            heapq.heappush(self._frames, _Frame(now_s + self._delay_s, self._count, data, to))

    def due(self, now_s: float) -> list[tuple[bytes, socket.socket]]:
        """Take out the frames whose time has come, in the order they came."""
        ready = []
        while self._frames and self._frames[0].due_s <= now_s:
            frame = heapq.heappop(self._frames)
            ready.append((frame.data, frame.to))
        return ready

    def wait_s(self, now_s: float) -> float | None:
        """Time until the next frame is due, None if there is none."""
        return max(0.0, self._frames[0].due_s - now_s) if self._frames else None


def main(ready_file: str, first: str, second: str, delay_ms: str, loss_pct: str) -> int:
    """Relay until one of the interfaces disappears."""
    queue = Queue(float(delay_ms) / 1000, float(loss_pct) / 100, random.Random())
    one, two = _open(first), _open(second)
    other = {one: two, two: one}
    Path(ready_file).touch()
    try:
        while True:
            wait_s = queue.wait_s(time.monotonic())
            for source in select.select([one, two], [], [], wait_s)[0]:
                data = source.recv(_LARGEST_FRAME_BYTES)
                queue.put(data, other[source], time.monotonic())
            for data, target in queue.due(time.monotonic()):
                _send(target, data)
    except OSError as error:
        print(f"relay between {first} and {second} ends: {error}", file=sys.stderr)
        return 0


def _open(interface: str) -> socket.socket:
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    # Each frame with a header that says which checksums are still to be computed: on a cable
    # between two virtual interfaces nobody computes them.
    port.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    # Not the frames sent here: they would go round in circles.
    port.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    port.bind((interface, 0))
    return port


def _send(target: socket.socket, data: bytes) -> None:
    # Unplugged, or full: a cable loses frames, too.  A missing interface shows when reading.
    with contextlib.suppress(OSError):
        target.send(data)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
