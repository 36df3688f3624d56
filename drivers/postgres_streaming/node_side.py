"""The programs on a node: ``python3 -m xcat_ha_drivers.postgres_streaming.node_side VERB --option=value …``, standard library only.

See :mod:`xcat_ha_drivers.database.program` for how they answer.
"""
# ruff: noqa: PLC0415  # starting Python is most of an answer's time: what only some verbs need is imported by them

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping

from xcat_ha_drivers.database.notes import clear_mark
from xcat_ha_drivers.database.program import Program
from xcat_ha_drivers.postgres_streaming._cluster import Cluster, cluster_of
from xcat_ha_drivers.postgres_streaming._places import PROVED_MARK, Given, at_work


def _observe(given: Given) -> str:
    from xcat_ha_drivers.postgres_streaming._observe import observation

    return json.dumps(observation(given))


def _has_node(given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._contents import has_node

    return "present" if has_node(cluster, given.name) else "absent"


def _contents(_given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._contents import contents

    return json.dumps(contents(cluster))


def _site(_given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._contents import site_rows

    return "\n".join(f"clustersite: {key}={value}" for key, value in site_rows(cluster))


def _end_position(_given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._roles import end_position

    return end_position(cluster)


def _replayed_position(_given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._roles import replayed_position

    return replayed_position(cluster)


def _prepare(given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._prepare import prepare_source, prepare_target

    (prepare_source if given.as_source else prepare_target)(given, cluster)
    return "prepared"


def _follow(given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.database.xcatd import refuse_if_xcatd_runs
    from xcat_ha_drivers.postgres_streaming._follow import follow

    refuse_if_xcatd_runs()
    return f"follows {given.peer}: {follow(given, cluster)}"


def _take_login(given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._login import take_over_login

    take_over_login(given, cluster)
    return "cfgloc fits the database"


def _point_login(given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._login import point_to_service

    point_to_service(given, cluster)
    return f"cfgloc names {given.service[0]}"


def _give_up(given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.database.xcatd import refuse_if_xcatd_runs
    from xcat_ha_drivers.postgres_streaming._roles import give_up

    refuse_if_xcatd_runs()
    return f"stopped at {give_up(given, cluster)}"


def _drain(_given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._roles import drain

    drain(cluster)
    return "everything received is replayed"


def _promote(given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.database.xcatd import refuse_if_xcatd_runs
    from xcat_ha_drivers.postgres_streaming._roles import promote

    refuse_if_xcatd_runs()
    return promote(given, cluster)


def _require_standby(given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._roles import require_standby

    require_standby(given, cluster)
    return "commits wait for the standby" if given.synchronous else "commits wait for nobody"


def _prove(given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._roles import prove

    return prove(given, cluster)


def _forget_mark(_given: Given) -> str:
    clear_mark(PROVED_MARK)
    return "forgotten"


def _save(given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._saved import save

    place = save(given.node, cluster)
    return f"saved in {place}" if place is not None else "there is no database of its own"


def _watch(given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._degrade import see_to_it

    return see_to_it(given, cluster)


def _is_watched(given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._degrade import why_not_as_it_should_be

    return why_not_as_it_should_be(given, cluster)


def _is_prepared(given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._prepare import why_source_not_ready, why_target_not_ready

    return (why_source_not_ready if given.as_source else why_target_not_ready)(given, cluster)


def _is_following(given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._follow import why_not_following, why_not_tidy
    from xcat_ha_drivers.postgres_streaming._settings import not_in_force
    from xcat_ha_drivers.postgres_streaming._source import ask_source

    reason = why_not_following(given, cluster, ask_source(given, cluster))
    late = [] if reason else not_in_force(given, cluster)
    return reason or (f"not in force yet: {', '.join(late)}" if late else why_not_tidy(cluster))


def _has_login(given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._login import why_no_login

    return why_no_login(given, cluster)


def _login_points(given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._login import why_wrong_place

    return why_wrong_place(given, cluster)


def _has_given_up(_given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._roles import why_not_given_up

    return why_not_given_up(cluster)


def _is_promoted(_given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._roles import why_not_promoted

    return why_not_promoted(cluster)


def _is_required(given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._roles import why_not_required

    return why_not_required(given, cluster)


def _is_proved(given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._roles import why_not_proved

    return why_not_proved(given, cluster)


def _is_saved(_given: Given, cluster: Cluster) -> str:
    from xcat_ha_drivers.postgres_streaming._saved import why_not_saved

    return why_not_saved(cluster)


_QUESTIONS: Mapping[str, Callable[[Given, Cluster], str]] = {
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

_PLAIN: Mapping[str, Callable[[Given], str]] = {"observe": _observe, "forget-mark": _forget_mark}
"""They need no server that can be found; they return what is printed."""

_READERS: Mapping[str, Callable[[Given, Cluster], str]] = {
    "has-node": _has_node,
    "contents": _contents,
    "site": _site,
    "end-position": _end_position,
    "replayed-position": _replayed_position,
}
"""They read; they return what is printed."""

_CHANGERS: Mapping[str, Callable[[Given, Cluster], str]] = {
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
    "watch": _watch,
}
"""They change, one at a time on a node; they return what is printed."""


def _reading(answer: Callable[[Given, Cluster], str]) -> Callable[[Given], str]:
    return lambda given: answer(given, cluster_of(given))


def _changing(work: Callable[[Given, Cluster], str]) -> Callable[[Given], str]:
    def alone(given: Given) -> str:
        with at_work():
            return work(given, cluster_of(given))

    return alone


PROGRAM = Program(
    given=Given,
    readers={
        "slot_mib": int,
        "degrade_after_s": int,
        "confirm_s": float,
        "service": lambda text: tuple(word for word in text.split(",") if word),
    },
    questions={name: _reading(question) for name, question in _QUESTIONS.items()},
    verbs={
        **_PLAIN,
        **{name: _reading(answer) for name, answer in _READERS.items()},
        **{name: _changing(work) for name, work in _CHANGERS.items()},
    },
)

if __name__ == "__main__":
    sys.exit(PROGRAM.run(sys.argv[1:]))
