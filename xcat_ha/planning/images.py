"""Images and clients: what a standby lacks, what clients will notice, what the new primary runs again, what is left to the administrator.

Two nodes are compared by the sizes of files. If the primary cannot be asked, what was noted of it when files were last copied stands for
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from attrs import frozen

from xcat_ha._listed import NAMED, listed
from xcat_ha.interfaces import ImageFile, ImageState, ImageStates, OsImageProvisioner, Service
from xcat_ha.models import FileSet, Node
from xcat_ha.observation import PairState
from xcat_ha.planning.operation import PhasePlanner, PlanningInput
from xcat_ha.steps import Check, Phase, Probe, SaysVerdict, Step, Steps, Verdict, reads, side_by_side


@frozen
class Lack:
    """Something an image has on the primary and lacks on the other node.

    Attributes:
        path: where it should be.
        role: what it is (``kernel``, ``rootimg``, ``template`` …); empty for the definition itself.
        problem: what is wrong with it here.
        copied_with: the file set that brings it; empty: none of those that are known here.
    """

    path: str
    role: str
    problem: str
    copied_with: str = ""


@frozen
class ImageReport:
    """An image on a node: HOLDS if it is as on the primary, FAILS if it lacks something, UNKNOWN if nobody can tell (``detail``)."""

    name: str
    provmethod: str
    verdict: Verdict
    lacks: tuple[Lack, ...] = ()
    detail: str = ""


@frozen
class NodeImages:
    """All images on a node.

    Attributes:
        node: its id.
        compared_with: what stood for the primary.
        images: one by one; empty if not known.
        detail: why it is not known.
    """

    node: str
    compared_with: str
    images: tuple[ImageReport, ...] = ()
    detail: str = ""

    @property
    def verdict(self) -> Verdict:
        """The worst of all images."""
        verdicts = {report.verdict for report in self.images}
        if Verdict.FAILS in verdicts:
            return Verdict.FAILS
        return Verdict.UNKNOWN if self.detail or Verdict.UNKNOWN in verdicts else Verdict.HOLDS

    @property
    def lacking(self) -> tuple[ImageReport, ...]:
        """Those that lack something."""
        return tuple(report for report in self.images if report.verdict is Verdict.FAILS)


def images_on(node: Node, here: ImageStates | None, primary: ImageStates | None, file_sets: Sequence[FileSet] = ()) -> NodeImages:
    """What each image lacks on ``node``. ``primary``: the primary's own answer; if that is not known, its note stands for it."""
    if here is None or not here.known:
        return NodeImages(node.id, "nothing", detail=here.detail if here is not None else "it was not asked")
    if primary is not None and primary.known:
        return NodeImages(node.id, "the primary", tuple(_reports(here.images, primary.images, file_sets, live=True)))
    if here.noted_at is not None:
        return NodeImages(node.id, "the note that came with the files", tuple(_reports(here.images, here.noted, file_sets, live=False)))
    return NodeImages(node.id, "nothing", tuple(_reports(here.images, None, file_sets, live=False)))


def _reports(
    here: Sequence[ImageState], there: Sequence[ImageState] | None, file_sets: Sequence[FileSet], *, live: bool
) -> list[ImageReport]:
    known = None if there is None else {state.image.name: state for state in there}
    own = {state.image.name for state in here}
    # What a primary that answers does not know it has just removed; what a note does not know is newer than the note.
    kept = [state for state in here if known is None or state.image.name in known or not live]
    found = [_report(state, None if known is None else known.get(state.image.name), file_sets) for state in kept]
    for state in known.values() if known is not None and live else ():
        if state.image.name not in own:
            lack = Lack("", "", "it is not defined in the copy of the database yet", "database")
            found.append(ImageReport(state.image.name, state.image.provmethod, Verdict.FAILS, (lack,)))
    return sorted(found, key=lambda report: report.name)


