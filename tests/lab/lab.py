"""The lab as a whole: its machines, the segment between them, and a client on that segment."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from . import process
from .base import base_tree
from .cgroups import OBSERVER, SUPERVISORS, CgroupTree
from .client import Client
from .disks import Disk, create_node_disk
from .errors import CommandTimedOutError, LabError
from .layers import Layer, trees_of
from .locks import exclusive
from .network import Network
from .node import Node
from .process import Completed, in_cgroup
from .pruning import require_present, trees_lock
from .settings import Settings, require_root, require_tools
from .shapes import NodeSpec, shape
from .state import LabState, NodeFiles, forget
from .trees import PROJECT, Chroot

log = logging.getLogger(__name__)


class Lab:
    """A running lab.  Made by up() or attach(); as a context manager it ends with the block."""

    def __init__(self, settings: Settings, state: LabState) -> None:
        self.settings = settings
        self.state = state
        self.network = Network(settings.name, settings.run_dir)
        self.cgroups = CgroupTree.of_lab(settings.name)
        self.nodes: dict[str, Node] = {spec.id: self._node(spec) for spec in shape(state.shape)}

    # ---- life

    @classmethod
    def up(
        cls,
        shape: str = "pair",
        layers: Sequence[Layer] = (),
        *,
        settings: Settings | None = None,
        boot: bool = True,
    ) -> Lab:
        """Make a fresh lab and boot its nodes.

        ``layers`` are ordered from top to bottom.  LabError if the lab exists already or this
        machine cannot run one.  If anything goes wrong on the way, nothing is left behind.
        """
        require_root()
        require_tools()
        where = settings or Settings.from_environment()
        trees = (*trees_of(layers), base_tree(where))
        state = LabState(shape, trees)
        with exclusive(trees_lock(where), timeout_s=60, what="another lab to be registered"):
            if LabState.load(where):
                raise LabError(
                    f"the lab {where.name!r} is up already",
                    "use it as it is, or remove it: python3 -m tests.lab down",
                )
            require_present(trees)
            lab = cls(where, state)
            state.save(where)
        try:
            lab.network.create()
            for node in lab.nodes.values():
                create_node_disk(node.disk, node.spec)
            if boot:
                lab.boot()
        except BaseException:
            lab.down()
            raise
        return lab

    @classmethod
    def attach(cls, *, settings: Settings | None = None) -> Lab:
        """The lab somebody else has started; LabError if there is none."""
        require_root()
        where = settings or Settings.from_environment()
        state = LabState.load(where)
        if state is None:
            raise LabError(f"the lab {where.name!r} is not up", "python3 -m tests.lab up")
        return cls(where, state)

    def boot(self) -> None:
        """Boot every node that is off, at the same time."""
        self._each(lambda node: None if node.is_on else node.boot())

    def reset(self) -> None:
        """Return every machine to a pristine disk, heal the network, boot: a fresh lab, quickly."""
        self._client.reset()
        for node in self.nodes.values():
            node.reset()
            node.files.cut.unlink(missing_ok=True)
            node.files.apart.unlink(missing_ok=True)
        self.boot()

    def down(self) -> None:
        """End the lab and remove all of it, whatever state it is in.  Idempotent."""
        down(self.settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.down()

    # ---- parts

    def node(self, node_id: str) -> Node:
        """A node by its id; LabError if there is none."""
        try:
            return self.nodes[node_id]
        except KeyError:
            raise LabError(f"no node {node_id!r}", f"one of: {', '.join(self.nodes)}") from None

    def cut(self, node_id: str) -> None:
        """Unplug the node's cable; it stays unplugged, over reboots too, until heal()."""
        self.node(node_id).files.cut.touch()
        self.network.unplug(node_id)

    def heal(self, node_id: str) -> None:
        """Undo cut()."""
        self.node(node_id).files.cut.unlink(missing_ok=True)
        self.network.plug(node_id)

    def part(self) -> None:
        """The nodes do not reach each other any more, over reboots too, until join(); each still reaches the observer."""
        for node in self.nodes.values():
            node.files.apart.touch()
            self.network.isolate(node.id, on=True)

    def join(self) -> None:
        """Undo part()."""
        for node in self.nodes.values():
            node.files.apart.unlink(missing_ok=True)
            self.network.isolate(node.id, on=False)

    def delay(self, node_id: str, delay_ms: float, loss_pct: float = 0.0) -> None:
        """Make the node's cable slow and lossy, each way; LabError if the node is off.

        0, 0 undoes it; so does switching the node off.
        """
        node = self.node(node_id)
        if not node.is_on:
            raise LabError(f"{node_id} is off: its cable cannot be delayed")
        cgroup = f"relay-{node_id}"
        self.cgroups.kill(cgroup)
        self.network.remove_relay(node_id)
        if delay_ms == 0 and loss_pct == 0:
            return
        ready = node.files.directory / "relay-ready"
        ready.unlink(missing_ok=True)
        ports = self.network.insert_relay(node_id)
        module = [sys.executable, "-m", f"{__package__}.relay", str(ready), *ports]
        relay = self.network.observer_argv([*module, str(delay_ms), str(loss_pct)])
        command = in_cgroup(self.cgroups.directory(cgroup), relay)
        process.start_detached(command, log=node.files.log, cwd=PROJECT)
        process.wait_until(ready.exists, timeout_s=20, what=f"the slow cable of {node_id}")

    # ---- from outside

    def observer_run(
        self,
        argv: Sequence[str],
        *,
        input: str | bytes | None = None,  # noqa: A002 - the name it has in subprocess.run()
        timeout_s: float = 60.0,
        check: bool = True,
    ) -> Completed:
        """Run one of the host's own commands on the segment (ping, arping, tcpdump ...)."""
        command = in_cgroup(self.cgroups.directory(OBSERVER), self.network.observer_argv(argv))
        done = process.run(command, input=input, timeout_s=timeout_s, check=check)
        return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)

    def observer_popen(
        self, argv: Sequence[str], *, stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE
    ) -> subprocess.Popen[bytes]:
        """Start one of the host's own commands on the segment; end it with stop_group()."""
        return subprocess.Popen(
            in_cgroup(self.cgroups.directory(OBSERVER), self.network.observer_argv(argv)),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )

    def observer_chroot(self) -> Chroot:
        """The client machine: the nodes' trees, without systemd, at the observer's address."""
        return self._client.chroot()

    def observer_chroot_run(
        self,
        argv: Sequence[str],
        *,
        input: str | bytes | None = None,  # noqa: A002 - the name it has in subprocess.run()
        timeout_s: float = 60.0,
        check: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a command of the nodes' trees on the client machine; errors as Node.run()."""
        return self.observer_chroot().run(argv, input=input, timeout_s=timeout_s, check=check, env=env)

    # ---- private

    @property
    def _client(self) -> Client:
        disk = Disk(self.settings.lab_disks / "client", self.state.trees)
        directory = self.settings.lab_run_dir / "client"
        return Client(self.network, disk, self.cgroups, directory)

    def _node(self, spec: NodeSpec) -> Node:
        directory = self.settings.lab_run_dir / spec.id
        directory.mkdir(parents=True, exist_ok=True)
        disk = Disk(self.settings.lab_disks / spec.id, self.state.trees)
        return Node(spec, self.network, disk, self.cgroups, NodeFiles(directory))

    def _each(self, action: Callable[[Node], None]) -> None:
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            # Asking for the results passes on the first exception.
            list(pool.map(action, self.nodes.values()))


def down(settings: Settings | None = None) -> None:
    """Remove everything a lab may have left, without needing to know what it was."""
    require_root()
    where = settings or Settings.from_environment()
    cgroups = CgroupTree.of_lab(where.name)
    _power_off_all(where, cgroups)
    cgroups.kill()
    cgroups.remove()
    Network(where.name, where.run_dir).remove()
    if where.lab_disks.exists():
        shutil.rmtree(where.lab_disks)
    forget(where)


def _power_off_all(settings: Settings, cgroups: CgroupTree) -> None:
    # In this order each process is still collected by its parent; killing all at once would
    # leave that to whatever is process 1 of this machine.
    directories = [NodeFiles(path) for path in settings.lab_run_dir.glob("*") if path.is_dir()]
    for files in directories:
        files.on.unlink(missing_ok=True)
        init = files.read_process(files.init)
        if init:
            init.kill()

    def supervisors_gone() -> bool:
        process.reap()
        return not cgroups.processes(SUPERVISORS)

    try:
        process.wait_until(supervisors_gone, timeout_s=5, what="the supervisors to end")
    except CommandTimedOutError:
        log.warning("a supervisor does not end by itself; killing it")
