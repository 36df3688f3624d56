"""The programs that run on a node: ``python3 -m xcat_ha_drivers.postgres_dump.node_side VERB --option=value …``.

See :mod:`xcat_ha_drivers.database.program` for how they answer.
"""
# ruff: noqa: PLC0415  # what only some verbs need is imported by them

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping

from xcat_ha_drivers.database.disk import locked
from xcat_ha_drivers.database.program import Program
from xcat_ha_drivers.postgres.location import ENGINE, read
from xcat_ha_drivers.postgres_dump._given import Given
from xcat_ha_drivers.postgres_dump._places import base, unsent

# -- verbs that read


def _observe(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._ask import observation

    return json.dumps(observation(given.xcat_dir, given.data_directory))


def _received_stamp(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._takeover import received_stamp

    return received_stamp(given.xcat_dir, given.data_directory, or_promoted=given.or_promoted)


def _has_node(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._ask import has_node

    return "present" if has_node(given.here, given.name) else "absent"


def _site(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._ask import site_lines

    return site_lines(given.here, given.keys.split(","))


def _contents(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._ask import contents_json

    return contents_json(given.here)


# -- verbs that change


def _snapshot(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._snapshot import take_snapshot
    from xcat_ha_drivers.postgres_dump._takeover import close

    with locked(base() / "lock"):
        if given.stopped:
            close(given.here, wait_s=given.wait_s)
        manifest = take_snapshot(given.node, given.here)
        if given.unsent:
            unsent().touch(mode=0o600)
    return f"snapshot {manifest.stamp} of {len(manifest.contents.tables)} tables"


def _receive(given: Given) -> str:
    from xcat_ha_drivers.database.arrival import Order
    from xcat_ha_drivers.postgres_dump._apply import Hands
    from xcat_ha_drivers.postgres_dump._receive import receive

    order = Order(given.node, given.source, given.address, given.rsh, given.keep, over_own=given.over_own)
    with locked(base() / "lock") as lock:
        manifest = receive(given.xcat_dir, given.data_directory, order, Hands(given.wait_s, lock))
    return f"received {manifest.stamp} of {len(manifest.contents.tables)} tables"


def _promote(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._apply import Hands
    from xcat_ha_drivers.postgres_dump._takeover import promote

    with locked(base() / "lock") as lock:
        return promote(given.node, given.here, Hands(given.wait_s, lock))


def _hand_over(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._takeover import note_handed_over

    with locked(base() / "lock"):
        note_handed_over(given.here, given.peer)
    return f"noted as handed over to {given.peer}"


def _save(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._apply import Hands
    from xcat_ha_drivers.postgres_dump._diverged import save
    from xcat_ha_drivers.postgres_dump._takeover import close

    with locked(base() / "lock") as lock:
        close(given.here, wait_s=given.wait_s)  # what is written after it was saved would be lost
        return f"saved in {save(given.node, given.here, Hands(given.wait_s, lock))}"


def _set_access(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._setup import set_access

    set_access(given.here, _list(given.addresses), _list(given.listen))
    return "written"


def _keep_running(given: Given) -> str:
    from xcat_ha_drivers.postgres.daemon import start, start_at_boot

    server = given.server
    start_at_boot(server.layout)
    start(server)
    return f"{server.layout.unit} runs, and starts at boot"


def _point_cfgloc(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._setup import point_cfgloc

    point_cfgloc(given.here, given.service)
    return f"cfgloc names {given.service}"


def _restart(given: Given) -> str:
    from xcat_ha_drivers.postgres.daemon import restart

    restart(given.here.server)
    return "restarted"


def _shut(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._takeover import shut

    with locked(base() / "lock"):
        shut(given.here)
    return "closed"


# -- questions


def _snapshot_is_current(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._snapshot import why_outdated

    here = given.here
    if given.stopped and not here.in_place().is_closed:
        return "the database is open"
    # Noting a hand-over, and closing the database for it, are commits too.
    return why_outdated(here, max_age_s=given.max_age_s, closely=given.stopped)


def _is_promoted(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._takeover import why_not_promoted

    return why_not_promoted(given.here)


def _is_closed(given: Given) -> str:
    found = given.here.in_place()
    return "" if found.is_closed or not found.facts else "the database is open"


def _is_handed_over(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._takeover import why_not_handed_over

    return why_not_handed_over(given.here)


def _is_saved(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._diverged import saved_copy

    if read(given.xcat_dir).location.engine != ENGINE:
        return ""  # what xCAT here worked on is not what will be replaced
    here = given.here
    found = here.in_place()
    if not found.facts:
        return ""
    if not found.is_closed:
        return "the database is open: what is written to it now would not be saved"
    if saved_copy(here):
        return ""
    return "the database as it is now is not saved yet"


def _access_is_right(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._ask import why_access_is_wrong

    return why_access_is_wrong(given.here, _list(given.addresses), _list(given.listen))


def _is_kept_running(given: Given) -> str:
    from xcat_ha_drivers.postgres.daemon import why_not_at_boot

    server = given.server
    return why_not_at_boot(server.layout) or ("" if server.is_up() else f"{server.layout.unit} does not answer")


def _cfgloc_is_right(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._setup import why_cfgloc_is_wrong

    return why_cfgloc_is_wrong(given.here, given.service, given.service_name)


def _is_listening(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._ask import why_not_listening

    return why_not_listening(given.here, given.service)


def _login_works(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._ask import why_no_login

    return why_no_login(given.here)


def _list(words: str) -> list[str]:
    return [word for word in words.split(",") if word]


_QUESTIONS: Mapping[str, Callable[[Given], str]] = {
    "snapshot-is-current": _snapshot_is_current,
    "is-promoted": _is_promoted,
    "is-handed-over": _is_handed_over,
    "is-closed": _is_closed,
    "is-saved": _is_saved,
    "access-is-right": _access_is_right,
    "is-kept-running": _is_kept_running,
    "cfgloc-is-right": _cfgloc_is_right,
    "is-listening": _is_listening,
    "login-works": _login_works,
}

_VERBS: Mapping[str, Callable[[Given], str]] = {
    "observe": _observe,
    "received-stamp": _received_stamp,
    "has-node": _has_node,
    "site": _site,
    "contents": _contents,
    "snapshot": _snapshot,
    "receive": _receive,
    "promote": _promote,
    "hand-over": _hand_over,
    "save": _save,
    "set-access": _set_access,
    "keep-running": _keep_running,
    "point-cfgloc": _point_cfgloc,
    "restart": _restart,
    "shut": _shut,
}
# the first five read, the others change

PROGRAM = Program(Given, {"wait_s": float, "max_age_s": float, "keep": int}, _QUESTIONS, _VERBS)

if __name__ == "__main__":
    sys.exit(PROGRAM.run(sys.argv[1:]))
