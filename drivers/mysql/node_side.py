"""The programs on a node: ``python3 -m xcat_ha_drivers.mysql.node_side VERB --option=value …``, standard library only.

See :mod:`xcat_ha_drivers.database.program` for how they answer.
"""
# ruff: noqa: PLC0415  # starting Python is most of an answer's time: what only some verbs need is imported by them

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping

from xcat_ha_drivers.database.notes import clear_mark
from xcat_ha_drivers.database.program import Program
from xcat_ha_drivers.mysql._dialect import Dialect
from xcat_ha_drivers.mysql._places import PROVED_MARK, Given, at_work, read_note, write_note
from xcat_ha_drivers.mysql._server import Server, local

Work = Callable[[Given, Server, Dialect], str]


def _observe(given: Given) -> str:
    from xcat_ha_drivers.mysql._observe import observation

    return json.dumps(observation(given))


def _forget_mark(_given: Given) -> str:
    clear_mark(PROVED_MARK)
    return "forgotten"


# -- verbs that read


def _has_node(given: Given, server: Server, _dialect: Dialect) -> str:
    from xcat_ha_drivers.mysql._contents import database_of, has_node

    return "present" if has_node(server, database_of(given), given.name) else "absent"


def _contents(given: Given, server: Server, _dialect: Dialect) -> str:
    from xcat_ha_drivers.mysql._contents import contents, database_of

    return json.dumps(contents(server, database_of(given)))


def _schema(given: Given, server: Server, _dialect: Dialect) -> str:
    from xcat_ha_drivers.mysql._contents import columns, database_of

    return json.dumps(columns(server, database_of(given)))


def _site(given: Given, server: Server, _dialect: Dialect) -> str:
    from xcat_ha_drivers.mysql._contents import database_of, site_lines

    return site_lines(server, database_of(given))


def _end_position(_given: Given, server: Server, dialect: Dialect) -> str:
    from xcat_ha_drivers.mysql._roles import end_position

    return end_position(server, dialect)


def _replayed_position(_given: Given, server: Server, dialect: Dialect) -> str:
    from xcat_ha_drivers.mysql._roles import replayed_position

    return replayed_position(server, dialect)


# -- verbs that change


def _prepare(given: Given, server: Server, dialect: Dialect) -> str:
    from xcat_ha_drivers.mysql._account import make_accounts
    from xcat_ha_drivers.mysql._contents import database_of, foreign_databases
    from xcat_ha_drivers.mysql._settings import put_ready
    from xcat_ha_drivers.mysql.errors import MysqlError

    if not given.as_source:
        put_ready(given, server, dialect)
        return "prepared"
    if server.replica(dialect) is not None or read_note("handed-over") is not None:
        raise MysqlError(f"the database on {given.node} is a copy, so it is no source", hint="xcat-ha status shows who is what")
    if foreign := foreign_databases(server, database_of(given)):
        hint = "this driver replicates whole servers: move them elsewhere"
        raise MysqlError(f"the server of {given.node} has other databases too ({', '.join(foreign[:3])})", hint=hint)
    write_note("role", role="own")
    put_ready(given, server, dialect)
    server.do(dialect.writable)
    make_accounts(given, server, dialect)
    return "prepared"


def _follow(given: Given, server: Server, dialect: Dialect) -> str:
    from xcat_ha_drivers.database.xcatd import refuse_if_xcatd_runs
    from xcat_ha_drivers.mysql._follow import follow

    refuse_if_xcatd_runs()
    return f"follows {given.peer}: {follow(given, server, dialect)}"


def _take_login(given: Given, _server: Server, _dialect: Dialect) -> str:
    from xcat_ha_drivers.mysql._account import take_login

    take_login(given)
    return "cfgloc fits the database"


def _point_login(given: Given, _server: Server, _dialect: Dialect) -> str:
    from xcat_ha_drivers.mysql._account import point_login

    point_login(given)
    return f"cfgloc names {given.service[0]}"


def _give_up(given: Given, server: Server, dialect: Dialect) -> str:
    from xcat_ha_drivers.database.xcatd import refuse_if_xcatd_runs
    from xcat_ha_drivers.mysql._roles import give_up

    refuse_if_xcatd_runs()
    return f"read-only at {give_up(given, server, dialect)}"


def _drain(given: Given, server: Server, dialect: Dialect) -> str:
    from xcat_ha_drivers.mysql._roles import drain

    drain(given, server, dialect)
    return "everything is applied"


def _promote(given: Given, server: Server, dialect: Dialect) -> str:
    from xcat_ha_drivers.database.xcatd import refuse_if_xcatd_runs
    from xcat_ha_drivers.mysql._roles import promote

    refuse_if_xcatd_runs()
    return promote(given, server, dialect)


def _require_standby(given: Given, server: Server, dialect: Dialect) -> str:
    from xcat_ha_drivers.mysql._roles import require_standby

    require_standby(given, server, dialect)
    return "commits wait for the standby" if given.semi_sync else "commits wait for nobody"


def _prove(given: Given, server: Server, dialect: Dialect) -> str:
    from xcat_ha_drivers.mysql._roles import prove

    return prove(given, server, dialect)


