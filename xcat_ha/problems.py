"""What is wrong with who has the role: two holders or none, terms that disagree, guards that wait, a witness that cannot help."""

from __future__ import annotations

from attrs import frozen

from xcat_ha.history import running_words, unfinished
from xcat_ha.models import Pair
from xcat_ha.observation import NodeState, PairState
from xcat_ha.planning.standing import GUARD_LATE_S, in_words
from xcat_ha.planning.witness import WitnessWord
from xcat_ha.term import NO_TERM


@frozen
class Problem:
    """Something that is not as it should be. ``unknown``: it could not be found out."""

    what: str
    hint: str
    unknown: bool = False


def maintenance_problems(state: PairState) -> list[Problem]:
    """What is said of it, as far as that is not as it should be: being at work is no problem."""
    word = state.maintenance
    if word is None:
        broken = [node_id for node_id, found in state.nodes.items() if found.reachable and found.maintenance is None]
        what = f"it cannot be read whether there is maintenance ({', '.join(broken)}); scheduled syncs do not run"
        return [Problem(what, "xcat-ha maintenance off writes the record anew", unknown=True)] if broken else []
    found: list[Problem] = []
    if word.expired(state.observed_at):
        found.append(Problem(word.words(state.observed_at), "xcat-ha maintenance off, or on again with another --until"))
    for node_id, node_state in state.nodes.items():
        if node_state.reachable and node_state.maintenance is not None and node_state.maintenance.on != word.on:
            what = f"{node_id} does not know that there is {'' if word.on else 'no '}maintenance"
            found.append(Problem(what, f"xcat-ha maintenance {'on' if word.on else 'off'} again"))
    return found


def term_problems(pair: Pair, state: PairState) -> list[Problem]:
    """Whose turn it is, and what the guards say."""
    found: list[Problem] = []
    if state.conflict:
        both = "; ".join(f"{node_id} says {node_state.term.words()}" for node_id, node_state in state.nodes.items() if node_state.term)
        hint = "switch the wrong one off, then xcat-ha failover --confirm-down it on the right one"
        found.append(Problem(f"the nodes disagree about whose turn it is, so both stay passive: {both}", hint))
    for node_id, node_state in state.nodes.items():
        if node_state.reachable and node_state.term is None:
            found.append(Problem(f"the term stored on {node_id} cannot be read", "look at /var/lib/xcat-ha/term.json there", unknown=True))
        found += _guard_problems(pair, state, node_state)
    primary = state.nodes.get(state.primary or "")
    if primary is not None and primary.term is not None and not state.conflict:
        highest = state.term
        if highest is None:
            found.append(Problem("no term is stored: nobody knows whose turn it is after a reboot", f"xcat-ha setup on {primary.node.id}"))
        elif highest.holder != primary.node.id and unfinished(state) is None:
            what = f"{primary.node.id} has the service address, but by term {highest.counter} the role is {highest.holder}'s"
            found.append(Problem(what, f"its guard steps down within seconds; else xcat-ha step-down on {primary.node.id}"))
    return found


def _guard_problems(pair: Pair, state: PairState, node_state: NodeState) -> list[Problem]:
    """A guard that waits for an administrator, or none at all."""
    if not node_state.reachable or node_state.term in {None, NO_TERM}:
        return []
    guard, name = node_state.guard, node_state.node.id
    now = state.observed_at + (node_state.clock_offset_s or 0.0)
    # A guard that starts the role is busy with that for a while.
    if guard is None or (now - guard.checked > GUARD_LATE_S + pair.guard_interval_s and not running_words(state)):
        return [
            Problem(f"no guard watches over the role on {name}", f"systemctl status xcat-ha-guard on {name}; xcat-ha setup installs it")
        ]
    # What it said before it learned of the term stored here now is out of date.
    follows = node_state.term is not None and state.primary not in {None, name} and node_state.term.holder == state.primary
    # That it is no standby yet is the same, said better.
    if guard.state == "passive" and not follows and not_yet_standby(state, node_state) is None:
        return [Problem(f"the guard of {name} stays passive: {guard.why}", guard.hint or "xcat-ha status again in a few seconds")]
    return []


def not_yet_standby(state: PairState, standby: NodeState) -> Problem | None:
    """A node that is no standby of the primary yet: an old primary, or one that was away while the role moved."""
    primary = state.nodes.get(state.primary or "")
    if primary is None or primary is standby:
        return None
    ours, theirs = primary.term, standby.term
    if ours is None or theirs is None or ours.counter == 0 or ours[:2] == theirs[:2] or unfinished(state) is not None:
        return None
    if theirs.counter > ours.counter:
        return None
    what = f"{standby.node.id} is no standby yet: it has term {theirs.words()}, {primary.node.id} has {ours.words()}; it takes no copies"
    return Problem(what, "xcat-ha rejoin makes it the standby; what only it has is counted, named and saved first")


def problems_of_witness(state: PairState, witness: WitnessWord | None) -> tuple[Problem, ...]:
    """A witness that cannot help when it is needed."""
    if witness is None or all(node_state.term in {None, NO_TERM} for node_state in state.nodes.values()):
        return ()
    if witness.term is None:
        hint = "bring it back: until then no change of primary begins, and a node that boots alone stays passive"
        return (Problem(f"the witness does not answer: {witness.trouble}", hint, unknown=True),)
    highest = state.term
    if highest is None or witness.term[:2] == highest[:2] or unfinished(state) is not None:
        return ()
    what = f"the witness remembers {in_words(witness.term)}, the nodes {in_words(highest)}"
    if witness.term.counter < highest.counter:
        return (Problem(f"{what}: it lags, so it would not let a node start alone", "xcat-ha setup on the primary tells it"),)
    hint = f"the role may have moved to {witness.term.holder} while these nodes could not be reached: xcat-ha status there"
    return (Problem(f"{what}: somebody else told it", hint),)


def silent(node_state: NodeState) -> Problem:
    """A node that does not answer, which proves nothing."""
    return Problem(
        f"{node_state.node.id} does not answer: {node_state.trouble}",
        f"is it up? ssh as root to {node_state.node.address} must work with xcat-ha's key; silence does not prove that it is down",
        unknown=True,
    )


def identity_problems(pair: Pair, state: PairState) -> list[Problem]:
    """Two holders of the service address, or none."""
    addresses = ", ".join(str(address.ip) for address in pair.identity.addresses)
    if len(state.holders) > 1:
        return [
            Problem(f"BOTH nodes have a service address ({addresses})", "stop xcatd on the wrong one at once and take the address off it")
        ]
    if not state.holders and not state.unreachable:
        return [
            Problem(
                f"no node has the service address ({addresses}): nobody is primary",
                "an unfinished operation is resumed; after a reboot the guard of the node that had it starts it, or says why not",
            )
        ]
    return []
