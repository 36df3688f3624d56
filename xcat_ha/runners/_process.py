"""Starting one process on this machine, with time-out and output as it comes."""

from __future__ import annotations

import contextlib
import io
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

from xcat_ha.errors import ChangeForbiddenError
from xcat_ha.interfaces import OutputSink
from xcat_ha.steps import Command, Completed, Effect, Trouble

_CHUNK_BYTES = 65536
_GRACE_S = 5.0
_POLL_S = 1.0
_DRAIN_S = 0.2


def plain_argv(command: Command) -> tuple[str, ...]:
    """The argv with the user switched to, once all references are filled in.

    Raises:
        TypeError: a ``Ref`` is left in it: a mistake of the program, not of its user.
    """
    words: list[str] = []
    for word in command.argv:
        if not isinstance(word, str):
            raise TypeError(f"{word!r} was not replaced by its value")
        words.append(word)
    return ("runuser", "-u", command.user, "--", *words) if command.user else tuple(words)


def held_argv(command: Command, command_lock: str) -> tuple[str, ...]:
    """As :func:`plain_argv`; a command that changes something holds ``command_lock`` (shared) until it ends, whatever becomes of us.

    ``-o``: a daemon it leaves behind must not hold the lock for ever.
    """
    argv = plain_argv(command)
    holds = command_lock and command.effect is Effect.CHANGES
    return ("flock", "-o", "-s", command_lock, *argv) if holds else argv


def require_reads(command: Command) -> None:
    """Refuse anything that may change a host.

    Raises:
        ChangeForbiddenError: the command's effect is CHANGES.
    """
    if command.effect is not Effect.READS:
        words = " ".join(str(word) for word in command.argv)
        raise ChangeForbiddenError(f"this would change something and is not run here: {words}", hint="run the verb without --dry-run")


def run_process(  # noqa: PLR0913 - one call site per runner; a parameter object would only rename these
    argv: Sequence[str],
    *,
    stdin: str | None,
    timeout_s: float,
    on_output: OutputSink | None = None,
    shown_argv: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Completed:
    """Run ``argv`` in a session of its own, so that a terminal's Ctrl-C or hang-up reaches the caller only.

    On time-out the whole process group gets SIGTERM, then SIGKILL after 5 s. A program that is not there gives exit status 127, one that
    cannot be run 126, as in a shell.
    """
    shown = tuple(shown_argv if shown_argv is not None else argv)
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=dict(environment) if environment is not None else None,
        )
    except (FileNotFoundError, NotADirectoryError):
        return Completed(shown, 127, stderr=f"{argv[0]}: command not found")
    except OSError as error:
        return Completed(shown, 126, stderr=f"{argv[0]}: {error.strerror}")
    try:
        out, err, in_time = _converse(process, stdin, started + timeout_s, on_output)
    finally:
        _end_group(process)
    spent_s = time.monotonic() - started
    if not in_time:
        return Completed(shown, None, out, err or f"no end after {timeout_s:.0f} s", spent_s, Trouble.TIMED_OUT)
    code = process.returncode
    return Completed(shown, code if code >= 0 else 128 - code, out, err, spent_s)


def _converse(process: subprocess.Popen[bytes], stdin: str | None, deadline: float, on_output: OutputSink | None) -> tuple[str, str, bool]:
    """Feed stdin, collect both outputs until the process ends or ``deadline`` (monotonic seconds) is reached."""
    pending = memoryview((stdin or "").encode("utf-8", "surrogateescape"))
    parts: dict[str, list[bytes]] = {"out": [], "err": []}
    with selectors.DefaultSelector() as selector:
        _watch(selector, process)
        while selector.get_map() and (remaining_s := deadline - time.monotonic()) > 0:
            ended = process.poll() is not None
            ready = selector.select(min(remaining_s, _DRAIN_S if ended else _POLL_S))
            if ended and not ready:
                break  # a daemon it left behind may hold our pipes open for ever
            for key, _events in ready:
                if key.data == "in":
                    pending = _feed(key.fd, pending)
                    finished = not pending
                else:
                    chunk = os.read(key.fd, _CHUNK_BYTES)
                    parts[key.data].append(chunk)
                    if on_output is not None and key.data == "out":
                        on_output(chunk.decode("utf-8", "surrogateescape"))
                    finished = not chunk
                if finished:
                    selector.unregister(key.fileobj)
                    _close(key.fileobj)
    out, err = (b"".join(parts[name]).decode("utf-8", "surrogateescape") for name in ("out", "err"))
    try:
        process.wait(max(deadline - time.monotonic(), 0.05))
    except subprocess.TimeoutExpired:
        return out, err, False
    return out, err, True


def _watch(selector: selectors.BaseSelector, process: subprocess.Popen[bytes]) -> None:
    for name, stream in (("out", process.stdout), ("err", process.stderr)):
        if stream is not None:
            selector.register(stream, selectors.EVENT_READ, name)
    if process.stdin is not None:
        os.set_blocking(process.stdin.fileno(), False)
        selector.register(process.stdin, selectors.EVENT_WRITE, "in")


def _close(stream: object) -> None:
    """Close a pipe; one whose reader has gone cannot be flushed, and need not be."""
    if isinstance(stream, io.IOBase):
        with contextlib.suppress(BrokenPipeError):
            stream.close()


def _feed(descriptor: int, pending: memoryview) -> memoryview:
    """Write what the pipe takes; nothing is left to write once the reader has gone."""
    try:
        return pending[os.write(descriptor, pending[:_CHUNK_BYTES]) :]
    except BlockingIOError:
        return pending
    except BrokenPipeError:
        return memoryview(b"")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the process and its group, and close our ends of the pipes."""
    if process.poll() is None:
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal_number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_S)
                break
    for stream in (process.stdin, process.stdout, process.stderr):
        _close(stream)
