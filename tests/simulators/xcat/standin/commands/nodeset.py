"""nodeset: what a node boots next."""

from __future__ import annotations

from .. import bootfiles, destiny, net
from ..engine import SET, Change
from ..objects import Attributes, Objects
from ..request import Request
from .dhcp import update

USAGE = "Usage: nodeset <noderange> [shell|boot|runcmd=bmcsetup|osimage[=<imagename>]|offline|shutdown|stat]"
PLAIN_STATES = ("boot", "offline", "shell", "shutdown", "standby")


def nodeset(request: Request) -> None:
    words = [w for w in request.args if not w.startswith("-")]
    if len(words) < 2:
        request.out(USAGE)
        request.code |= 0 if "-h" in request.args else 1
        return
    names, missing = Objects(request.database).noderange.expand(words[0])
    if missing:
        request.err(f"Error: Invalid nodes and/or groups in noderange: {','.join(missing)}")
        return
    if words[1] == "stat":
        for name in names:
            request.out(f"{name}: {bootfiles.state_of(name)}")
        return
    Setting(request, names, words[1]).run()
    request.pace.wait_until("nodeset")


class Setting:
    def __init__(self, request: Request, names: list[str], action: str) -> None:
        self.request = request
        self.action = action
        self.nodes = Objects(request.database).nodes(names, destiny.WANTED)
        self.failed: set[str] = set()

    def run(self) -> None:
        resolvable = self._resolvable()
        if resolvable:
            states = self._destinies(resolvable)
            done = [n for n in states if self._write_boot_file(n, states[n])]
            if done:
                self._tell_dhcp(done)
        if self.failed:
            kinds = sorted({self.nodes[n].get("netboot", "xnba") for n in self.failed})
            for kind in kinds:
                self.request.error(
                    f"Failed to generate {kind} configurations for some node(s) on"
                    f" {self.request.host}. Check xCAT log file for more details."
                )

    def _resolvable(self) -> dict[str, Attributes]:
        found = {}
        for name, values in self.nodes.items():
            address = values.get("ip") or net.resolve(name)
            if address:
                found[name] = {**values, "ip": address}
            else:
                self.failed.add(name)
        return found

    def _destinies(self, nodes: dict[str, Attributes]) -> dict[str, destiny.Destiny]:
        """The database changes here, before anything can fail later."""
        if self.action in PLAIN_STATES or self.action.startswith("runcmd="):
            states = {n: destiny.Destiny(self.action, values) for n, values in nodes.items()}
        elif self.action.partition("=")[0] == "osimage":
            states = self._image_destinies(nodes)
        else:
            raise self.request.stop(f'The options "{self.action}" can not be recognized')
        self.request.database.write("chain", [Change(SET, {"node": n}, {"currstate": s.state}) for n, s in states.items()])
        for name, state in states.items():
            if not state.problem:
                self.request.out(f"{name}: {state.state}")
                continue
            self.request.node_error(name, state.problem)
            self.failed.add(name)
        return {n: s for n, s in states.items() if not s.problem}

    def _image_destinies(self, nodes: dict[str, Attributes]) -> dict[str, destiny.Destiny]:
        asked = self.action.partition("=")[2]
        states: dict[str, destiny.Destiny] = {}
        types = []
        boots = []
        for name, values in nodes.items():
            image = asked or values.get("provmethod", "")
            known = Objects(self.request.database).load("osimage", [image])[image]
            if not known.get("provmethod"):
                raise self.request.stop(f"Cannot find the OS image {image} in the osimage table.")
            states[name] = own = destiny.plan(self.request, name, values, image, known)
            types.append(
                Change(
                    SET,
                    {"node": name},
                    {
                        "os": known.get("osvers", ""),
                        "arch": known.get("osarch", ""),
                        "profile": known.get("profile", ""),
                        "provmethod": image,
                    },
                )
            )
            if own.kernel:
                boots.append(
                    Change(
                        SET,
                        {"node": name},
                        {"kernel": own.kernel, "initrd": own.initrd, "kcmdline": own.kcmdline},
                    )
                )
        self.request.database.write("nodetype", types)
        self.request.database.write("bootparams", boots)
        return states

    def _write_boot_file(self, name: str, state: destiny.Destiny) -> bool:
        problem = bootfiles.write(self.request, name, state)
        if problem:
            self.request.node_error(name, problem)
            self.failed.add(name)
        return not problem

    def _tell_dhcp(self, names: list[str]) -> None:
        if self.request.database.site("dhcpsetup", "1")[0] in "0nN":
            return
        if self.request.database.site("externaldhcpservers"):
            return
        update(self.request, names, delete=self.action == "offline")
