"""BACKUP, RESTORE, ROLLFORWARD."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pathlib
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import paths
from .disk import STANDARD, STANDBY, VERSIONS, Folder, State
from .log import LogStream, Position
from .messages import SAME_IMAGE, Answer, SqlError, done, in_use, text

if TYPE_CHECKING:
    from .database import Database
    from .disk import Instance

Ask = Callable[[str], str]
MAGIC = b"DB2 backup image (simulated)\n"
CONTINUE = "Do you want to continue ? (y/n) "


def _image_name(database: Database, stamp: str) -> str:
    node = "NODE0000.CATN0000" if database.instance.flavour == "97" else "DBPART000"
    return f"{database.name}.0.{database.instance.name}.{node}.{stamp}.001"


def _check_not_standby(database: Database) -> None:
    if database.role == STANDBY:
        raise SqlError("SQL1776N", rc=1)


def backup(database: Database, folder: str, options: set[str], ask: Ask) -> Answer:
    """Raises SQL1035N, SQL1117N, SQL1776N, SQL2036N, SQL2413N and others."""
    with database.lock:
        database.refresh()
        _check_not_standby(database)
        if database.state.pending:
            raise SqlError("SQL1117N", db=database.name)
        if "ONLINE" in options and (database.state.circular or database.state.backup_pending):
            raise SqlError("SQL2413N")
        if database.is_in_use() and "ONLINE" not in options:
            raise in_use(database.instance.flavour)
        if database.state.must_recover:
            raise SqlError("SQL1015N")
    where = paths.at(folder)
    if not where.is_dir() or not os.access(where, os.W_OK):
        raise SqlError("SQL2036N", path=folder)
    with database.alone("BACKUP"), database.lock:
        stamp, path = _free_name(database, where)
        data = _image(database, stamp, with_logs="EXCLUDE LOGS" not in options)
        _write_image(path, data, prompting="WITHOUT PROMPTING" not in options, ask=ask, folder=folder)
        if database.state.backup_pending:
            database.save(backup_pending=False)
    return Answer(f"\nBackup successful. The timestamp for this backup image is : {stamp}\n")


def _free_name(database: Database, where: pathlib.Path) -> tuple[str, pathlib.Path]:
    now = time.time()
    while True:
        stamp = time.strftime("%Y%m%d%H%M%S", time.localtime(now))
        path = where / _image_name(database, stamp)
        if not path.exists():
            return stamp, path
        now += 1


def _image(database: Database, stamp: str, *, with_logs: bool) -> bytes:
    """The rows as they are, and, of a database that goes on working, the log that makes them whole."""
    was_active = database.active
    if not was_active:
        database.open_files()
    base, rows, logs, online_end = database.log.end, database.store.image(), [], 0
    if was_active:
        _, online_end = database.commit("backup", list, [])
        logs = [record.line for record in database.log.after(base.lsn)] if with_logs else []
    else:
        database.close_files()
    header = {
        "name": database.name,
        "seed": database.state.seed,
        "flavour": database.instance.flavour,
        "stamp": stamp,
        "base": [base.lsn, base.chain],
        "online_end": online_end,
        "cfg": database.state.cfg,
        "rows": len(rows),
        "logs": logs,
    }
    body = MAGIC + json.dumps(header).encode() + b"\n" + rows
    return body + hashlib.sha256(body).hexdigest().encode()


def _write_image(path: pathlib.Path, data: bytes, *, prompting: bool, ask: Ask, folder: str) -> None:
    while True:
        try:
            with path.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            path.unlink(missing_ok=True)
            if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
                raise SqlError("SQL2036N", path=folder) from error
            if not prompting:
                raise SqlError("SQL2419N", path=folder) from error
            question = (
                text("SQL2059W", path=folder)
                + "\nDo you want to continue(c), terminate this device only(d), abort the utility(t) ? (c/d/t) "
            )
            if ask(question).strip().lower() != "c":
                raise SqlError("SQL2001N") from error
        else:
            return


def _open_image(path: pathlib.Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    body, digest = data[:-64], data[-64:]
    if not body.startswith(MAGIC) or hashlib.sha256(body).hexdigest().encode() != digest:
        raise SqlError("SQL2530N")
    header, _, rows = body[len(MAGIC) :].partition(b"\n")
    return json.loads(header), rows


def _find_image(name: str, folder: str, stamp: str) -> pathlib.Path:
    matching = [
        path for path in paths.at(folder).glob(f"{name}.0.*.001") if re.fullmatch(r"\d{14}", path.name.split(".")[-2])
    ]  # fmt: skip
    if stamp:
        matching = [path for path in matching if path.name.split(".")[-2] == stamp]
    if not matching:
        raise SqlError("SQL2542N", db=name, when=stamp)
    if len(matching) > 1:
        raise SqlError("SQL2522N")
    return matching[0]


def restore(instance: Instance, database: Database | None, name: str, folder: str, stamp: str, options: set[str], ask: Ask) -> Answer:
    """`database`: the one that is there already. Raises SQL1035N, SQL2542N, SQL2530N and others."""
    name = name.upper()
    header, rows = _open_image(_find_image(name, folder, stamp))
    if header["name"] != name:
        raise SqlError("SQL2532N", found=header["name"], db=name)
    if header["flavour"] != instance.flavour:
        raise SqlError("SQL2514N", level=VERSIONS[header["flavour"]])
    if "WITHOUT ROLLING FORWARD" in options and header["online_end"]:
        raise SqlError("SQL2537N")
    if database is None:
        _put(instance.folder_of(name), header, rows, options)
        instance.catalogue(name)
        return Answer(done("RESTORE DATABASE"))
    with database.alone("RESTORE"):
        with database.lock:
            database.refresh()
            if database.active:
                raise in_use(instance.flavour)
        warning, number = _warning(database, header)
        said = ""
        if "REPLACE EXISTING" in options:
            said = warning + "\n"
        elif "WITHOUT PROMPTING" not in options and ask(f"{warning}\n{CONTINUE}").strip().lower() not in {"y", "yes"}:
            raise SqlError("SQL2001N")
        with database.lock:
            _put(database.folder, header, rows, options)
            database.refresh()
        if "WITHOUT PROMPTING" in options and "REPLACE EXISTING" not in options:
            raise SqlError("SQL2540W", number=number)
        return Answer(said + done("RESTORE DATABASE"))


def _warning(database: Database, header: dict[str, Any]) -> tuple[str, str]:
    if header["seed"] == database.state.seed:
        return "SQL2539W  " + SAME_IMAGE[database.instance.flavour], "2539"
    return text("SQL2523W"), "2523"


def _put(folder: Folder, header: dict[str, Any], rows: bytes, options: set[str]) -> None:
    """Everything comes from the image, configuration too; the role does not."""
    pending = header["cfg"]["LOGARCHMETH1"] != "OFF" and "WITHOUT ROLLING FORWARD" not in options
    state = State(
        name=header["name"],
        seed=header["seed"],
        rollforward="DATABASE" if pending else "NO",
        restoring=True,
        online_end=header["online_end"],
        cfg=header["cfg"],
    )
    folder.create(state, Position(*header["base"]))
    folder.rows.write_bytes(rows)
    log = LogStream(folder.log)
    for line in header["logs"]:
        log.take(line, on_disk=True)
    state.restoring = False
    folder.write(state)


def rollforward(database: Database, *, work: bool, complete: bool) -> Answer:
    """Raises SQL1035N, SQL1261N, SQL1276N, SQL1776N."""
    with database.lock:
        database.refresh()
        _check_not_standby(database)
        if database.is_in_use() and (work or complete):
            raise in_use(database.instance.flavour)
        if (work or complete) and not database.state.pending:
            raise SqlError("SQL1260N" if database.state.circular and database.role == STANDARD else "SQL1261N", db=database.name)
        if not work and not complete:
            return Answer(_status(database) + "\n" + done("ROLLFORWARD"))
        with database.alone("ROLLFORWARD"):
            log = LogStream(database.folder.log)
            if complete and database.state.online_end > log.end.lsn:
                raise SqlError("SQL1276N", db=database.name, when=time.strftime("%Y-%m-%d-%H.%M.%S.000000 UTC", time.gmtime()))
            database.open_files()
            if complete:
                # From here on the database writes a log of its own: no standby of its former partner any more.
                database.commit("rollforward", list, [])
            database.close_files()
            database.save(
                rollforward="NO" if complete else "DATABASE", worked=not complete, online_end=0 if complete else database.state.online_end
            )
            return Answer(_status(database) + "\n" + done("ROLLFORWARD"))


def _status(database: Database) -> str:
    state = database.state
    word = ("DB  working" if state.worked else "DB  pending") if state.pending else "not pending"
    log = database.log if database.active else LogStream(database.folder.log)
    last = log.last
    used = f"{log.base.file} - {log.end.file}" if last and (not state.pending or state.worked) else "-"
    following = log.end.file if state.pending else ""
    new = database.instance.flavour != "97"
    count = "Number of members have returned status" if new else "Number of nodes have returned status"
    rows = [
        ("Input database alias", database.name),
        (count, "1"),
        ("", ""),
        ("Member ID" if new else "Node number", "0"),
        ("Rollforward status", word),
        ("Next log file to be read", following),
        ("Log files processed", used),
        ("Last committed transaction", time.strftime("%Y-%m-%d-%H.%M.%S.000000 UTC", time.gmtime(last.time if last else 0))),
    ]
    lines = [f" {label:<38} = {value}" if label else "" for label, value in rows]
    return "\n".join(["", " " * 33 + "Rollforward Status", "", *lines, ""])
