"""Commands on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from xcat_ha.interfaces import OutputSink, Runner
from xcat_ha.runners._process import held_argv, plain_argv, require_reads, run_process
from xcat_ha.steps import Command, Completed

_SIDE_BY_SIDE = 8


class LocalRunner(Runner):
    """Runs every command on this machine, whatever host it is asked for."""

    def __init__(self, command_lock: str = "") -> None:
        """``command_lock``: file that commands which change something lock (shared); empty for none."""
        self._command_lock = command_lock

    def run(self, host: str, command: Command, *, on_output: OutputSink | None = None) -> Completed:
        """See :meth:`Runner.run`."""
        del host
        return run_process(
            held_argv(command, self._command_lock),
            stdin=command.stdin,
            timeout_s=command.timeout_s,
            on_output=on_output,
            shown_argv=plain_argv(command),
        )

    def read_many(self, host: str, commands: Sequence[Command]) -> tuple[Completed, ...]:
        """See :meth:`Runner.read_many`."""
        for command in commands:
            require_reads(command)
        with ThreadPoolExecutor(max_workers=_SIDE_BY_SIDE) as pool:
            return tuple(pool.map(lambda command: self.run(host, command), commands))
