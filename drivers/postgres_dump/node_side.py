"""The programs that run on a node: ``python3 -m xcat_ha_drivers.postgres_dump.node_side VERB --option=value …``.

Questions end with ``HOLDS`` or ``FAILS: reason`` and exit with 0; everything else exits with 0 when done, and with 1 and one line on stderr
when not.
"""
# ruff: noqa: PLC0415  # what only some verbs need is imported by them

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from xcat_ha_drivers.postgres.disk import locked
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.layout import find
from xcat_ha_drivers.postgres.location import ENGINE, read
from xcat_ha_drivers.postgres.server import Server
from xcat_ha_drivers.postgres_dump._node import Here
from xcat_ha_drivers.postgres_dump._places import base, unsent

LOCK_WAIT_S = 120.0
"""As long as an orphaned rsync may live on after its parent was killed (its own time limit is half of that)."""


class Given(NamedTuple):
    """The words after the verb.

    Attributes:
        node: id of this node.
        xcat_dir: directory of cfgloc.
        data_directory: of the server; empty to find it.
        wait_s: seconds to wait for somebody who is connected.
        max_age_s: how long ago the snapshot may have been compared, in seconds; None for any time.
        unsent: mark the snapshot as waiting for delivery.
        stopped: refuse if xcatd runs, and close the database first.
        or_promoted: a copy that this node took over counts as well.
        source: id of the sending node.
        address: what rsync reads.
        rsh: rsync's remote shell.
        keep: generations kept.
        over_own: replace this node's own database.
        peer: id of the node that took over.
        name: an xCAT node name.
        keys: keys of the site table, separated by commas.
        addresses: addresses xCAT connects from, separated by commas.
        listen: addresses the server has to listen at, separated by commas.
        service: the service address xCAT uses.
        service_name: the service hostname.
    """

    node: str
    xcat_dir: str
    data_directory: str = ""
    wait_s: float = 30.0
    max_age_s: float | None = None
    unsent: bool = False
    stopped: bool = False
    or_promoted: bool = False
    source: str = ""
    address: str = ""
    rsh: str = ""
    keep: int = 7
    over_own: bool = False
    peer: str = ""
    name: str = ""
    keys: str = ""
    addresses: str = ""
    listen: str = ""
    service: str = ""
    service_name: str = ""

    @property
    def here(self) -> Here:
        """This node's database."""
        return Here(self.xcat_dir, self.data_directory)

    @property
    def server(self) -> Server:
        """This node's server, whether cfgloc leads there yet or not."""
        return Server(find(data_directory=self.data_directory, port=read(self.xcat_dir).location.port))


_READERS: Mapping[str, Callable[[str], object]] = {"wait_s": float, "max_age_s": float, "keep": int}


def read_words(words: Sequence[str]) -> Given:
    """Read ``--option=value`` and ``--switch``.

    Raises:
        PostgresError: an option is unknown, missing or malformed.
    """
    values: dict[str, object] = {}
    try:
        for word in words:
            name, equals, value = word.removeprefix("--").partition("=")
            field = name.replace("-", "_")
            if field not in Given._fields or not word.startswith("--"):
                raise ValueError(f"unknown word {word!r}")  # noqa: TRY301  # handled with its likes, just below
            values[field] = _READERS.get(field, str)(value) if equals else True
        return Given(**values)  # type: ignore[arg-type]  # the readers above see to the types
    except (ValueError, TypeError) as error:
        raise PostgresError(f"node_side was called wrongly ({error})", hint="install the same version of xcat-ha on both nodes") from error


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

    with locked(base() / "lock", LOCK_WAIT_S):
        if given.stopped:
            close(given.here, wait_s=given.wait_s)
        manifest = take_snapshot(given.node, given.here)
        if given.unsent:
            unsent().touch(mode=0o600)
    return f"snapshot {manifest.stamp} of {len(manifest.contents.tables)} tables"


def _receive(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._apply import Hands
    from xcat_ha_drivers.postgres_dump._receive import Order, receive

    order = Order(given.node, given.source, given.address, given.rsh, given.keep, over_own=given.over_own)
    with locked(base() / "lock", LOCK_WAIT_S) as lock:
        manifest = receive(given.xcat_dir, given.data_directory, order, Hands(given.wait_s, lock))
    return f"received {manifest.stamp} of {len(manifest.contents.tables)} tables"


def _promote(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._apply import Hands
    from xcat_ha_drivers.postgres_dump._takeover import promote

    with locked(base() / "lock", LOCK_WAIT_S) as lock:
        return promote(given.node, given.here, Hands(given.wait_s, lock))


def _hand_over(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._takeover import note_handed_over

    with locked(base() / "lock", LOCK_WAIT_S):
        note_handed_over(given.here, given.peer)
    return f"noted as handed over to {given.peer}"


def _save(given: Given) -> str:
    from xcat_ha_drivers.postgres_dump._apply import Hands
    from xcat_ha_drivers.postgres_dump._diverged import save
    from xcat_ha_drivers.postgres_dump._takeover import close

    with locked(base() / "lock", LOCK_WAIT_S) as lock:
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

    with locked(base() / "lock", LOCK_WAIT_S):
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


QUESTIONS: Mapping[str, Callable[[Given], str]] = {
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
"""They read; they return why not, or nothing."""

VERBS: Mapping[str, Callable[[Given], str]] = {
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
"""The first five read, the others change; they return what is printed."""


def main(words: Sequence[str]) -> int:
    """Run one verb."""
    os.umask(0o077)
    verb, node = (words[0] if words else ""), "?"
    if verb not in QUESTIONS and verb not in VERBS:
        print(f"usage: node_side {'|'.join((*QUESTIONS, *VERBS))} --node=ID --xcat-dir=DIR ...", file=sys.stderr)
        return 2
    try:
        given = read_words(words[1:])
        node = given.node
        if verb in VERBS:
            print(VERBS[verb](given))
            return 0
        reason = QUESTIONS[verb](given)
    except PostgresError as error:
        if verb in VERBS:
            print(f"{node}: {error}", file=sys.stderr)
            return 1
        reason = str(error)
    except OSError as error:
        print(f"{node}: {error}; hint: check that file and its file system, then run it again", file=sys.stderr)
        return 1
    print(f"FAILS: {' '.join(reason.split())}" if reason else "HOLDS")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
