"""The program behind SecretSampler: ``python3 -m tests.lab.leak_probe``.

Reads one line of JSON, {"secrets": {label: value}, "leave_out": [pid]}, says "ready", prints one
line of JSON for each secret seen, and ends when its standard input does.

A program that is dynamically linked opens /etc/ld.so.cache as its first act.  With fanotify the
kernel asks us for permission then, and the program waits: time enough to look at its argv.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import struct
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Final

# linux/fanotify.h
_FAN_CLASS_CONTENT: Final = 0x04
_FAN_CLOEXEC: Final = 0x01
_FAN_MARK_ADD: Final = 0x01
_FAN_OPEN_PERM: Final = 0x00010000
_FAN_ALLOW: Final = 0x01
_AT_FDCWD: Final = -100
_EVENT: Final = struct.Struct("=IBBHQii")
_ANSWER: Final = struct.Struct("=iI")

_LOOK_EVERY_S: Final = 0.25
# Without fanotify, looking often is all that can be done.
_LOOK_OFTEN_S: Final = 0.02


def leaks_in(cmdline: bytes, environ: bytes, secrets: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    """Label and place of the secrets in the texts of /proc/PID/cmdline and /proc/PID/environ."""
    for label, value in secrets.items():
        if value in cmdline:
            yield label, "argv"
        if value in environ:
            yield label, "environ"


def events_in(data: bytes) -> Iterator[tuple[int, int]]:
    """The descriptor to answer for, and the process that waits, of each fanotify event."""
    start = 0
    while start + _EVENT.size <= len(data):
        length, _, _, _, _, descriptor, pid = _EVENT.unpack_from(data, start)
        yield descriptor, pid
        start += max(length, _EVENT.size)


class Gate:
    """Programs wait at it when they start.  It opens by itself when this process ends."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        flags = os.O_RDONLY | os.O_CLOEXEC
        self.descriptor: int = self._libc.fanotify_init(_FAN_CLASS_CONTENT | _FAN_CLOEXEC, flags)
        if self.descriptor < 0:
            raise OSError(ctypes.get_errno(), "fanotify_init")
        self._marked: set[tuple[int, int]] = set()

    def watch(self, path: str) -> None:
        """Also ask about this file.  OSError if there is none, or it cannot be watched."""
        status = os.stat(path)  # noqa: PTH116 - a path below /proc, as text like the others
        identity = (status.st_dev, status.st_ino)
        if identity in self._marked:
            return
        mask = ctypes.c_uint64(_FAN_OPEN_PERM)
        failed = self._libc.fanotify_mark(self.descriptor, _FAN_MARK_ADD, mask, _AT_FDCWD, os.fsencode(path))
        if failed:
            raise OSError(ctypes.get_errno(), "fanotify_mark", path)
        self._marked.add(identity)

    def waiting(self) -> Iterator[int]:
        """Each waiting process; it may go on when the next one is asked for."""
        for descriptor, pid in events_in(os.read(self.descriptor, 65536)):
            try:
                yield pid
            finally:
                os.write(self.descriptor, _ANSWER.pack(descriptor, _FAN_ALLOW))
                os.close(descriptor)


class Probe:
    """Looks at processes and reports each secret of each process once."""

    def __init__(self, secrets: Mapping[str, bytes], leave_out: frozenset[int], gate: Gate | None) -> None:
        self._secrets = secrets
        self._leave_out = leave_out
        self._gate = gate
        self._reported: set[str] = set()

    def look_at(self, pid: int) -> None:
        """Report what one process shows."""
        # Gone in the meantime, or a kernel thread: nothing to see.
        with contextlib.suppress(OSError):
            if pid not in self._leave_out:
                cmdline, environ = _read(f"/proc/{pid}/cmdline"), _read(f"/proc/{pid}/environ")
                for label, where in leaks_in(cmdline, environ, self._secrets):
                    self._report(label, where, pid, cmdline)

    def look_around(self) -> None:
        """Look at every process, and put the gate in front of the trees they live in."""
        for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:  # noqa: PTH208
            if self._gate:
                # A tree without the file has no programs to wait for.
                with contextlib.suppress(OSError):
                    self._gate.watch(f"/proc/{pid}/root/etc/ld.so.cache")
            self.look_at(pid)

    def _report(self, label: str, where: str, pid: int, cmdline: bytes) -> None:
        argv = cmdline.decode(errors="replace").rstrip("\0").split("\0")
        text = json.dumps({"secret": label, "where": where, "pid": pid, "argv": argv})
        if text not in self._reported:
            self._reported.add(text)
            print(text, flush=True)


def main() -> int:
    """Run until standard input ends."""
    order = json.loads(sys.stdin.readline())
    secrets = {label: value.encode() for label, value in order["secrets"].items()}
    gate = _open_gate()
    probe = Probe(secrets, frozenset({os.getpid(), *order["leave_out"]}), gate)
    # From here on nothing may load a library: that would wait at our own gate, for ever.
    probe.look_around()
    print("ready", flush=True)
    watch(probe, gate)
    return 0


def watch(probe: Probe, gate: Gate | None) -> None:
    """Look at whoever waits at the gate, at everybody now and then, and once more at the end."""
    sources = [sys.stdin.fileno(), *([gate.descriptor] if gate else [])]
    interval_s = _LOOK_EVERY_S if gate else _LOOK_OFTEN_S
    next_look_s = time.monotonic() + interval_s
    while True:
        wait_s = max(0.0, next_look_s - time.monotonic())
        ready = select.select(sources, [], [], wait_s)[0]
        if gate and gate.descriptor in ready:
            for pid in gate.waiting():
                probe.look_at(pid)
        if time.monotonic() >= next_look_s or sys.stdin.fileno() in ready:
            probe.look_around()
            next_look_s = time.monotonic() + interval_s
        if sys.stdin.fileno() in ready:
            return


def _open_gate() -> Gate | None:
    try:
        gate = Gate()
        gate.watch("/etc/ld.so.cache")
    except OSError as error:
        print(f"secret sampler: short-lived programs may be missed: {error}", file=sys.stderr)
        return None
    return gate


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(descriptor, 65536):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
