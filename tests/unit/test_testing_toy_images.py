"""A toy image provisioner that keeps every promise, unless it is told to have a flaw."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from tests.unit.test_testing_toys import ToyContract, ToyDriver, check, flawed, spoil
from xcat_ha.interfaces import ImageStates, OsImageProvisioner
from xcat_ha.models import Node, OsImage
from xcat_ha.steps import Command, Completed, Step, Steps, changes, reads
from xcat_ha.testing import Answer, Call, Handler, ImagesContract, SimulatedHost, Site


def toyimages(host: SimulatedHost, call: Call) -> Answer:
    """``missing`` prints what each defined image lacks; ``serve NAME`` makes it bootable."""
    names = host.path("/var/toyimages").read_text().split() if host.path("/var/toyimages").exists() else []
    if call.words[0] == "missing":
        if flawed("sees-no-holes"):
            return Answer(0, json.dumps({name: [] for name in names}))
        lacking = {name: [path for path in (f"/install/{name}/kernel",) if not host.path(path).exists()] for name in names}
        if flawed("sees-holes-everywhere"):
            lacking = {name: [f"/install/{name}/initrd"] for name in names}
        return Answer(0, json.dumps(lacking))
    if call.words[0] == "served":
        return Answer(0 if host.path(f"/tftpboot/{call.words[1]}").exists() else 1)
    for name in names if flawed("serves-all") else call.words[1:]:
        host.write(f"/tftpboot/{name}", "boot\n")
    return Answer(0)


class ToyImages(ToyDriver[ImageStates], OsImageProvisioner):
    def questions(self, node: Node) -> tuple[Command, ...]:
        del node
        return self.spoilt(reads("toyimages", "missing"))

    def interpret(self, node: Node, answers: Sequence[Completed]) -> ImageStates:
        del node
        try:
            data = json.loads(answers[0].stdout) if answers[0].ok else None
            missing = {name: tuple(paths) for name, paths in data.items()} if data is not None else None
        except (ValueError, TypeError, AttributeError):
            missing = None
        return ImageStates(known=missing is not None, missing=missing or {})

    def steps_to_serve(self, images: Sequence[OsImage], node: Node) -> Steps:
        steps = []
        for number, image in enumerate(images[:1] if flawed("serves-first-only") else images):
            done = check("it is served", node.id, "toyimages", "served", image.name)
            steps.append(
                Step(f"serve-image-{number}", "Nodes are installed from it.", node.id, done, (changes("toyimages", "serve", image.name),))
            )
        if flawed("always-a-step") and not steps:
            steps.append(Step("serve-nothing", "There has to be some step.", node.id, check("true is true", node.id, "true"), ()))
        return spoil(tuple(steps), self.pair) if steps else ()

    def steps_to_withdraw(self, node: Node) -> Steps:
        host = self.pair.other(node.id).id if flawed("withdraws-elsewhere") else node.id
        done = check("it exports nothing", host, "toyimages", "served", "exports")
        return (Step("withdraw-exports", "Nobody is served any more.", host, done, (changes("toyimages", "withdraw"),)),)


class TestToyImages(ToyContract, ImagesContract):
    toy = ToyImages
    programs: ClassVar[Mapping[str, Handler]] = {"toyimages": toyimages}

    def define(self, site: Site, node_id: str, images: Iterable[OsImage]) -> None:
        site.path(node_id, "/var/toyimages").write_text("\n".join(image.name for image in images))

    def put_files(self, site: Site, node_id: str, image: OsImage) -> None:
        site.path(node_id, f"/install/{image.name}").mkdir(parents=True)
        site.path(node_id, f"/install/{image.name}/kernel").write_text("kernel\n")

    def remove_file(self, site: Site, node_id: str, image: OsImage) -> str:
        site.path(node_id, f"/install/{image.name}/kernel").unlink()
        return f"/install/{image.name}/kernel"

    def is_served(self, site: Site, node_id: str, image: OsImage) -> bool:
        return site.path(node_id, f"/tftpboot/{image.name}").exists()
