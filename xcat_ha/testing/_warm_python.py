"""``python3 -m …`` on simulated hosts, forked from an interpreter that has the standard library loaded already.

A contract test starts hundreds of node-side programs; most of their time would go into starting Python. Each is still a process of its own.
This module is both sides: imported by the tests, it is the client; run as a program, the interpreter that forks.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PRELOADED = (
    "argparse",
    "base64",
    "contextlib",
    "fcntl",
    "glob",
    "hashlib",
    "io",
    "ipaddress",
    "json",
    "math",
    "pathlib",
    "re",
    "select",
    "shlex",
    "shutil",
    "socket",
    "sqlite3",
    "stat",
    "string",
    "struct",
    "subprocess",
    "tempfile",
    "time",
    "typing",
    "typing_extensions",
)
_HEAD_BYTES = 4


@functools.cache
def bytecode_directory() -> str:
    """Where Pythons of simulated hosts keep compiled modules; removed when this process ends."""
    directory = tempfile.mkdtemp(prefix="pair-bytecode-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


class WarmPython:
    """The client; one serves all simulated pairs of a test process."""

    def __init__(self) -> None:
        """Start the interpreter that forks. It ends when this process does, because its socket closes."""
        self._lock = threading.Lock()
        self._talk, far = socket.socketpair()
        search = ":".join(str(Path(entry).resolve()) for entry in sys.path if entry and Path(entry).exists())
        with far:
            self._forker = subprocess.Popen(
                [sys.executable, "-P", __file__, str(far.fileno())],
                pass_fds=(far.fileno(),),
                stdin=subprocess.DEVNULL,
                env={"PYTHONPATH": search, "PYTHONPYCACHEPREFIX": bytecode_directory(), "LANG": "C.UTF-8", "PATH": ""},
                start_new_session=True,
            )

        atexit.register(self.close)

    def close(self) -> None:
        """End the interpreter."""
        self._talk.close()
        self._forker.wait()

    def run(  # noqa: PLR0913 - what a process is started with
        self, words: Sequence[str], *, stdin: bytes, directory: str, environment: Mapping[str, str], custom: str, timeout_s: float
    ) -> tuple[int | None, bytes, bytes]:
        """Run ``python3 -m words…``; (exit status or None when out of time, stdout, stderr).

        ``custom`` is a ``sitecustomize`` module that is run first. A negative status is the signal that ended it.
        """
        order = json.dumps({"words": list(words), "directory": directory, "environment": dict(environment), "custom": custom}).encode()
        with self._lock, tempfile.TemporaryFile() as feed, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            feed.write(stdin)
            feed.seek(0)
            descriptors = [feed.fileno(), out.fileno(), err.fileno()]
            socket.send_fds(self._talk, [len(order).to_bytes(_HEAD_BYTES, "big")], descriptors)
            self._talk.sendall(order)
            pid = int.from_bytes(_exactly(self._talk, _HEAD_BYTES), "big")
            status = self._await(pid, timeout_s)
            out.seek(0)
            err.seek(0)
            return status, out.read(), err.read()

    def _await(self, pid: int, timeout_s: float) -> int | None:
        self._talk.settimeout(timeout_s)
        try:
            return int.from_bytes(_exactly(self._talk, _HEAD_BYTES), "big", signed=True)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            self._talk.settimeout(None)
            _exactly(self._talk, _HEAD_BYTES)
            return None
        finally:
            self._talk.settimeout(None)


def _exactly(talk: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = talk.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def _serve(talk: socket.socket) -> Mapping[str, Any]:
    """Fork for each order; returns, in the child only, the order to carry out."""
    while True:
        head, descriptors, _flags, _address = socket.recv_fds(talk, _HEAD_BYTES, 3)
        if not head:
            os._exit(0)
        order: Mapping[str, Any] = json.loads(_exactly(talk, int.from_bytes(head, "big")))
        pid = os.fork()
        if not pid:
            os.setsid()
            for target, descriptor in enumerate(descriptors):
                os.dup2(descriptor, target)
                os.close(descriptor)
            talk.close()
            return order
        for descriptor in descriptors:
            os.close(descriptor)
        talk.sendall(pid.to_bytes(_HEAD_BYTES, "big"))
        _pid, status = os.waitpid(pid, 0)
        talk.sendall(os.waitstatus_to_exitcode(status).to_bytes(_HEAD_BYTES, "big", signed=True))


def _carry_out(order: Mapping[str, Any]) -> None:
    """Become the program. What it raises ends this interpreter as it would end any other."""
    os.chdir(order["directory"])
    os.environ.clear()
    os.environ.update(order["environment"])
    custom = types.ModuleType("sitecustomize")
    exec(compile(Path(order["custom"]).read_text(), order["custom"], "exec"), custom.__dict__)  # noqa: S102 - our own file
    sys.argv = list(order["words"])
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    for _name in _PRELOADED:
        with contextlib.suppress(ImportError):
            __import__(_name)
    _carry_out(_serve(socket.socket(fileno=int(sys.argv[1]))))
