"""Where contract tests run: a simulated pair by default, or any two real machines that can do what :class:`Site` asks for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from xcat_ha.clock import Clock
from xcat_ha.execution import execute_steps
from xcat_ha.interfaces import Service
from xcat_ha.models import Node, Pair
from xcat_ha.steps import Completed, Steps, changes
from xcat_ha.testing import tree
from xcat_ha.testing.host import SimulatedHost
from xcat_ha.testing.machine import Machine, Unit
from xcat_ha.testing.pair import SimulatedPair
from xcat_ha.testing.watch import WatchedRunner
from xcat_ha.xcat.services import UNIT_CANDIDATES

_SECRET_FILES = {"/root/.ssh/id_rsa": "Pr1vate-Key-Of-The-Cluster", "/etc/xcat-ha/ssh/id_ed25519": "Pr1vate-Key-Of-The-Pair"}


class SimulatedClock:
    """A clock that only moves when somebody sleeps, so that waiting costs no time."""

    def __init__(self) -> None:
        """Begin at a fixed moment."""
        self._passed_s = 0.0

    def now(self) -> float:
        """Seconds since the epoch."""
        return 1_750_000_000.0 + self._passed_s

    def monotonic(self) -> float:
        """Seconds since this clock was made."""
        return self._passed_s

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self._passed_s += seconds


class Site(ABC):
    """Two management nodes, a runner that reaches them, and the hands of whoever stands in the machine room.

    Everything but ``runner`` works behind the driver's back: it is how a test prepares a situation and looks at the truth.

    Attributes:
        pair: configuration that drivers are built with.
        runner: what steps are run with.
        clock: time, as the execution of steps sees it.
        secrets: texts that must never be seen in a command.
    """

    pair: Pair
    runner: WatchedRunner
    clock: Clock
    secrets: tuple[str, ...] = tuple(_SECRET_FILES.values())

    def __init__(self) -> None:
        """To be called by subclasses."""
        self._situations: dict[str, Callable[[], None]] = {}

    @property
    def first(self) -> Node:
        """The node that has the role in peace."""
        return self.pair.node(self.pair.preferred)

    @property
    def second(self) -> Node:
        """The other one."""
        return self.pair.other(self.pair.preferred)

    def execute(self, steps: Steps) -> None:
        """Run steps as the tool itself does.

        Raises:
            XcatHaError: what the execution of steps raises.
        """
        execute_steps(steps, self.runner, clock=self.clock)

    def kill_points(self, changes: int) -> Sequence[int]:
        """After which of ``changes`` CHANGES commands a test has to try a sudden death; all of them if that is affordable."""
        return range(1, changes + 1)

    def situation(self, name: str, build: Callable[[], None]) -> None:
        """Bring fresh nodes into a situation: by ``build`` the first time, from a checkpoint later on. The runner's log is empty then."""
        remembered = self._situations.get(name)
        if remembered is not None:
            remembered()
        else:
            build()
            checkpoint = self.checkpoint()
            if checkpoint is not None:
                self._situations[name] = checkpoint
        self.runner.forget()

    def checkpoint(self) -> Callable[[], None] | None:
        """Remember the state both nodes have now; calling the result brings it back. None if this site cannot do that."""
        return None

    def path(self, node_id: str, name: str) -> Path:
        """Where the node's absolute path ``name`` is seen from here; the node must be on."""
        return self.root(node_id) / name.lstrip("/")

    def entries(self, node_id: str, below: str) -> Mapping[str, tree.Entry]:
        """The node's files at and below a path."""
        return tree.entries(self.root(node_id), below)

    @abstractmethod
    def fresh(self) -> None:
        """Both nodes as newly installed: on, linked, no role, no database, no state of any driver; the log of the runner empty."""

    @abstractmethod
    def root(self, node_id: str) -> Path:
        """The node's root directory as a path here; the node must be on."""

    @abstractmethod
    def digest(self, node_id: str) -> str:
        """One word for everything commands could change on the node; it is also answered for a node that is off or cut."""

    @abstractmethod
    def command(self, node_id: str, *argv: str) -> Completed:
        """Run something on the node behind the driver's back; it is neither logged nor counted."""

    @abstractmethod
    def addresses(self, node_id: str) -> tuple[str, ...]:
        """Addresses (without prefix length) of the node's interface, in the order the kernel lists them."""

    @abstractmethod
    def hostname(self, node_id: str) -> str:
        """Running hostname."""

    @abstractmethod
    def add_address(self, node_id: str, address: str) -> None:
        """Put an address (with prefix length) on the node's interface."""

    @abstractmethod
    def power_off(self, node_id: str) -> None:
        """Pull the plug."""

    @abstractmethod
    def power_on(self, node_id: str) -> None:
        """Boot, and wait until the node answers."""

    @abstractmethod
    def is_off(self, node_id: str) -> bool:
        """Whether the node has no power."""

    @abstractmethod
    def cut(self, node_id: str) -> None:
        """The runner cannot reach the node any more; the node itself goes on."""

    @abstractmethod
    def cut_link(self) -> None:
        """The nodes cannot reach each other; the runner still reaches both."""

    @abstractmethod
    def start_xcatd(self, node_id: str) -> None:
        """Something that counts as a running xcatd: unit active, port 3001 open."""

    @abstractmethod
    def install_service(self, node_id: str, service: Service, *, running: bool, enabled: bool) -> None:
        """Install a unit for the service, in this state."""

    @abstractmethod
    def service_state(self, node_id: str, service: Service) -> tuple[bool, bool]:
        """(running, enabled at boot) of what :meth:`install_service` installed."""

    @abstractmethod
    def mount(self, node_id: str, name: str) -> None:
        """Make the existing directory ``name`` a mount point."""

    def close(self) -> None:  # noqa: B027 - nothing to give back is the rule
        """Give everything back."""


