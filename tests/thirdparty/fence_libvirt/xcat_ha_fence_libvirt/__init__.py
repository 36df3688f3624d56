"""Fences management nodes that are virtual machines: ``virsh destroy`` on their hypervisor, believed only when ``domstate`` says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xcat_ha.errors import ConfigError
from xcat_ha.interfaces import Fence, PowerState
from xcat_ha.models import Node, Pair
from xcat_ha.steps import Check, Command, Completed, Prints, Probe, Step, Steps, changes, reads

_OFF = "shut off"
_ON = frozenset({"running", "paused", "idle", "in shutdown", "pmsuspended"})
_LIMIT_S = 30.0


class FenceLibvirt(Fence):
    """Switches a virtual machine off.

    Options:
        uri: of the hypervisor, as ``virsh -c`` takes it (``qemu+ssh://hypervisor/system``). Its ssh must work without a question.
        domains: node id = name of its virtual machine, where that is not the node's own name.
    """

    option_names = frozenset({"uri", "domains"})

    def __init__(self, pair: Pair, options: Mapping[str, object]) -> None:
        """See :class:`~xcat_ha.interfaces.Driver`.

        Raises:
            ConfigError: an option is unknown, or not what it should be.
        """
        super().__init__(pair, options)
        uri, domains = options.get("uri"), options.get("domains", {})
        if not isinstance(uri, str) or "://" not in uri:
            raise ConfigError("option 'uri' must name a hypervisor", where=pair.source, hint='for example uri = "qemu+ssh://hv1/system"')
        known = {node.id for node in pair.nodes}
        if not isinstance(domains, Mapping) or not set(domains) <= known or not all(isinstance(name, str) for name in domains.values()):
            raise ConfigError(
                "option 'domains' must be a table of names", where=pair.source, hint=f"its keys are: {', '.join(sorted(known))}"
            )
        self._uri = uri
        self._domains = {node.id: str(domains.get(node.id, node.name)) for node in pair.nodes}

    def questions(self, node: Node) -> tuple[Command, ...]:
        """One: what the hypervisor says of the node."""
        return (self._domstate(node),)

    def interpret(self, node: Node, answers: Sequence[Completed]) -> PowerState:
        """A word that is not one of virsh's, or none at all, is not known."""
        del node
        answer = answers[0]
        said = answer.stdout.strip() if answer.ok else ""
        return PowerState(fenced=True if said == _OFF else False if said in _ON else None, detail=said or answer.summary)

    def steps_to_fence(self, node: Node, *, by: Node) -> Steps:
        """One step; its command runs on ``by``, the node that is alive."""
        return (
            Step(
                name="switch-off",
                why=f"A machine that is switched off cannot hold the role, whatever {node.id} thinks.",
                host=by.id,
                done_when=self.is_fenced(node, by=by),
                commands=(changes(*self._virsh("destroy", node), timeout_s=_LIMIT_S),),
                settle_s=10.0,
            ),
        )

    def is_fenced(self, node: Node, *, by: Node) -> Check:
        """HOLDS only if the hypervisor answers, and says that the machine is off."""
        return Check(
            question=f"{node.id}'s virtual machine {self._domains[node.id]} is switched off",
            probes=(Probe(by.id, self._domstate(node)),),
            rule=Prints(_OFF),
            hint=f"try on {by.id}: virsh -c {self._uri} list --all",
        )

    def _domstate(self, node: Node) -> Command:
        return reads(*self._virsh("domstate", node), timeout_s=_LIMIT_S)

    def _virsh(self, verb: str, node: Node) -> tuple[str, ...]:
        # LC_ALL: virsh translates the states. "--": a name may begin with a dash.
        return ("env", "LC_ALL=C", "virsh", "-q", "-c", self._uri, verb, "--", self._domains[node.id])
