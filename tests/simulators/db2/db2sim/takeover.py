"""TAKEOVER HADR, on both sides."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from .disk import PRIMARY, STANDBY
from .hadr import DISCONNECTED_PEER, LOCAL_CATCHUP, PEER, REMOTE_CATCHUP
from .messages import SqlError
from .primary import Primary
from .standby import Standby
from .wire import Channel

if TYPE_CHECKING:
    from .database import Database

PLAIN, FORCE, WINDOW = "plain", "by force", "by force peer window only"
MARGIN_S = 5.0
"""So much of the peer window must be left."""


def _refuse(code: int) -> SqlError:
    return SqlError("SQL1770N", rc=code)


def take_over(database: Database, how: str) -> None:
    """Raises SQL1770N with the reason."""
    with database.lock:
        database.refresh()
        if database.role != STANDBY:
            raise _refuse(4)
        if not isinstance(database.hadr, Standby):
            raise _refuse(5)
    with database.alone("TAKEOVER"), database.lock:
        standby = database.hadr
        if not isinstance(standby, Standby):
            raise _refuse(5)
        _check(database, standby, how)
        if how == PLAIN:
            database.taking_over = True
            try:
                _ask_for_role(database, standby)
            finally:
                database.taking_over = False
        elif standby.say({"t": "stop-logging"}):
            standby.diag("HADR: told the primary to stop logging")
        _become_primary(database, standby)


def _check(database: Database, standby: Standby, how: str) -> None:
    state = standby.now()
    if database.state.online_end > database.log.end.lsn:
        raise _refuse(3)
    if database.state.cfg["HADR_REPLAY_DELAY"] != "0":
        raise _refuse(11)
    if how == PLAIN:
        if not standby.connected or state not in _plain_states(standby):
            raise _refuse(1)
        return
    if how == WINDOW:
        if state not in {PEER, DISCONNECTED_PEER} or time.time() + MARGIN_S > standby.window_end:
            raise _refuse(9)
        return
    if state == LOCAL_CATCHUP or (state == REMOTE_CATCHUP and database.instance.flavour == "97"):
        raise _refuse(2)


def _plain_states(standby: Standby) -> tuple[str, ...]:
    return (PEER, REMOTE_CATCHUP) if standby.settings.mode == "SUPERASYNC" else (PEER,)


def _ask_for_role(database: Database, standby: Standby) -> None:
    """The primary yields, or nothing changes here. The lock is held (and given up while waiting)."""
    standby.yielded = None
    link = standby.link
    if not standby.say({"t": "takeover"}):
        raise _refuse(7)
    # The primary may need its own time-out to empty its log; a dead link is noticed earlier.
    database.changed.wait_for(lambda: standby.answered() is not None or standby.link is not link, 3 * standby.settings.timeout_s)
    answer = standby.answered()
    if answer is None:
        raise _refuse(7)
    if answer["t"] == "no-yield" or int(answer["lsn"]) != database.log.end.lsn:
        raise _refuse(6)


def _become_primary(database: Database, standby: Standby) -> None:
    standby.cut(keep_port=True)
    database.save(role=PRIMARY)
    database.commit("takeover", list, [])
    primary = Primary(database, standby.settings, standby.port)
    database.hadr = primary
    primary.start()
    database.activated, database.since = True, time.time()
    database.changed.notify_all()


def give_role_away(primary: Primary, link: Channel) -> None:
    """The standby asked for the role: no more work, everything out, then we are the standby."""
    database = primary.database
    with database.lock:
        if database.hadr is not primary or primary.link is not link:
            return
        database.taking_over = True
        for application in list(database.applications.values()):
            database.drop(application)
        try:
            end = database.log.end.lsn
            database.changed.wait_for(lambda: primary.acked >= end or primary.link is not link, primary.settings.timeout_s)
            if primary.link is not link or primary.acked < end:
                with contextlib.suppress(OSError):
                    link.send({"t": "no-yield"})
                return
            database.save(role=STANDBY)
            with contextlib.suppress(OSError):
                link.send({"t": "yield", "lsn": end})
            _become_standby(database, primary)
        finally:
            database.taking_over = False
            database.changed.notify_all()


def _become_standby(database: Database, primary: Primary) -> None:
    # The other side closes the link, when it has heard us.
    database.changed.wait_for(lambda: not primary.connected, primary.settings.timeout_s)
    primary.cut(keep_port=True)
    standby = Standby(database, primary.settings, primary.port)
    database.hadr = standby
    standby.start()
