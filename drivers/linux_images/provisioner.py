"""The driver: questions and steps, as data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from xcat_ha.interfaces import ImageStates, OsImageProvisioner
from xcat_ha.models import Node, OsImage
from xcat_ha.steps import Check, Command, Completed, Effect, Probe, SaysVerdict, Step, Steps, changes, reads
from xcat_ha.xcat.commands import MKNB, NODESET
from xcat_ha_drivers.linux_images.reading import images_from

PROGRAM = "xcat_ha_drivers.linux_images.node_side"
_LOOK_LIMIT_S = 600.0
_RUN_LIMIT_S = 1900.0
_GENESIS_ARCH = {"ppc64le": "ppc64", "ppc64el": "ppc64", "amd64": "x86_64"}
"""mknb's names (facts: xCAT 4.8)."""


class LinuxImages(OsImageProvisioner):
    """Images of xCAT on Linux. See the package."""

    option_names: ClassVar[frozenset[str]] = frozenset()

    def questions(self, node: Node) -> tuple[Command, ...]:
        """One program reads the tables and looks at every file."""
        return (reads(node.python, "-m", PROGRAM, "look", timeout_s=_LOOK_LIMIT_S),)

    def interpret(self, node: Node, answers: Sequence[Completed]) -> ImageStates:
        """See :mod:`xcat_ha_drivers.linux_images.reading`."""
        del node
        return images_from(answers[0])

    def steps_to_serve(self, images: Sequence[OsImage], node: Node) -> Steps:
        """The discovery image of each architecture, then ``nodeset`` for the nodes that wait for each image."""
        arches = sorted({_GENESIS_ARCH.get(image.arch, image.arch) for image in images if image.arch})
        waited_for = [image for image in images if image.nodes]
        return (
            *(_step_for_genesis(node, arch) for arch in arches),
            *(_step_to_replay(node, image, number) for number, image in enumerate(waited_for, 1)),
        )

    def steps_to_withdraw(self, node: Node) -> Steps:
        """``exportfs -ua``."""
        return (
            Step(
                name="withdraw-exports",
                why=f"Clients must not get stale answers from {node.id} after its address has moved.",
                host=node.id,
                done_when=_verdict(node, f"{node.id} exports nothing over NFS", "withdrawn", hint=f"exportfs -v on {node.id}"),
                commands=(changes("exportfs", "-ua"),),
                settle_s=5.0,
            ),
        )

    def steps_to_export(self, node: Node) -> Steps:
        """``exportfs -ra``."""
        return (
            Step(
                name="export-directories",
                why="Clients that have directories of the management node mounted go on.",
                host=node.id,
                done_when=_verdict(
                    node,
                    f"{node.id} exports what its /etc/exports names",
                    "exported",
                    hint=f"exportfs -ra on {node.id}, and read what it says",
                ),
                # Its status also tells of directories that do not exist; what counts is what is exported then.
                commands=(Command(("exportfs", "-ra"), effect=Effect.CHANGES, ok_codes=(0, 1)),),
                settle_s=5.0,
            ),
        )

    def steps_to_note(self, node: Node, installdir: str) -> Steps:
        """The sizes of all files of the images, for the day when this node cannot be asked."""
        return (
            Step(
                name="note-images",
                why=f"If {node.id} is lost, its standby must know what complete images look like.",
                host=node.id,
                done_when=_verdict(
                    node,
                    f"what the images of {node.id} are is noted there, or cannot be told",
                    "noted",
                    installdir,
                    hint="xcat-ha images tells what is wrong",
                ),
                commands=(changes(node.python, "-m", PROGRAM, "note", installdir, timeout_s=_LOOK_LIMIT_S),),
            ),
        )


def _verdict(node: Node, question: str, *words: str, hint: str) -> Check:
    command = reads(node.python, "-m", PROGRAM, *words, timeout_s=_LOOK_LIMIT_S)
    return Check(question=question, probes=(Probe(node.id, command),), rule=SaysVerdict(), hint=hint)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _step_for_genesis(node: Node, arch: str) -> Step:
    return Step(
        name=f"make-discovery-image-{_slug(arch)}",
        why="Nodes that are not known yet boot it.",
        host=node.id,
        done_when=_verdict(
            node, f"the discovery image for {arch} is on {node.id}", "genesis", arch, hint=f"run {MKNB} {arch} on {node.id}"
        ),
        commands=(changes(MKNB, arch, timeout_s=_RUN_LIMIT_S),),
    )


def _step_to_replay(node: Node, image: OsImage, number: int) -> Step:
    names = ",".join(image.nodes)
    return Step(
        name=f"set-waiting-nodes-{number}-{_slug(image.name)}",
        why=f"These nodes wait to be installed with {image.name}; nodes that run are left alone.",
        host=node.id,
        done_when=_verdict(
            node,
            f"nodes that wait for {image.name} are told by {node.id} to install it",
            "replayed",
            image.name,
            names,
            hint=f"run {NODESET} NODE osimage={image.name} on {node.id} for the nodes named, and read what it says",
        ),
        commands=(changes(node.python, "-m", PROGRAM, "replay", image.name, names, timeout_s=_RUN_LIMIT_S),),
    )
