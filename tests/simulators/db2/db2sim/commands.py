"""Commands of the CLP: what is understood, and who does it."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import activation, cfg, copies, directory, monitor, takeover
from .disk import STANDARD, Instance
from .grammar import DB, USER, Handler, unexpected
from .messages import Answer, SqlError, done, text
from .sqltext import list_tables, run_sql

if TYPE_CHECKING:
    from .database import Database
    from .server import Engine, Session

CFG = r"(?:DATABASE|DB) (?:CONFIGURATION|CONFIG|CFG)"


@dataclasses.dataclass
class Context:
    """Who gives the command. Without an engine (the instance is down) only files can be worked on."""

    instance: Instance
    engine: Engine | None
    session: Session | None
    ask: Callable[[str], str]
    bare: bool = False

    def database(self, match: re.Match[str]) -> Database:
        if self.engine is None:
            raise SqlError("SQL1032N")
        return self.engine.database(match["db"])

    def own(self) -> Session:
        """The session, if it is connected to a database."""
        if self.session is None or self.session.application is None:
            raise SqlError("SQL1024N")
        return self.session


def _ok(command: str) -> Answer:
    return Answer(done(command))


# --- HADR and activation


def start_hadr(ctx: Context, match: re.Match[str]) -> Answer:
    how = match["how"]
    activation.start_hadr(ctx.database(match), as_primary=how.startswith("PRIMARY"), force=how.endswith("FORCE"))
    return _ok("START HADR ON DATABASE")


def stop_hadr(ctx: Context, match: re.Match[str]) -> Answer:
    activation.stop_hadr(ctx.database(match))
    return _ok("STOP HADR ON DATABASE")


def take_over(ctx: Context, match: re.Match[str]) -> Answer:
    takeover.take_over(ctx.database(match), (match["how"] or takeover.PLAIN).lower().strip())
    return _ok("TAKEOVER HADR ON DATABASE")


def activate(ctx: Context, match: re.Match[str]) -> Answer:
    database = ctx.database(match)
    if ctx.session is not None and ctx.session.application is not None and ctx.session.database is database:
        raise SqlError("SQL1493N")
    activation.activate(database)
    return _ok("ACTIVATE DATABASE")


def deactivate(ctx: Context, match: re.Match[str]) -> Answer:
    activation.deactivate(ctx.database(match))
    return _ok("DEACTIVATE DATABASE")


# --- configuration


def get_cfg(ctx: Context, match: re.Match[str]) -> Answer:
    name = match["db"] or ctx.own().alias
    folder = ctx.instance.folder(name)
    state = folder.read()
    from .log import LogStream

    facts = {
        "Backup pending": "YES" if state.backup_pending else "NO",
        "Rollforward pending": state.rollforward,
        "First active log file": LogStream(folder.log).end.file,
        "HADR database role": state.role,
    }
    return Answer(cfg.report(name.upper(), ctx.instance.flavour, state.cfg, facts))


def update_cfg(ctx: Context, match: re.Match[str]) -> Answer:
    name = match["db"] or ctx.own().alias
    folder = ctx.instance.folder(name)
    words = [word for word in _unquoted(match["pairs"]) if word.upper() not in {"IMMEDIATE", "DEFERRED"}]
    if not words or len(words) % 2:
        raise unexpected("END-OF-STATEMENT", "USING", "<parameter> <value>")
    wanted = dict(cfg.checked(*pair, ctx.instance.flavour) for pair in zip(words[::2], words[1::2], strict=True))
    database = ctx.engine.database(name) if ctx.engine is not None else None
    if database is None:
        state = folder.read()
        folder.write(dataclasses.replace(state, **_with_cfg(state.cfg, wanted, pending=state.backup_pending)))
        return _ok("UPDATE DATABASE CONFIGURATION")
    with database.lock:
        database.refresh()
        state = database.state
        changed = {key for key, value in wanted.items() if state.cfg[key] != value}
        database.save(**_with_cfg(state.cfg, wanted, pending=state.backup_pending))
        if database.active and changed - set(cfg.DYNAMIC):
            raise SqlError("SQL1363W")
        if state.role != STANDARD and _indexes_unsafe(wanted):
            raise SqlError("SQL1765W")
    return _ok("UPDATE DATABASE CONFIGURATION")


def _unquoted(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise unexpected(line, "USING", "<value>") from error


def _with_cfg(old: cfg.Config, wanted: cfg.Config, *, pending: bool) -> dict[str, Any]:
    """From circular to archived logs, the first backup must follow."""
    new = {**old, **wanted}
    starts = old["LOGARCHMETH1"] == "OFF" and new["LOGARCHMETH1"] != "OFF"
    return {"cfg": new, "backup_pending": (pending or starts) and new["LOGARCHMETH1"] != "OFF"}


def _indexes_unsafe(wanted: cfg.Config) -> bool:
    return wanted.get("LOGINDEXBUILD", "ON") != "ON" or wanted.get("INDEXREC", "RESTART") not in {"RESTART", "ACCESS"}


# --- connections


def connect(ctx: Context, match: re.Match[str]) -> Answer:
    if ctx.engine is None or ctx.session is None:
        ctx.instance.entry(match["db"])
        raise SqlError("SQL1032N")
    ctx.session.connect(match["db"], match["user"] or "", "db2bp")
    user = (match["user"] or ctx.instance.name).upper()
    lines = ["", "   Database Connection Information", "", f" Database server        = {ctx.instance.server}"]
    return Answer("\n".join([*lines, f" SQL authorization ID   = {user}", f" Local database alias   = {match['db'].upper()}", ""]))


def connect_reset(ctx: Context, _match: re.Match[str]) -> Answer:
    ctx.own().reset()
    return _ok("SQL")


def terminate(ctx: Context, _match: re.Match[str]) -> Answer:
    if ctx.session is not None:
        ctx.session.reset()
    return _ok("TERMINATE")


def force(ctx: Context, _match: re.Match[str]) -> Answer:
    if ctx.engine is None:
        raise SqlError("SQL1032N")
    for database in ctx.engine.known():
        with database.lock:
            database.force_later()
    return Answer(done("FORCE APPLICATION") + "\n" + text("DB21024I") + "\n")


def list_applications(ctx: Context, _match: re.Match[str]) -> Answer:
    if ctx.engine is None:
        raise SqlError("SQL1032N")
    rows = []
    for database in ctx.engine.known():
        with database.lock:
            found = list(database.applications.values())
        rows += [
            f"{a.user.upper():<8} {a.program:<14} {a.number:<10} *LOCAL.{ctx.instance.name}.{a.number:012d} {database.name}" for a in found
        ]
    if not rows:
        raise SqlError("SQL1611W")
    return Answer(
        "\n".join(
            [
                "",
                "Auth Id  Application    Appl.      Application Id                 DB",
                "         Name           Handle",
                "-" * 72,
                *rows,
                "",
            ]
        )
    )


def quiesce(ctx: Context, _match: re.Match[str]) -> Answer:
    session = ctx.own()
    database = session.live()
    with database.lock:
        if database.quiesced:
            raise SqlError("SQL1371W", db=database.name)
        database.quiesced = True
        for application in list(database.applications.values()):
            if application is not session.application:
                database.drop(application)
    return _ok("QUIESCE DATABASE")


def unquiesce(ctx: Context, _match: re.Match[str]) -> Answer:
    database = ctx.own().live()
    with database.lock:
        if not database.quiesced:
            raise SqlError("SQL1373W", db=database.name)
        database.quiesced = False
    return _ok("UNQUIESCE DATABASE")


# --- looking


def snapshot(ctx: Context, match: re.Match[str]) -> Answer:
    database = ctx.database(match)
    with database.lock:
        if not database.active:
            raise SqlError("SQL1611W")
        return Answer(monitor.snapshot(database))


COMMANDS: tuple[tuple[str, Handler], ...] = (
    (rf"START HADR ON {DB}{USER} AS (?P<how>PRIMARY(?: BY FORCE)?|STANDBY)", start_hadr),
    (rf"STOP HADR ON {DB}{USER}", stop_hadr),
    (rf"TAKEOVER HADR ON {DB}{USER}(?: (?P<how>BY FORCE(?: PEER WINDOW ONLY)?))?", take_over),
    (rf"ACTIVATE {DB}{USER}", activate),
    (rf"DEACTIVATE {DB}{USER}", deactivate),
    (rf"GET {CFG}(?: FOR (?P<db>\S+))?(?: SHOW DETAIL)?", get_cfg),
    (rf"UPDATE {CFG}(?: FOR (?P<db>\S+))? USING(?P<pairs>.*)", update_cfg),
    (rf"CONNECT TO (?P<db>\S+){USER}", connect),
    (r"CONNECT RESET", connect_reset),
    (r"TERMINATE", terminate),
    (r"FORCE APPLICATIONS? ALL(?: MODE ASYNC)?", force),
    (r"LIST APPLICATIONS?(?: .*)?", list_applications),
    (r"QUIESCE (?:DATABASE|DB)(?: IMMEDIATE| DEFER(?: WITH TIMEOUT \d+)?)?(?: FORCE CONNECTIONS)?", quiesce),
    (r"UNQUIESCE (?:DATABASE|DB)", unquiesce),
    (r"GET SNAPSHOT FOR (?:DATABASE|DB) ON (?P<db>\S+)", snapshot),
    (r"LIST TABLES(?: FOR .*)?", list_tables),
    *copies.COMMANDS,
    *directory.COMMANDS,
)
VERBS = {pattern.split()[0] for pattern, _ in COMMANDS}


def run(ctx: Context, line: str) -> Answer:
    """One command or statement. Raises SqlError."""
    line = " ".join(line.split()) if not re.match(r"(?i)\s*(INSERT|UPDATE \S+ SET)", line) else line.strip()
    line = line.rstrip(";").strip()
    for pattern, handler in COMMANDS:
        match = re.fullmatch(pattern, line, re.IGNORECASE)
        if match:
            return handler(ctx, match)
    first = line.split()[0].upper() if line else ""
    if first in VERBS and not re.match(r"(?i)UPDATE \S+ SET|CREATE TABLE|DROP TABLE", line):
        words = line.split()
        raise unexpected(words[-1] if len(words) > 1 else "END-OF-STATEMENT", words[0], "<operand>")
    return run_sql(ctx, line)
