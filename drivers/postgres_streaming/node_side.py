"""The programs on a node: ``python3 -m xcat_ha_drivers.postgres_streaming.node_side VERB --option=value …``, standard library only.

Questions end with ``HOLDS`` or ``FAILS: reason`` and exit with 0; everything else exits with 0 when done, and with 1 and one line on stderr
when not.
"""
# ruff: noqa: PLC0415  # starting Python is most of an answer's time: what only some verbs need is imported by them

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres_streaming._places import PROVED_MARK, Given, at_work, clear_mark

_READERS: Mapping[str, Callable[[str], object]] = {
    "slot_mib": int,
    "degrade_after_s": int,
    "confirm_s": float,
    "service": lambda text: tuple(word for word in text.split(",") if word),
}


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


def _observe(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._observe import observation

    return json.dumps(observation(given))


def _has_node(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._contents import has_node

    return "present" if has_node(cluster_of(given), given.name) else "absent"


def _contents(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._contents import contents

    return json.dumps(contents(cluster_of(given)))


def _site(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._contents import site_rows

    return "\n".join(f"clustersite: {key}={value}" for key, value in site_rows(cluster_of(given)))


def _end_position(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._roles import end_position

    return end_position(cluster_of(given))


def _replayed_position(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._roles import replayed_position

    return replayed_position(cluster_of(given))


def _prepare(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._prepare import prepare_source, prepare_target

    (prepare_source if given.as_source else prepare_target)(given, cluster_of(given))
    return "prepared"


def _follow(given: Given) -> str:
    from xcat_ha_drivers.postgres.daemon import refuse_if_xcatd_runs
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._follow import follow

    refuse_if_xcatd_runs()
    return f"follows {given.peer}: {follow(given, cluster_of(given))}"


def _take_login(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._login import take_over_login

    take_over_login(given, cluster_of(given))
    return "cfgloc fits the database"


def _point_login(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._login import point_to_service

    point_to_service(given, cluster_of(given))
    return f"cfgloc names {given.service[0]}"


def _give_up(given: Given) -> str:
    from xcat_ha_drivers.postgres.daemon import refuse_if_xcatd_runs
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._roles import give_up

    refuse_if_xcatd_runs()
    return f"stopped at {give_up(given, cluster_of(given))}"


def _drain(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._roles import drain

    drain(cluster_of(given))
    return "everything received is replayed"


def _promote(given: Given) -> str:
    from xcat_ha_drivers.postgres.daemon import refuse_if_xcatd_runs
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._roles import promote

    refuse_if_xcatd_runs()
    return promote(given, cluster_of(given))


def _require_standby(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._roles import require_standby

    require_standby(given, cluster_of(given))
    return "commits wait for the standby" if given.synchronous else "commits wait for nobody"


def _prove(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._roles import prove

    return prove(given, cluster_of(given))


def _forget_mark(_given: Given) -> str:
    clear_mark(PROVED_MARK)
    return "forgotten"


def _save(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._saved import save

    place = save(given.node, cluster_of(given))
    return f"saved in {place}" if place is not None else "there is no database of its own"


def _watch(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._degrade import see_to_it

    return see_to_it(given, cluster_of(given))


def _is_watched(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._degrade import why_not_as_it_should_be

    return why_not_as_it_should_be(given, cluster_of(given))


def _is_prepared(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._prepare import why_source_not_ready, why_target_not_ready

    return (why_source_not_ready if given.as_source else why_target_not_ready)(given, cluster_of(given))


def _is_following(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._follow import why_not_following, why_not_tidy
    from xcat_ha_drivers.postgres_streaming._settings import not_in_force
    from xcat_ha_drivers.postgres_streaming._source import ask_source

    cluster = cluster_of(given)
    reason = why_not_following(given, cluster, ask_source(given, cluster))
    late = [] if reason else not_in_force(given, cluster)
    return reason or (f"not in force yet: {', '.join(late)}" if late else why_not_tidy(cluster))


def _has_login(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._login import why_no_login

    return why_no_login(given, cluster_of(given))


def _login_points(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._login import why_wrong_place

    return why_wrong_place(given, cluster_of(given))


def _has_given_up(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._roles import why_not_given_up

    return why_not_given_up(cluster_of(given))


def _is_promoted(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._roles import why_not_promoted

    return why_not_promoted(cluster_of(given))


def _is_required(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._roles import why_not_required

    return why_not_required(given, cluster_of(given))


def _is_proved(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._roles import why_not_proved

    return why_not_proved(given, cluster_of(given))


def _is_saved(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._cluster import cluster_of
    from xcat_ha_drivers.postgres_streaming._saved import why_not_saved

    return why_not_saved(cluster_of(given))


QUESTIONS: Mapping[str, Callable[[Given], str]] = {
    "is-prepared": _is_prepared,
    "is-following": _is_following,
    "has-login": _has_login,
    "login-points": _login_points,
    "has-given-up": _has_given_up,
    "is-promoted": _is_promoted,
    "is-required": _is_required,
    "is-proved": _is_proved,
    "is-saved": _is_saved,
    "is-watched": _is_watched,
}
"""They read; they return why not, or nothing."""

READERS: Mapping[str, Callable[[Given], str]] = {
    "observe": _observe,
    "has-node": _has_node,
    "contents": _contents,
    "site": _site,
    "end-position": _end_position,
    "replayed-position": _replayed_position,
}
"""They read; they return what is printed."""

CHANGERS: Mapping[str, Callable[[Given], str]] = {
    "prepare": _prepare,
    "follow": _follow,
    "take-login": _take_login,
    "point-login": _point_login,
    "give-up": _give_up,
    "drain": _drain,
    "promote": _promote,
    "require-standby": _require_standby,
    "prove": _prove,
    "forget-mark": _forget_mark,
    "save": _save,
    "watch": _watch,
}
"""They change, one at a time on a node; they return what is printed."""


def main(words: Sequence[str]) -> int:
    """Run one verb."""
    os.umask(0o077)
    verb, node = (words[0] if words else ""), "?"
    if verb not in {*QUESTIONS, *READERS, *CHANGERS}:
        print(f"usage: node_side {'|'.join((*QUESTIONS, *READERS, *CHANGERS))} --node=ID ...", file=sys.stderr)
        return 2
    try:
        given = read_words(words[1:])
        node = given.node
        print(_answer(verb, given))
    except PostgresError as error:
        if verb not in QUESTIONS:
            print(f"{node}: {error}", file=sys.stderr)
            return 1
        print(f"FAILS: {' '.join(str(error).split())}")
    except OSError as error:
        print(f"{node}: {error}; hint: check that file and its file system, then run it again", file=sys.stderr)
        return 1
    return 0


def _answer(verb: str, given: Given) -> str:
    if verb in CHANGERS:
        with at_work():
            return CHANGERS[verb](given)
    if verb in READERS:
        return READERS[verb](given)
    reason = QUESTIONS[verb](given)
    return f"FAILS: {' '.join(reason.split())}" if reason else "HOLDS"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