class SimulatedSite(Site):
    """A :class:`~xcat_ha.testing.pair.SimulatedPair` as a site. ``simulated`` is the pair, to teach its hosts more programs.

    Attributes:
        pair_class: the kind of pair that is made.
    """

    pair_class: ClassVar[type[SimulatedPair]] = SimulatedPair

    def __init__(self, config: Pair | None = None, directory: Path | None = None) -> None:
        """See :class:`~xcat_ha.testing.pair.SimulatedPair`."""
        super().__init__()
        self.simulated = self.pair_class(config, directory)
        self.pair = self.simulated.config
        self.runner = self.simulated.runner
        self.clock = SimulatedClock()
        self.fresh()

    def fresh(self) -> None:
        """See :meth:`Site.fresh`."""
        self.simulated.reset()
        for host in self.simulated.hosts.values():
            for name, text in _SECRET_FILES.items():
                host.write(name, f"{text}\n", 0o600)

    def checkpoint(self) -> Callable[[], None]:
        """See :meth:`Site.checkpoint`."""
        return self.simulated.checkpoint()

    def host(self, node_id: str) -> SimulatedHost:
        """The simulated host of a node."""
        return self.simulated[node_id]

    def root(self, node_id: str) -> Path:
        """See :meth:`Site.root`."""
        return self.simulated[node_id].root

    def digest(self, node_id: str) -> str:
        """See :meth:`Site.digest`."""
        return self.simulated[node_id].state()

    def command(self, node_id: str, *argv: str) -> Completed:
        """See :meth:`Site.command`."""
        return self.simulated[node_id].execute(changes(*argv))

    def addresses(self, node_id: str) -> tuple[str, ...]:
        """See :meth:`Site.addresses`."""
        return tuple(address.ip for address in self._machine(node_id).interfaces[self.pair.node(node_id).interface])

    def hostname(self, node_id: str) -> str:
        """See :meth:`Site.hostname`."""
        return self._machine(node_id).hostname

    def add_address(self, node_id: str, address: str) -> None:
        """See :meth:`Site.add_address`."""
        self.simulated[node_id].call("ip", ("address", "add", address, "dev", self.pair.node(node_id).interface))

    def power_off(self, node_id: str) -> None:
        """See :meth:`Site.power_off`."""
        self.simulated[node_id].power_off()

    def power_on(self, node_id: str) -> None:
        """See :meth:`Site.power_on`."""
        self.simulated[node_id].power_on()

    def is_off(self, node_id: str) -> bool:
        """See :meth:`Site.is_off`."""
        return not self._machine(node_id).powered

    def cut(self, node_id: str) -> None:
        """See :meth:`Site.cut`."""
        self._machine(node_id).reachable = False

    def cut_link(self) -> None:
        """See :meth:`Site.cut_link`."""
        self.simulated.linked = False

    def start_xcatd(self, node_id: str) -> None:
        """See :meth:`Site.start_xcatd`."""
        machine = self._machine(node_id)
        machine.units["xcatd.service"] = Unit("xcatd.service", titles=("xcatd: SSL listener", "xcatd: DB Access"), ports=(3001, 3002))
        machine.start("xcatd.service")

    def install_service(self, node_id: str, service: Service, *, running: bool, enabled: bool) -> None:
        """See :meth:`Site.install_service`."""
        name = f"{UNIT_CANDIDATES[service][0]}.service"
        self._machine(node_id).units[name] = Unit(name, enabled="enabled" if enabled else "disabled", titles=(f"/usr/sbin/{service}",))
        if running:
            self._machine(node_id).start(name)

    def service_state(self, node_id: str, service: Service) -> tuple[bool, bool]:
        """See :meth:`Site.service_state`."""
        unit = self._machine(node_id).units[f"{UNIT_CANDIDATES[service][0]}.service"]
        return unit.running, unit.enabled == "enabled"

    def mount(self, node_id: str, name: str) -> None:
        """See :meth:`Site.mount`."""
        self._machine(node_id).mounts.add(name)

    def close(self) -> None:
        """See :meth:`Site.close`."""
        self.simulated.close()

    def _machine(self, node_id: str) -> Machine:
        return self.simulated[node_id].machine
