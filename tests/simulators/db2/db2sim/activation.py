"""START HADR, STOP HADR, ACTIVATE, DEACTIVATE, and what a first connection starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import settings
from .disk import PRIMARY, STANDARD, STANDBY
from .hadr import Port
from .messages import SqlError
from .primary import Primary
from .standby import Standby

if TYPE_CHECKING:
    from .database import Database


def activate_for_application(database: Database) -> None:
    """A connection starts a database that is not active; a primary only with its standby."""
    with database.alone("ACTIVATE"), database.lock:
        if not database.active:
            _open(database, force=False)


def activate(database: Database) -> None:
    """ACTIVATE DB. Raises also its warnings."""
    with database.lock:
        database.refresh()
        database.check_startable()
        if database.active:
            connected = bool(database.applications) and not database.activated and database.hadr is None
            database.activated, database.leaving = True, False
            raise SqlError("SQL1494W" if connected else "SQL1490W")
    with database.alone("ACTIVATE"), database.lock:
        _open(database, force=False)
        database.activated = True


def _open(database: Database, *, force: bool) -> None:
    database.open_files()
    try:
        if database.role == PRIMARY:
            _run_primary(database, force=force)
        elif database.role == STANDBY:
            _run_standby(database)
    except BaseException:
        database.close_files()
        raise


def _run_primary(database: Database, *, force: bool) -> None:
    """The lock is held; it is given up while waiting for the standby."""
    found = settings.read(database.instance, database.loaded, as_primary=True)
    primary = Primary(database, found, Port(found.local))
    primary.start()
    try:
        if not force:
            primary.wait_for_standby()
    except BaseException:
        primary.cut()
        raise
    database.hadr = primary


def _run_standby(database: Database) -> None:
    found = settings.read(database.instance, database.loaded, as_primary=False)
    standby = Standby(database, found, Port(found.local))
    database.hadr = standby
    if database.role != STANDBY or database.state.pending:
        database.save(role=STANDBY, rollforward="NO", worked=False)
    standby.start()


def deactivate(database: Database) -> None:
    """DEACTIVATE DB. Raises its warnings too."""
    with database.lock:
        database.refresh()
        if database.busy == "ACTIVATE" or database.busy.startswith("START"):
            database.interrupted = True
            database.changed.notify_all()
            database.changed.wait_for(lambda: not database.busy, 10)
    with database.alone("DEACTIVATE"), database.lock:
        if not database.active or not (database.activated or database.hadr):
            raise SqlError("SQL1496W")
        if database.applications and database.role != STANDBY:
            database.activated, database.leaving = False, True
            raise SqlError("SQL1495W")
        abnormal = database.is_disconnected_peer_primary(database.hadr)
        database.shut()
        if abnormal:
            raise SqlError("SQL1657W")


def start_hadr(database: Database, *, as_primary: bool, force: bool) -> None:
    """Raises SQL1767N, SQL1768N, SQL1777N, SQL1117N; SQL1766W when it is done but indexes are not logged."""
    with database.alone("START HADR"), database.lock:
        database.refresh()
        (_start_as_primary if as_primary else _start_as_standby)(database, force)
        if database.state.cfg["LOGINDEXBUILD"] != "ON" and as_primary:
            raise SqlError("SQL1766W")


def _start_as_primary(database: Database, force: bool) -> None:
    if database.role == STANDBY:
        raise SqlError("SQL1767N", rc=2)
    if database.role == PRIMARY and database.active:
        raise SqlError("SQL1777N")
    database.check_startable()
    if not database.active:
        settings.read(database.instance, database.state.cfg, as_primary=True)
        database.open_files()
        try:
            _run_as(database, force=force)
        except BaseException:
            database.close_files()
            raise
    else:
        if database.instance.flavour != "97":
            database.loaded = dict(database.state.cfg)  # 9.7 keeps what it read when the database was started
        _run_as(database, force=force)
    database.activated = True


def _run_as(database: Database, *, force: bool) -> None:
    try:
        _run_primary(database, force=force)
    except SqlError as error:
        if error.code == "SQL1776N":  # to START HADR it is said in other words
            raise SqlError("SQL1768N", rc=7 if database.instance.flavour == "97" else 19) from error
        raise
    database.save(role=PRIMARY)


def _start_as_standby(database: Database, force: bool) -> None:
    if database.active:
        raise SqlError("SQL1777N") if database.role == STANDBY else SqlError("SQL1767N", rc=3)
    if database.role == STANDARD and not database.state.pending:
        raise SqlError("SQL1767N", rc=1)
    settings.read(database.instance, database.state.cfg, as_primary=False)
    database.open_files()
    try:
        _run_standby(database)
    except BaseException:
        database.close_files()
        raise
    database.activated = True


def stop_hadr(database: Database) -> None:
    """Raises SQL1769N. The role is gone afterwards."""
    with database.lock:
        database.refresh()
        if database.busy.startswith("START"):
            database.interrupted = True
            database.changed.notify_all()
            database.changed.wait_for(lambda: not database.busy, 10)
    with database.alone("STOP HADR"), database.lock:
        if database.role == STANDARD:
            raise SqlError("SQL1769N", rc=1)
        if database.role == STANDBY and database.active:
            raise SqlError("SQL1769N", rc=2)
        if database.role == STANDBY:
            database.save(role=STANDARD, rollforward="DATABASE")
            return
        if database.hadr is not None:
            database.hadr.stop()
            database.hadr = None
        database.disabled = False
        database.save(role=STANDARD)
