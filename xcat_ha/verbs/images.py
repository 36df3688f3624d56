"""What images lack, and what is left to do for the cluster's nodes after the role has moved."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from xcat_ha.interfaces import ImageStates
from xcat_ha.models import FileSet, Node
from xcat_ha.observation import PairState
from xcat_ha.operations import Prepared, Result, Workshop
from xcat_ha.planning.images import NodeImages, closing_list, images_on, not_exported_by
from xcat_ha.planning.requirements import Finding
from xcat_ha.steps import Judgement, Verdict
from xcat_ha.verbs.basis import file_sets_of
from xcat_ha.xcat.site import interpret_site, site_question


def look_at_images(workshop: Workshop) -> tuple[NodeImages, ...]:
    """For ``images``: as :func:`report_images`, with the file set that brings each file, if the primary's xcatd tells where they are."""
    state = workshop.observe(images=True)
    sets: tuple[FileSet, ...] = ()
    if state.primary is not None:
        site = interpret_site(workshop.runner.read_many(state.primary, (site_question(),))[0])
        sets = file_sets_of(workshop.pair, site) if site.known else ()
    return report_images(workshop, state, sets)


def report_images(workshop: Workshop, state: PairState, file_sets: Sequence[FileSet] = ()) -> tuple[NodeImages, ...]:
    """What each image lacks on the standby; on both nodes, each against its note, while it is not known who is primary."""
    if state.primary is None:
        return tuple(images_on(node, images_of(state, node), None, file_sets) for node in workshop.pair.nodes)
    primary = workshop.pair.node(state.primary)
    standby = workshop.pair.other(primary.id)
    return (images_on(standby, images_of(state, standby), images_of(state, primary), file_sets),)


def images_of(state: PairState, node: Node) -> ImageStates | None:
    """What was observed of a node's images, if that was asked."""
    return state.nodes[node.id].images


def findings_on_images(workshop: Workshop, state: PairState) -> tuple[Finding, ...]:
    """For ``check``: whether the standby could serve every image, and export what the primary exports."""
    found = []
    for report in report_images(workshop, state):
        names = ", ".join(one.name for one in report.lacking)
        question = f"every image of the database is complete on {report.node}"
        judgement = Judgement(
            report.verdict, report.detail or (f"not complete: {names}" if names else f"compared with {report.compared_with}")
        )
        found.append(Finding("images", question, judgement, "xcat-ha images tells what is missing; xcat-ha sync files copies files"))
    return (*found, *_findings_on_exports(workshop, state))


def _findings_on_exports(workshop: Workshop, state: PairState) -> tuple[Finding, ...]:
    if state.primary is None:
        return ()
    primary = workshop.pair.node(state.primary)
    standby = workshop.pair.other(primary.id)
    there, here = images_of(state, primary), images_of(state, standby)
    question = f"{standby.id} is configured to export over NFS what {primary.id} exports"
    hint = f"copy the lines from /etc/exports of {primary.id}, or make the file a file set of its own"
    if there is None or here is None or not there.known or not here.known:
        return (Finding("images", question, Judgement(Verdict.UNKNOWN, "one of them did not answer"), hint),)
    missing = not_exported_by(there, here)
    detail = f"not: {', '.join(missing)}" if missing else ""
    return (Finding("images", question, Judgement(Verdict.FAILS if missing else Verdict.HOLDS, detail), hint),)


def with_closing_list(workshop: Workshop, prepared: Prepared, new: Node, before: Sequence[str] = ()) -> Prepared:
    """The same operation; its result also tells what is left to do for nodes. ``before``: clients that have mounts now."""
    driver = workshop.drivers.images
    if driver is None:
        return prepared

    def run() -> Result:
        result = prepared.run()
        notes = closing_list(new, before, driver.observe(new, workshop.runner))
        return evolve(result, notes=(*result.notes, *notes))

    return evolve(prepared, run=run)
