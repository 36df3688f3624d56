"""What most verbs start from: the two sides, the site table, the file sets, what a planner is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from xcat_ha._parallel import side_by_side
from xcat_ha.errors import UnknownStateError
from xcat_ha.history import refuse_if_unfinished
from xcat_ha.journal import new_operation_id
from xcat_ha.models import FileSet, Node, Pair
from xcat_ha.observation import PairState
from xcat_ha.operations import Workshop
from xcat_ha.planning import PlanningInput
from xcat_ha.steps import Command, Completed
from xcat_ha.term import NO_TERM, StoredTerm
from xcat_ha.xcat.file_sets import standard_file_sets
from xcat_ha.xcat.site import Site, interpret_site, offline_site_question, site_question


def sides(workshop: Workshop, state: PairState) -> tuple[Node, Node]:
    """(primary, standby). An unfinished operation is named first: it is why nobody may be primary now."""
    refuse_if_unfinished(state)
    primary = workshop.pair.node(state.require_primary())
    return primary, workshop.pair.other(primary.id)


def online_site(workshop: Workshop, node: Node) -> Site:
    """XCAT's site table, asked of the node's xcatd.

    Raises:
        UnknownStateError: xcatd does not answer with data.
    """
    site = interpret_site(workshop.runner.read_many(node.id, (site_question(),))[0])
    if not site.known:
        raise UnknownStateError(
            f"xcatd on {node.id} does not answer with its site table ({site.detail})",
            state="nothing was changed",
            hint=f"look at systemctl status xcatd on {node.id}; if an operation stopped in the middle, xcat-ha resume",
        )
    return site


def offline_site(workshop: Workshop, node: Node) -> Site:
    """XCAT's site table as the node's own copy holds it; its xcatd does not run.

    Raises:
        UnknownStateError: the copy does not give it.
    """
    question = workshop.drivers.replication.question_for_site(node) or offline_site_question()
    site = interpret_site(workshop.runner.read_many(node.id, (question,))[0])
    if not site.known:
        raise UnknownStateError(
            f"the copy of xCAT's database on {node.id} does not give its site table ({site.detail})",
            state="nothing was changed",
            hint=f"look at xcat-ha status for that database; a generation can be put in place by hand, see {node.id}'s /var/lib/xcat-ha",
        )
    return site


def file_sets_of(pair: Pair, site: Site) -> tuple[FileSet, ...]:
    """The standard sets and the site's own."""
    # cfgloc holds an address only for network databases; whether it stays valid is their backend's business, not a file set's.
    standard = standard_file_sets(installdir=site.installdir, tftpdir=site.tftpdir, xcat_dir=pair.xcat_dir, cfgloc_stays_valid=False)
    return (*standard, *pair.file_sets)


def ask_both(workshop: Workshop, question: Callable[[Node], Command | None]) -> Mapping[str, Completed] | None:
    """Node id -> its answer to a READS command, both asked side by side. None: there is nothing to ask of one of them."""
    questions = {node.id: asked for node in workshop.pair.nodes if (asked := question(node)) is not None}
    if len(questions) < len(workshop.pair.nodes):
        return None
    found: dict[str, Completed] = {}

    def ask(node_id: str) -> None:
        found[node_id] = workshop.runner.read_many(node_id, (questions[node_id],))[0]

    side_by_side([partial(ask, node_id) for node_id in questions])
    return found


def given_for(workshop: Workshop, verb: str, site: Site, file_sets: tuple[FileSet, ...], term: StoredTerm = NO_TERM) -> PlanningInput:
    """What the planner of ``verb`` gets, with a new id for the operation."""
    return PlanningInput(workshop.pair, workshop.drivers, site, file_sets, new_operation_id(verb, workshop.clock), term)


def still_primary(node: Node) -> Callable[[PairState], str]:
    """For ``prepared``: why the operation must not begin now that ``node`` is not primary any more; empty while it is."""

    def why_not(now: PairState) -> str:
        if now.primary == node.id:
            return ""
        return f"{node.id} was primary when this was planned; now it is {now.primary or 'not known who is'}"

    return why_not