def _report(state: ImageState, reference: ImageState | None, file_sets: Sequence[FileSet]) -> ImageReport:
    image = state.image
    if state.unknown:
        return ImageReport(image.name, image.provmethod, Verdict.UNKNOWN, detail=state.unknown)
    own = {file.path: file for file in state.files}
    models = {file.path: file for file in reference.files} if reference is not None else {}
    lacks, as_there = [], []
    for path in sorted({*own, *models}):
        file, model = own.get(path), models.get(path)
        if reference is not None and (model is None or not model.size):
            if file is not None and file.needed and file.size is None:
                as_there.append(f"{path} ({file.role})")
            continue
        problem = _problem(file, model)
        if problem:
            role = file.role if file is not None else model.role if model is not None else ""
            lacks.append(Lack(path, role, problem, _set_of(path, file_sets)))
    detail = f"the primary lacks it too: {', '.join(as_there)}" if as_there else ""
    return ImageReport(image.name, image.provmethod, Verdict.FAILS if lacks else Verdict.HOLDS, tuple(lacks), detail)


def _problem(file: ImageFile | None, model: ImageFile | None) -> str:
    """What is wrong with a file; ``model``: the primary's, if it is known."""
    if model is None:
        if file is None or not file.needed or file.size:
            return ""
        return "is missing" if file.size is None else "is empty"
    unit = "entries" if model.directory else "bytes"
    if file is None or file.size is None:
        return f"is missing; the primary has {model.size} {unit}"
    return "" if file.size == model.size else f"has {file.size} {unit}, the primary {model.size}"


def _set_of(path: str, file_sets: Sequence[FileSet]) -> str:
    """The file set that brings a path, as far as plain paths tell."""
    for file_set in file_sets:
        if any(path == own or path.startswith(f"{own.rstrip('/')}/") for own in file_set.paths):
            return file_set.name
    return ""


# Sentences before the question "go on?"


def sentences_about_images(report: NodeImages, *, planned: bool) -> tuple[str, ...]:
    """Every image that is not complete is named before the role moves. ``planned``: files are copied once more before it does."""
    if report.detail:
        return (f"IMAGES: what they lack on {report.node} is NOT KNOWN: {report.detail}.",)
    if report.lacking:
        found = [f"IMAGE {one.name} is not complete on {report.node}: {_lacks_in_words(one, planned=planned)}." for one in report.lacking]
        more = [f"{len(found) - NAMED} more images are not complete: xcat-ha images."] if len(found) > NAMED else []
        return (*found[:NAMED], *more)
    if report.compared_with == "nothing" and report.images:
        words = "; whether files have their full size is not known, because no note of the primary's came with them"
        return (f"Nothing is missing of the images on {report.node}{words}.",)
    return ()


def _lacks_in_words(report: ImageReport, *, planned: bool) -> str:
    words = []
    for lack in report.lacks[:5]:
        how = ""
        if planned:
            how = f" (will be copied first, with {lack.copied_with})" if lack.copied_with else " (NOTHING COPIES IT)"
        words.append(f"{lack.path} ({lack.role}) {lack.problem}{how}" if lack.path else f"{lack.problem}{how}")
    more = f"; and {len(report.lacks) - 5} more" if len(report.lacks) > 5 else ""
    return "; ".join(words) + more


def sentences_about_clients(old: Node, new: Node, there: ImageStates | None, here: ImageStates | None) -> tuple[str, ...]:
    """What clients of ``old`` notice when the role moves to ``new``."""
    if there is None or not there.known:
        why = there.detail if there is not None else "it was not asked"
        return (f"CLIENTS: who has directories of {old.id} mounted is NOT KNOWN: {why}.",)
    found = []
    clients = sorted({mount.client for mount in there.mounts})
    if clients:
        found.append(
            f"CLIENTS: {len(clients)} have directories of {old.id} mounted over NFS and hang, or lose them, until {new.id} exports them: "
            f"{listed(clients)}."
        )
    if there.diskless:
        names = [f"{name} ({why})" for name, why in sorted(there.diskless.items())]
        found.append(
            f"CLIENTS: {len(names)} nodes have their root file system on {old.id} and hang until {new.id} serves it: {listed(names)}."
        )
    found += _sentence_about_exports(there, new, here)
    may = [node.name for node in there.waiting if not node.trouble]
    if may:
        found.append(f"nodeset is run again on {new.id} for {len(may)} nodes that wait to be installed, for no other: {listed(may)}.")
    return tuple(found)


