"""What is said of images and clients before the role moves and after, and where exports and images have their place in the order."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from typing import Any

import pytest
from attrs import evolve

from tests.unit.test_cli_site import PRIMARY, CliSite
from tests.unit.test_core_planning import SITE, transcript
from tests.unit.test_core_status import primary, standby
from tests.unit.test_core_toys import MNA, MNB, ToyImages, hosts_in, toy_drivers, toy_pair
from xcat_ha.errors import ExitCode
from xcat_ha.interfaces import ImageFile, ImageState, ImageStates, Mount, WaitingNode
from xcat_ha.models import FileSet, OsImage
from xcat_ha.observation import PairState
from xcat_ha.planning import PlanningInput
from xcat_ha.planning.handover import plan_handover
from xcat_ha.planning.images import closing_list, images_on, sentences_about_clients, sentences_about_images
from xcat_ha.planning.sync import plan_sync
from xcat_ha.planning.takeover import plan_takeover
from xcat_ha.steps import Completed, Verdict
from xcat_ha.term import StoredTerm

SETS = (FileSet("install", ("/install",)), FileSet("tftp", ("/tftpboot",)))
PAIR = toy_pair()
GIVEN = PlanningInput(
    PAIR,
    evolve(toy_drivers(PAIR), images=ToyImages(PAIR, PAIR.images.options)),
    SITE,
    SETS,
    "20260101T000000-failover-abcd",
    StoredTerm(1, "mna"),
)


def states(name: str = "one", *files: ImageFile, noted: tuple[ImageState, ...] = (), noted_at: float | None = None) -> ImageStates:
    """One image with these files."""
    missing = {name: tuple(file.path for file in files if file.needed and not file.size)}
    return ImageStates(True, missing, (ImageState(OsImage(name, "netboot"), files),), noted, noted_at)


def kernel(size: int | None, *, needed: bool = True) -> ImageFile:
    return ImageFile("/install/kernel", "kernel", size, needed=needed)


@dataclasses.dataclass(frozen=True)
class Case:
    """A file here and on the primary (None: nothing is known of the primary), and what is said."""

    here: ImageFile | None
    there: ImageFile | None
    verdict: Verdict
    problem: str = ""
    detail: str = ""


@pytest.mark.parametrize(
    "case",
    [
        Case(kernel(10), kernel(10), Verdict.HOLDS),
        Case(kernel(None), kernel(10), Verdict.FAILS, "is missing; the primary has 10 bytes"),
        Case(None, kernel(10), Verdict.FAILS, "is missing; the primary has 10 bytes"),
        Case(kernel(7), kernel(10), Verdict.FAILS, "has 7 bytes, the primary 10"),
        Case(kernel(12), kernel(10), Verdict.FAILS, "has 12 bytes, the primary 10"),
        Case(kernel(None), kernel(None), Verdict.HOLDS, detail="the primary lacks it too: /install/kernel (kernel)"),
        Case(kernel(10), kernel(None), Verdict.HOLDS),
        Case(kernel(10), None, Verdict.HOLDS),
        Case(kernel(None), None, Verdict.FAILS, "is missing"),
        Case(kernel(0), None, Verdict.FAILS, "is empty"),
        Case(kernel(None, needed=False), None, Verdict.HOLDS),
    ],
)
def test_a_file_is_compared_with_the_primarys(case: Case) -> None:
    here = states("one", *([case.here] if case.here else []))
    report = images_on(MNB, here, states("one", case.there) if case.there else None)
    (image,) = report.images
    assert (image.verdict, [lack.problem for lack in image.lacks], image.detail) == (
        case.verdict,
        [case.problem] if case.problem else [],
        case.detail,
    )


def test_the_note_stands_for_a_primary_that_does_not_answer() -> None:
    noted = (ImageState(OsImage("one", "netboot"), (kernel(10),)),)
    here = states("one", kernel(7), noted=noted, noted_at=1.0)
    for silent in (None, ImageStates(known=False, missing={})):
        report = images_on(MNB, here, silent)
        assert report.compared_with == "the note that came with the files"
        assert report.images[0].lacks[0].problem == "has 7 bytes, the primary 10"
    assert images_on(MNB, here, states("one", kernel(7))).verdict is Verdict.HOLDS, "what the primary says now is newer than its note"


def test_an_image_that_the_copy_does_not_know_yet_is_named_and_a_removed_one_is_none() -> None:
    report = images_on(MNB, states("one", kernel(None)), states("two", kernel(10)))
    assert [(image.name, image.verdict) for image in report.images] == [("two", Verdict.FAILS)]


def test_an_image_that_is_newer_than_the_note_is_looked_at_all_the_same() -> None:
    noted = (ImageState(OsImage("one", "netboot"), (kernel(10),)),)
    report = images_on(MNB, states("two", kernel(None), noted=noted, noted_at=1.0), None)
    assert [(image.name, image.verdict) for image in report.images] == [("two", Verdict.FAILS)]


def test_silence_and_foreign_images_are_unknown() -> None:
    for silent in (None, ImageStates(known=False, missing={}, detail="no answer")):
        report = images_on(MNB, silent, states("one", kernel(10)))
        assert report.verdict is Verdict.UNKNOWN
        assert "NOT KNOWN" in sentences_about_images(report, planned=True)[0]
        assert "NOT KNOWN" in closing_list(MNB, (), silent)[0]
    foreign = evolve(states("one"), images=(ImageState(OsImage("61cosi", "diskless"), unknown="it is of type NIM"),))
    assert images_on(MNB, foreign, None).verdict is Verdict.UNKNOWN


def test_what_will_be_copied_first_is_told_from_what_nothing_copies() -> None:
    template = ImageFile("/opt/xcat/compute.tmpl", "template", None)
    here = states("one", kernel(None), template)
    there = states("one", kernel(10), evolve(template, size=5))
    (sentence,) = sentences_about_images(images_on(MNB, here, there, SETS), planned=True)
    assert sentence == (
        "IMAGE one is not complete on mnb: /install/kernel (kernel) is missing; the primary has 10 bytes (will be copied first, "
        "with install); "
        "/opt/xcat/compute.tmpl (template) is missing; the primary has 5 bytes (NOTHING COPIES IT)."
    )
    (sentence,) = sentences_about_images(images_on(MNB, here, there, SETS), planned=False)
    assert "copie" not in sentence


def test_who_hangs_is_named_before() -> None:
    there = evolve(
        states("one", kernel(10)),
        mounts=(Mount("10.77.1.5", "/install"), Mount("10.77.1.5", "/tftpboot"), Mount("10.77.1.6")),
        diskless={"cn1": "statelite, root over NFS"},
        waiting=(WaitingNode("cn2", "one", "install one"), WaitingNode("cn3", "one", "install one", "it runs")),
        exports=("/install", "/home"),
    )
    here = evolve(states("one", kernel(10)), configured_exports=("/install",))
    assert sentences_about_clients(MNA, MNB, there, here) == (
        "CLIENTS: 2 have directories of mna mounted over NFS and hang, or lose them, until mnb exports them: 10.77.1.5, 10.77.1.6.",
        "CLIENTS: 1 nodes have their root file system on mna and hang until mnb serves it: cn1 (statelite, root over NFS).",
        "CLIENTS: mnb will NOT export /home: its /etc/exports does not name them.",
        "nodeset is run again on mnb for 1 nodes that wait to be installed, for no other: cn2.",
    )
    assert "NOT KNOWN" in sentences_about_clients(MNA, MNB, None, here)[0]


def test_what_is_left_to_do_is_told_after() -> None:
    assert closing_list(MNB, (), states("one", kernel(10))) == ("mnb: no node needs nodeset or a reboot",)
    now = evolve(
        states("one", kernel(None)),
        unready=("cn3", "cn4"),
        diskless={"cn1": "AIX diskless"},
        waiting=(WaitingNode("cn2", "one", "install one"), WaitingNode("cn3", "one", "install one", "it runs")),
        http_trouble="404",
    )
    assert closing_list(MNB, ("10.77.1.5",), now) == (
        "mnb: cn3 waits (install one) and nothing was run for it: it runs; if it is right: nodeset cn3 osimage=one",
        "mnb: 1 nodes need nodeset before their next reboot, their boot file is not there: cn4",
        "mnb: 1 nodes have their root file system here; reboot those that do not go on: cn1",
        "mnb: 1 clients had NFS mounts; mount anew or reboot those that do not go on: 10.77.1.5",
        "mnb: images that lack files: one; xcat-ha images tells which",
        "mnb: nodes cannot load images over HTTP: 404",
    )


# The order


def pair_state(*waiting: str) -> PairState:
    image = ImageState(OsImage("toy-image", "install", nodes=waiting), (kernel(10),))
    seen = ImageStates(True, {}, (image,))
    return PairState({"mna": evolve(primary(), images=seen), "mnb": evolve(standby(), images=seen)}, 0.0)


def test_exports_end_before_the_address_goes_and_images_come_last() -> None:
    lines = transcript(plan_handover(GIVEN, MNA, MNB).preview(pair_state("cn7")))
    flat = "\n".join(lines)
    withdrawn, released = flat.index("mna:withdraw-exports"), flat.index("mna:release-address")
    acquired, exported, proved = flat.index("mnb:acquire-address"), flat.index("mnb:export-directories"), flat.index("mnb:prove-writable")
    assert withdrawn < released < acquired < exported < proved
    assert lines[-2:] == ["images", "  mnb:set-cn7"]
    assert flat.count("note-images") == 1, "no new note while nobody serves"
    assert flat.index("mna:note-images mnb:sync-install") < flat.index("stop-xcatd")


def test_an_unplanned_change_touches_only_the_new_node() -> None:
    plan = plan_takeover(GIVEN, MNA, MNB, confirmed=True, announced="").preview(pair_state("cn7"))
    steps = [f"{step.host}:{step.name}" for phase in plan.phases for step in phase.steps]
    assert not [step for step in steps if step.startswith("mna:")]
    assert "mnb:export-directories" in steps
    assert steps[-1] == "mnb:set-cn7"


def test_an_operation_that_cannot_tell_who_waits_stops_and_tells_nobody() -> None:
    unknown = ImageStates(known=False, missing={}, detail="its database does not answer; rm -rf /")
    for seen in (None, unknown):
        state = PairState({"mna": primary(), "mnb": evolve(standby(), images=seen)}, 0.0)
        (step,) = plan_handover(GIVEN, MNA, MNB).preview(state).phases[-1].steps
        assert step.commands == ()
        (probe,) = step.done_when.probes
        said = subprocess.run([str(word) for word in probe.command.argv], capture_output=True, text=True, check=True).stdout
        judged = step.done_when.judge([Completed((), 0, said)])
        assert judged.verdict is Verdict.UNKNOWN
        assert judged.detail == (seen.detail if seen is not None else "it was not asked yet")


def test_a_sync_of_the_image_files_brings_a_note_with_it() -> None:
    lines = transcript(plan_sync(GIVEN, MNA, MNB, database=False).preview(pair_state()))
    assert lines == ["copy", "  mna:note-images mnb:sync-install | mnb:sync-tftp"]


# The command line


@pytest.fixture
def site(tmp_path: Any) -> CliSite:
    return CliSite(tmp_path)


def test_the_verb_names_what_the_standby_lacks(site: CliSite) -> None:
    assert site("images").code == ExitCode.DONE
    (site.hosts / "mnb/no-kernel").touch()
    done = site("images")
    assert done.code == ExitCode.FAILED
    assert "FAILS  toy-image  kernel  /install/kernel  is missing; the primary has 10 bytes" in done.out
    document = site("images", "--json").json
    (lack,) = document["nodes"][0]["images"][0]["lacks"]
    assert (lack["path"], lack["copied_with"]) == ("/install/kernel", "install")
    (site.base / "mnb-is-silent").touch()
    assert site("images").code == ExitCode.UNKNOWN


def test_a_check_and_a_failover_name_it_too(site: CliSite) -> None:
    hosts_in(site.hosts, mna=f"{PRIMARY} exports mounted-cn9", mnb="no-kernel no-exports waiting-cn3")
    shown = site("check").out
    assert "FAILS  images  every image of the database is complete on mnb  not complete: toy-image" in shown
    assert "FAILS  images  mnb is configured to export over NFS what mna exports  not: /install" in shown
    said = site("failover").err
    assert "IMAGE toy-image is not complete on mnb: /install/kernel (kernel) is missing" in said
    assert "CLIENTS: 1 have directories of mna mounted" in said
    assert "mnb will NOT export /install" in said


def test_the_result_tells_what_is_left_to_do(site: CliSite) -> None:
    hosts_in(site.hosts, mna=f"{PRIMARY} exports mounted-cn9", mnb="waiting-cn3")
    result = json.loads(json.dumps(site("failover", "--yes", "--json").json))["result"]
    assert "set-cn3" in site.facts("mnb")
    assert "exports" in site.facts("mnb")
    assert "exports" not in site.facts("mna")
    assert any("cn9" in note and "mount anew" in note for note in result["notes"])
