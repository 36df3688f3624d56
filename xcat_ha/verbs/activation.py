"""Taking one's own role up again."""

from __future__ import annotations

from xcat_ha.errors import RefusedError, UnknownStateError
from xcat_ha.interfaces import ReplicaRole
from xcat_ha.models import Node
from xcat_ha.observation import PairState, Role
from xcat_ha.operations import Prepared, Reach, Workshop, prepared
from xcat_ha.planning.activation import plan_activation
from xcat_ha.verbs.basis import given_for, offline_site


def prepare_activation(workshop: Workshop, node: Node, *, confirmed_down: bool, why: str) -> Prepared:
    """``node``, whose turn it is by its own term, takes the role up again.

    ``confirmed_down``: the other node was declared down, and is neither asked nor touched; else it must answer.

    Raises:
        RefusedError: it is not this node's turn, or the other node answers although it was declared down.
        UnknownStateError: the node's state is not known.
    """
    other = workshop.pair.other(node.id)
    state = workshop.observe()
    here, there = state.nodes[node.id], state.nodes[other.id]
    if confirmed_down and there.reachable:
        hint = "the guard starts the role by itself when the other node does not contradict: xcat-ha status"
        raise RefusedError(f"{other.id} answers ssh: it is not down", state="nothing was changed", hint=hint)
    if not here.reachable or here.term is None:
        raise UnknownStateError(f"the term of {node.id} is not known", state="nothing was changed", hint=f"run it on {node.id}")
    if here.term.holder != node.id:
        raise RefusedError(
            f"by term {here.term.counter} the role is {here.term.holder or 'nobody'}'s, not {node.id}'s",
            state="nothing was changed",
            hint=f"if {here.term.holder or other.id} is lost: xcat-ha failover --confirm-down {here.term.holder or other.id}",
        )
    if here.role is Role.PRIMARY:
        raise RefusedError(f"{node.id} has the role already", state="nothing was changed", hint="xcat-ha status shows who is what")
    if here.replica.role is not ReplicaRole.SOURCE:
        raise RefusedError(
            f"the database on {node.id} is not its own: {here.replica.detail}", state="nothing was changed", hint="xcat-ha resume"
        )
    given = given_for(workshop, "activate", offline_site(workshop, node), (), here.term)
    operation = plan_activation(given, node, other, why=why, confirmed_down=confirmed_down)
    silent = frozenset() if there.reachable else frozenset({other.id})

    def why_not(now: PairState) -> str:
        return "" if now.nodes[node.id].role in {Role.STANDBY, Role.PARTIAL} else f"{node.id} is {now.nodes[node.id].role} now"

    reach = Reach(silent, silent if confirmed_down else frozenset())
    return prepared(workshop, operation, given, state, why_not=why_not, reach=reach)
