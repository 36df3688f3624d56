"""The server of this node as a whole: whether it runs, starting and stopping it, what its data directory says while it is stopped."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.layout import Layout, find
from xcat_ha_drivers.postgres.location import require_postgres
from xcat_ha_drivers.postgres.server import Server
from xcat_ha_drivers.postgres_streaming._places import Given
from xcat_ha_drivers.postgres_streaming._wal import Control, read_control

START_LIMIT_S = 300.0
"""Recovery after a power loss reads the log since the last checkpoint: minutes at most (``checkpoint_timeout``)."""
STOP_LIMIT_S = 600.0
SIGNAL = "standby.signal"
_DATABASES = "SELECT to_jsonb(datname) FROM pg_database WHERE datallowconn AND NOT datistemplate"


class Cluster:
    """A server with its data directory. Holds no connection."""

    def __init__(self, layout: Layout, database: str) -> None:
        """``database``: xCAT's, as cfgloc names it."""
        self.layout = layout
        self.database = database
        self.server = Server(layout)

    @property
    def data(self) -> Path:
        """The data directory."""
        return Path(self.layout.data_directory)

    @property
    def has_signal(self) -> bool:
        """Whether it is a standby whenever it runs."""
        return (self.data / SIGNAL).exists()

    def control(self, data: Path | None = None) -> Control:
        """What ``pg_controldata`` says of the data directory (or of another one).

        Raises:
            PostgresError: it cannot be read.
        """
        place = data or self.data
        code, said, complained = self.call("pg_controldata", "-D", str(place))
        found = read_control(said) if code == 0 else None
        if found is None:
            raise PostgresError(
                f"pg_controldata cannot read {place}: {complained.strip()[:200] or 'its output is not understood'}",
                hint="is it a data directory of that PostgreSQL version?",
            )
        return found

    def call(self, program: str, *words: str, timeout_s: float = 60.0) -> tuple[int, str, str]:
        """Run one of the server's programs as its owner: exit status, stdout, stderr.

        Raises:
            PostgresError: it did not end in time.
        """
        argv = [self.layout.program(program), *words]
        as_owner = self.server.as_owner(None)
        as_owner["env"] = {**as_owner["env"], "LC_ALL": "C", "PGOPTIONS": ""}
        try:
            ended = subprocess.run(argv, capture_output=True, check=False, timeout=timeout_s, cwd="/", stdin=subprocess.DEVNULL, **as_owner)
        except subprocess.TimeoutExpired as error:
            raise PostgresError(f"{program} did not end within {timeout_s:g} s", hint="look at the server's log") from error
        return ended.returncode, ended.stdout.decode("utf-8", "replace"), ended.stderr.decode("utf-8", "replace")

    def runs(self) -> bool:
        """Whether a postmaster is there, whatever it answers.

        Raises:
            DatabaseError: that cannot be told.
        """
        code, said, complained = self.call("pg_ctl", "status", "-D", str(self.data))
        if code not in {0, 3}:
            raise PostgresError(f"it cannot be told whether PostgreSQL runs: {(complained or said).strip()[:200]}", hint="pg_ctl status")
        return code == 0

    def in_recovery(self) -> bool:
        """Whether the running server is a standby.

        Raises:
            ServerDownError: it does not answer.
        """
        return bool(self.server.ask("SELECT to_jsonb(pg_is_in_recovery())")[0])

    def databases(self) -> list[str]:
        """Names of its databases."""
        return [str(name) for name in self.server.ask(_DATABASES)]

    def start(self) -> None:
        """Start its unit and wait until it answers.

        Raises:
            PostgresError: it does not come up.
        """
        if not self.runs():
            _systemctl("start", self.layout.unit)
        self.server.await_up(START_LIMIT_S)

    def stop(self) -> None:
        """Stop it cleanly ("fast": sessions are ended, everything is written, connected standbys receive all of it).

        Raises:
            PostgresError: it does not stop.
        """
        if not self.runs():
            return
        _systemctl("stop", self.layout.unit)
        if self.runs():  # somebody started it without its unit
            self.call("pg_ctl", "stop", "-D", str(self.data), "-m", "fast", "-w", "-t", str(int(STOP_LIMIT_S)), timeout_s=STOP_LIMIT_S + 30)
        deadline = time.monotonic() + STOP_LIMIT_S
        while self.runs():
            if time.monotonic() >= deadline:
                raise PostgresError(f"{self.layout.unit} does not stop", hint=f"systemctl status {self.layout.unit}")
            time.sleep(0.2)

    def restart(self) -> None:
        """Stop it cleanly and start it again. Errors as both."""
        self.stop()
        self.start()

    def reload(self) -> None:
        """Let it read its files again."""
        self.server.ask("SELECT to_jsonb(pg_reload_conf())")


def _systemctl(*words: str) -> None:
    """What it did is read from the server, not from its exit status: Debian's unit ends well although the server did not start."""
    try:
        subprocess.run(["systemctl", *words], check=False, capture_output=True, timeout=STOP_LIMIT_S, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise PostgresError(f"systemctl {' '.join(words)} did not end within {STOP_LIMIT_S:g} s", hint="systemctl list-jobs") from error


def daemon_reload() -> None:
    """Let systemd read its unit files again."""
    _systemctl("daemon-reload")


def cluster_of(given: Given) -> Cluster:
    """This node's server and xCAT's database in it.

    Raises:
        PostgresError: there is no server, or cfgloc names another engine.
    """
    location = require_postgres(given.xcat_dir).location
    return Cluster(find(data_directory=given.data_directory, port=location.port), location.database)


def await_true(question: Callable[[], bool], *, timeout_s: float, what: str, hint: str) -> None:
    """Ask again and again until it holds.

    Raises:
        PostgresError: it does not, within ``timeout_s`` seconds.
    """
    deadline = time.monotonic() + timeout_s
    while not question():
        if time.monotonic() >= deadline:
            raise PostgresError(f"after {timeout_s:g} s it still does not hold that {what}", hint=hint)
        time.sleep(0.1)