def not_exported_by(there: ImageStates, here: ImageStates) -> tuple[str, ...]:
    """Directories that the one exports now and the other is not configured to export."""
    return tuple(path for path in there.exports or () if path not in here.configured_exports)


def _sentence_about_exports(there: ImageStates, new: Node, here: ImageStates | None) -> list[str]:
    if here is None or not here.known:
        return []
    missing = not_exported_by(there, here)
    return [f"CLIENTS: {new.id} will NOT export {listed(missing)}: its /etc/exports does not name them."] if missing else []


# Phases


def phases_for_images(given: PlanningInput, new: Node) -> tuple[PhasePlanner, ...]:
    """The last phase of a change of primary: all of the role is there already, so a bad image stops nothing that matters more."""
    driver = given.drivers.images
    return (PhasePlanner("images", partial(_images, given, driver, new), needs_images=True),) if driver is not None else ()


def _images(given: PlanningInput, driver: OsImageProvisioner, new: Node, state: PairState) -> Phase:
    node_state = state.nodes[new.id]
    http: Steps = ()
    if node_state.services.services.get(Service.HTTP):
        http = given.drivers.services.steps_to_start(new, (Service.HTTP,), node_state.services)
    found = node_state.images
    serve: Steps = (_step_to_know(new, found),)
    if found is not None and found.known:
        serve = driver.steps_to_serve([one.image for one in found.images], new)
    return Phase(
        name="images",
        why=f"{new.id} installs and boots nodes; nodeset is run only for nodes that wait to be installed.",
        stages=(side_by_side(http), side_by_side(serve)),
    )


def _step_to_know(new: Node, found: ImageStates | None) -> Step:
    """Stops an operation that cannot tell which nodes wait; ``resume`` asks anew."""
    why = found.detail if found is not None and found.detail else "it was not asked yet"
    return Step(
        name="know-who-waits",
        why="Nothing is run for nodes unless the database says which of them wait to be installed.",
        host=new.id,
        done_when=Check(
            question=f"{new.id} can tell which nodes wait to be installed",
            probes=(Probe(new.id, reads("sh", "-c", 'printf "UNKNOWN: %s\n" "$1"', "sh", why)),),
            rule=SaysVerdict(),
            hint=f"all else of the role is on {new.id}: see what xcat-ha images says, then xcat-ha resume",
        ),
        commands=(),
    )


# What is left to do


def closing_list(new: Node, before: Sequence[str], now: ImageStates | None) -> tuple[str, ...]:
    """What the administrator has to look at on the cluster's nodes after the role has moved. ``before``: clients that had mounts."""
    if now is None or not now.known:
        why = now.detail if now is not None else "it was not asked"
        return (f"{new.id}: which nodes need nodeset or a reboot is NOT KNOWN: {why}",)
    untold = [node for node in now.waiting if node.trouble]
    found = [
        f"{new.id}: {node.name} waits ({node.state}) and nothing was run for it: {node.trouble}; if it is right: nodeset {node.name} "
        f"osimage={node.image}"
        for node in untold[:NAMED]
    ]
    if len(untold) > NAMED:
        found.append(f"{new.id}: {len(untold) - NAMED} more nodes wait and nothing was run for them: xcat-ha images --json")
    waiting = {node.name for node in now.waiting}
    unready = [name for name in now.unready if name not in waiting]
    if unready:
        found.append(
            f"{new.id}: {len(unready)} nodes need nodeset before their next reboot, their boot file is not there: {listed(unready)}"
        )
    if now.diskless:
        found.append(
            f"{new.id}: {len(now.diskless)} nodes have their root file system here; reboot those that do not go on: "
            f"{listed(sorted(now.diskless))}"
        )
    if before:
        found.append(f"{new.id}: {len(before)} clients had NFS mounts; mount anew or reboot those that do not go on: {listed(before)}")
    incomplete = [name for name, paths in sorted(now.missing.items()) if paths]
    if incomplete:
        found.append(f"{new.id}: images that lack files: {listed(incomplete)}; xcat-ha images tells which")
    if now.http_trouble:
        found.append(f"{new.id}: nodes cannot load images over HTTP: {now.http_trouble}")
    return tuple(found) or (f"{new.id}: no node needs nodeset or a reboot",)
