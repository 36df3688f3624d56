"""Commands on another machine, through the system's OpenSSH over one multiplexed connection."""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from attrs import evolve

from xcat_ha.interfaces import OutputSink, Runner
from xcat_ha.models import Node
from xcat_ha.runners._batch import batch_script, parse_batch
from xcat_ha.runners._process import held_argv, plain_argv, require_reads, run_process
from xcat_ha.ssh_command import ssh_options
from xcat_ha.steps import Command, Completed, Trouble

_SSH_FAILED = 255
_MARKER = "xcat-ha-exit:"
_MARKED = re.compile(rf"(.*){_MARKER}([0-9]+)\n(.*)", re.DOTALL)
_CONNECT_TIMEOUT_S = 10
_HOST_KEY_WORDS = ("Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED", "host key is known")
_PERSIST_S = 120


class SshRunner(Runner):
    """Reaches one node by ssh. Connections: one per runner, opened with the first command, closed by :meth:`close`."""

    def __init__(self, node: Node, command_lock: str = "") -> None:
        """Not connected yet.

        Args:
            node: whom to reach; its host key must be known under its id (``setup`` sees to it).
            command_lock: file there that commands which change something lock (shared); empty for none.
        """
        self._command_lock = command_lock
        self._node = node
        # Short on purpose: the path of a unix socket must stay under 108 bytes.
        self._directory = tempfile.mkdtemp(prefix="xha-")
        self._socket = f"{self._directory}/c"
        self._opening = threading.Lock()
        self._open = False
        self._closed = False

    def _argv(self, *options: str) -> tuple[str, ...]:
        common = ssh_options(self._node, connect_timeout_s=_CONNECT_TIMEOUT_S)
        return ("ssh", *common, "-o", f"ControlPath={self._socket}", *options, f"{self._node.user}@{self._node.address}")

    def _connect(self) -> Completed | None:
        """Open the master connection once; None when it is there, else what went wrong.

        Should it die later, ssh by itself connects anew for each command.
        """
        with self._opening:
            if self._open:
                return None
            if self._closed:
                return Completed((), None, stderr="this runner was closed", trouble=Trouble.NOT_RUN)
            master = self._argv("-o", "ControlMaster=yes", "-o", f"ControlPersist={_PERSIST_S}", "-N", "-f")
            # The master outlives this call: were its stderr our pipe, we would wait for its end.
            said = Path(self._directory, "said")
            quiet = ("/bin/sh", "-c", 'exec "$@" >/dev/null 2>"$0"', str(said), *master)
            completed = run_process(quiet, stdin=None, timeout_s=_CONNECT_TIMEOUT_S * 2, shown_argv=master)
            completed = evolve(completed, stderr=said.read_text(encoding="utf-8", errors="replace") if said.exists() else "")
            self._open = completed.ok
            # A host that takes the connection and then says nothing did not answer; no command ran out of time.
            return None if completed.ok else self._translate(evolve(completed, trouble=None), completed.argv)

    def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
        """See :meth:`Runner.run`."""
        del host
        argv = plain_argv(command)
        problem = self._connect()
        if problem is not None:
            return Completed(argv, None, stderr=problem.stderr, trouble=problem.trouble)
        # The remote side ends the command by itself at the time-out, so a cut connection leaves nothing running for ever.
        limit_s = max(int(command.timeout_s), 1)
        bounded = ("timeout", "-k", "5", str(limit_s), *held_argv(command, self._command_lock))
        # ssh's own failure is exit 255, and so may be a command's: the marker tells them apart.
        remote = f"{shlex.join(bounded)}; rc=$?; printf '{_MARKER}%s\\n' $rc >&2"
        completed = run_process(
            (*self._argv("-o", "ControlMaster=no"), remote),
            stdin=command.stdin if command.stdin is not None else "",
            timeout_s=command.timeout_s + 10,
            on_output=on_output,
            shown_argv=argv,
        )
        return self._read_marker(completed, limit_s)

    def _read_marker(self, completed: Completed, limit_s: int) -> Completed:
        found = _MARKED.fullmatch(completed.stderr)
        if found is None:
            return self._translate(completed, completed.argv)
        before, digits, after = found.groups()  # ssh itself, or a daemon the command left behind, may speak after the marker
        code, said = int(digits), before + after
        if code in {124, 137} and completed.duration_s >= limit_s:
            return Completed(completed.argv, None, completed.stdout, said, completed.duration_s, Trouble.TIMED_OUT)
        return Completed(completed.argv, code, completed.stdout, said, completed.duration_s)

    def _translate(self, completed: Completed, argv: tuple[str, ...]) -> Completed:
        """What ssh's own failure means: another host key is never "down"."""
        if completed.trouble is not None:
            return completed
        trouble = Trouble.HOST_KEY if any(word in completed.stderr for word in _HOST_KEY_WORDS) else Trouble.UNREACHABLE
        said = completed.stderr.strip() or f"ssh to {self._node.id} ({self._node.address}) ended without a word"
        return Completed(argv, None, completed.stdout, said, completed.duration_s, trouble)

    def read_many(self, host: str, commands: Sequence[Command]) -> tuple[Completed, ...]:
        """See :meth:`Runner.read_many`."""
        del host
        for command in commands:
            require_reads(command)
        if not commands:
            return ()
        argvs = [plain_argv(command) for command in commands]
        problem = self._connect()
        if problem is None:
            script = batch_script([(argv, command.stdin or "", command.timeout_s) for argv, command in zip(argvs, commands, strict=True)])
            limit_s = max(command.timeout_s for command in commands) + 15
            completed = run_process((*self._argv("-o", "ControlMaster=no"), "sh -s"), stdin=script, timeout_s=limit_s)
            answers = parse_batch(completed.stdout, argvs)
            if answers is not None:
                return answers
            problem = self._translate(completed, completed.argv)
        return tuple(Completed(argv, None, stderr=problem.stderr, trouble=problem.trouble) for argv in argvs)

    def close(self) -> None:
        """See :meth:`Runner.close`."""
        with self._opening:
            self._closed = True
            if self._open:
                run_process(self._argv("-O", "exit"), stdin=None, timeout_s=5)
                self._open = False
        shutil.rmtree(self._directory, ignore_errors=True)