def _save(given: Given, server: Server, dialect: Dialect) -> str:
    from xcat_ha_drivers.mysql._saved import save

    server.do(dialect.read_only)  # what is written after it was saved would be lost
    place = save(given, server, dialect)
    server.do(dialect.read_only)  # proving a dump needs more rights than a read-only server of MySQL gives anybody
    return f"saved in {place}" if place is not None else "there is no database of its own"


def _reopen(given: Given, server: Server, dialect: Dialect) -> str:
    if _why_closed(given, server, dialect) == _CLOSED:
        server.do(dialect.writable)
        return "writable again"
    return "nothing is to be done"


def _shut(_given: Given, server: Server, dialect: Dialect) -> str:
    server.do(dialect.read_only)
    return "read-only"


# -- questions

_CLOSED = "the server is read-only, and its database is this node's own"


def _why_closed(_given: Given, server: Server, dialect: Dialect) -> str:
    """A node without its note, or with a copy, is none of the guard's business here."""
    own = (read_note("role") or {}).get("role") == "own" and read_note("handed-over") is None
    if not own or server.replica(dialect) is not None or server.value(dialect.is_writable) == "1":
        return ""
    return _CLOSED


def _is_closed(_given: Given, server: Server, dialect: Dialect) -> str:
    return "the server is writable" if server.value(dialect.is_writable) == "1" else ""


def _is_prepared(given: Given, server: Server, dialect: Dialect) -> str:
    from xcat_ha_drivers.mysql._account import why_no_accounts
    from xcat_ha_drivers.mysql._settings import why_not_ready, why_not_running

    reason = why_not_running(server) or why_not_ready(given, server, dialect)
    if reason or not given.as_source:
        return reason
    return "the server is read-only" if server.value(dialect.is_writable) != "1" else why_no_accounts(given, server, dialect)


def _is_following(given: Given, server: Server, dialect: Dialect) -> str:
    from xcat_ha_drivers.mysql._follow import why_not_following

    return why_not_following(given, server, dialect)


def _has_login(given: Given, _server: Server, _dialect: Dialect) -> str:
    from xcat_ha_drivers.mysql._account import why_no_login

    return why_no_login(given)


def _has_given_up(_given: Given, server: Server, dialect: Dialect) -> str:
    from xcat_ha_drivers.mysql._roles import why_not_given_up

    return why_not_given_up(server, dialect)


def _is_promoted(given: Given, server: Server, dialect: Dialect) -> str:
    from xcat_ha_drivers.mysql._roles import why_not_promoted

    return why_not_promoted(given, server, dialect)


def _is_required(given: Given, server: Server, dialect: Dialect) -> str:
    from xcat_ha_drivers.mysql._roles import why_not_required

    return why_not_required(given, server, dialect)


def _is_proved(given: Given, server: Server, dialect: Dialect) -> str:
    from xcat_ha_drivers.mysql._roles import why_not_proved

    return why_not_proved(given, server, dialect)


def _is_saved(given: Given, server: Server, dialect: Dialect) -> str:
    from xcat_ha_drivers.mysql._saved import why_not_saved

    return why_not_saved(given, server, dialect)


_QUESTIONS: Mapping[str, Work] = {
    "is-prepared": _is_prepared,
    "is-following": _is_following,
    "has-login": _has_login,
    "has-given-up": _has_given_up,
    "is-promoted": _is_promoted,
    "is-required": _is_required,
    "is-proved": _is_proved,
    "is-saved": _is_saved,
    "is-writable": _why_closed,
    "is-closed": _is_closed,
}
"""They read; they return why not, or nothing."""

_READERS: Mapping[str, Work] = {
    "has-node": _has_node,
    "contents": _contents,
    "schema": _schema,
    "site": _site,
    "end-position": _end_position,
    "replayed-position": _replayed_position,
}
"""They read; they return what is printed."""

_CHANGERS: Mapping[str, Work] = {
    "prepare": _prepare,
    "follow": _follow,
    "take-login": _take_login,
    "point-login": _point_login,
    "give-up": _give_up,
    "drain": _drain,
    "promote": _promote,
    "require-standby": _require_standby,
    "prove": _prove,
    "save": _save,
    "reopen": _reopen,
    "shut": _shut,
}
"""They change, one at a time on a node; they return what is printed."""


_STARTERS = (_prepare, _promote)
"""They start a server that is stopped."""


def _on_server(given: Given, work: Work) -> str:
    server = local(given.node)
    return work(given, server, server.dialect())


def _reading(work: Work) -> Callable[[Given], str]:
    return lambda given: _on_server(given, work)


def _changing(work: Work) -> Callable[[Given], str]:
    def alone(given: Given) -> str:
        with at_work():
            if work in _STARTERS:
                from xcat_ha_drivers.mysql._settings import keep_running

                keep_running(local(given.node))
            return _on_server(given, work)

    return alone


PROGRAM = Program(
    given=Given,
    readers={
        "server_id": int,
        "peer_server_id": int,
        "keep_hours": int,
        "degrade_after_s": int,
        "confirm_s": float,
        "service": lambda text: tuple(word for word in text.split(",") if word),
    },
    questions={name: _reading(question) for name, question in _QUESTIONS.items()},
    verbs={
        "observe": _observe,
        "forget-mark": _forget_mark,
        **{name: _reading(answer) for name, answer in _READERS.items()},
        **{name: _changing(work) for name, work in _CHANGERS.items()},
    },
)

if __name__ == "__main__":
    sys.exit(PROGRAM.run(sys.argv[1:]))
