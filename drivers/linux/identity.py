"""The driver: which steps move the service identity between Linux nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address

from xcat_ha.errors import ConfigError
from xcat_ha.interfaces import Holding, NetworkIdentity
from xcat_ha.models import IdentityMode, Node, Pair, ServiceIdentity
from xcat_ha.steps import Check, Command, Completed, Prints, Probe, SaysVerdict, Step, Steps, changes, reads
from xcat_ha_drivers.linux.reading import IDENTITY_SCRIPT, holding

PROGRAM = "xcat_ha_drivers.linux.node_side"
TAKE_TIMEOUT_S = 60.0


class LinuxIdentity(NetworkIdentity):
    """Service address beside the node's own (or, in mode ``replace``, in its place), hostname as running hostname; nothing is stored.

    Works with iproute2 4.17 or newer on Ethernet interfaces (also bonds, bridges, VLANs).
    """

    def __init__(self, pair: Pair, options: Mapping[str, object]) -> None:
        super().__init__(pair, options)
        for address in pair.identity.addresses:
            if address.version == 4 and not 2 <= address.network.prefixlen <= 30:
                raise ConfigError(
                    f"{address} does not name the cluster's network",
                    where=f"{pair.source}: service.addresses",
                    hint="give the address with the prefix length of the network the nodes are in, for example 10.77.0.11/16",
                )
        for node in pair.nodes:
            _require_address(node, pair.source)

    def questions(self, node: Node) -> tuple[Command, ...]:
        """Addresses, and what is stored for the next boot."""
        del node
        return (reads("ip", "-j", "address", "show"), reads("sh", "-c", IDENTITY_SCRIPT))

    def interpret(self, node: Node, answers: Sequence[Completed]) -> Holding:
        """What the node holds."""
        links, stored = answers
        return holding(self.pair.identity, node.address, node.interface, links, stored)

    def steps_to_acquire(self, node: Node, identity: ServiceIdentity) -> Steps:
        """Duplicate detection, addresses and announcement in one process; then the running hostname."""
        addresses = self._addressed(node, identity)
        return (
            Step(
                name="take-service-address",
                why=f"{node.id} answers from now on at {_listed(identity)}, if nobody else does.",
                host=node.id,
                done_when=_verdict(node, f"{node.id} has the service address, listed first, announced, beside its own", "held", *addresses),
                commands=(_change(node, "take", *addresses, timeout_s=TAKE_TIMEOUT_S),),
                settle_s=2.0,
            ),
            Step(
                name="take-service-hostname",
                why=f"xcatd takes its name from the running hostname, which has to be {identity.hostname}; nothing is stored.",
                host=node.id,
                done_when=Check(
                    question=f"the running hostname of {node.id} is {identity.hostname}",
                    probes=(Probe(node.id, reads("cat", "/proc/sys/kernel/hostname")),),
                    rule=Prints(identity.hostname),
                ),
                commands=(_change(node, "hostname", "--name", identity.hostname),),
            ),
        )

    def steps_to_release(self, node: Node, identity: ServiceIdentity) -> Steps:
        """Addresses first: they are what two nodes must never have at once."""
        addresses, names = self._addressed(node, identity), ("--name", node.name, "--service-name", identity.hostname)
        return (
            Step(
                name="drop-service-address",
                why=f"{node.id} must not answer any more at {_listed(identity)}.",
                host=node.id,
                done_when=_verdict(
                    node,
                    f"{node.id} has no service address, and its own",
                    "released",
                    *addresses,
                    hint=f"look at: ip address show (on {node.id}); its own address is {node.address}",
                ),
                commands=(_change(node, "drop", *addresses),),
            ),
            Step(
                name="restore-own-hostname",
                why=f"{node.id} is called by its own name again.",
                host=node.id,
                done_when=_verdict(node, f"the running hostname of {node.id} is its own", "hostname-restored", *names),
                commands=(_change(node, "restore-hostname", *names),),
            ),
        )

    def _addressed(self, node: Node, identity: ServiceIdentity) -> tuple[str, ...]:
        """The addresses, and in mode ``replace`` whom the node must reach from its own address: the other node, the witness."""
        if identity.mode is not IdentityMode.REPLACE:
            return _words(identity)
        others = [other.address for other in self.pair.nodes if other.id != node.id]
        peers = [*others, *([self.pair.witness.host] if self.pair.witness.host else [])]
        return (*_words(identity), "--mode", identity.mode.value, *(word for peer in peers for word in ("--peer", peer)))

    def address_is_free(self, node: Node, identity: ServiceIdentity) -> Check:
        """ARP probes and neighbour solicitations; takes about a second when nobody answers."""
        return _verdict(
            node, f"nobody but {node.id} answers at {_listed(identity)}", "free", *_words(identity),
            hint="another machine has the service address: find it by the address shown, and stop or fence it",
        )  # fmt: skip

    def checks(self, node: Node, identity: ServiceIdentity) -> tuple[Check, ...]:
        """Whether the addresses the node has let xCAT find the service address, and nothing but it, for each of its peers."""
        hint = (
            f"xcat-ha setup puts back what is missing; another address has to go from {node.interface} of {node.id}"
            if identity.mode is IdentityMode.REPLACE
            else 'choose mode = "replace" in [service], which needs no wider mask, or another network for that interface'
        )
        question = f"the addresses of {node.id} let xCAT take {identity.primary_address} where it should, and only there"
        return (_verdict(node, question, "fitting", *self._addressed(node, identity), hint=hint),)

    def steps_to_make_own(self, node: Node, identity: ServiceIdentity) -> Steps:
        """Own address now, own address and name for good, then the service address in its new form.

        Made without knowing the node's state: where nothing is to be done, every ``done_when`` holds from the beginning.
        """
        words = (*self._addressed(node, identity), "--own", node.address, "--interface", node.interface)
        names = ("--name", node.name, "--service-name", identity.hostname, "--own", node.address)
        rewritable = _verdict(
            node, f"the boot configuration of {node.id} can be given its own address", "rewritable", *words,
            hint=f"edit the network configuration of {node.id} so that it sets {node.address} and no service address, then run setup again",
        )  # fmt: skip
        return (
            _own_step(
                node, "add-own-address", ("own-present", "add-own"), words, rewritable,
                why=f"{node.id} needs an address that never moves: {node.address}.",
            ),
            _own_step(
                node, "store-own-address", ("boot-files-clean", "store-own"), words, rewritable,
                why=f"After a reboot {node.id} must have {node.address}, and no service address.",
            ),
            _own_step(
                node, "store-own-hostname", ("hostname-stored-clean", "store-hostname"), names,
                why=f"After a reboot {node.id} must be called {node.name}, not {identity.hostname}.",
            ),
            _own_step(
                node, "name-own-address-in-hosts", ("named", "name-own"), names,
                why=f"The name {node.name} has to be known on {node.id} even without DNS.",
            ),
            _own_step(
                node, "convert-service-address", ("converted", "convert"), words,
                why=f"{_listed(identity)} becomes an address that does not outlive a reboot; it stays reachable.",
            ),
        )  # fmt: skip


def _own_step(node: Node, name: str, verbs: tuple[str, str], words: tuple[str, ...], *only_if: Check, why: str) -> Step:
    asking, doing = verbs
    return Step(
        name=name,
        why=why,
        host=node.id,
        only_if=only_if,
        done_when=_verdict(node, f"{name.replace('-', ' ')}: done on {node.id}", asking, *words),
        commands=(_change(node, doing, *words, timeout_s=TAKE_TIMEOUT_S),),
    )


def _require_address(node: Node, source: str) -> None:
    try:
        ip_address(node.address)
    except ValueError:
        raise ConfigError(
            f"{node.address!r} is not an IP address",
            where=f"{source}: address of node {node.id}",
            hint="the node's own address is proven on the node, so write the address, not a name",
        ) from None


def _words(identity: ServiceIdentity) -> tuple[str, ...]:
    return tuple(word for address in identity.addresses for word in ("--address", str(address)))


def _listed(identity: ServiceIdentity) -> str:
    return ", ".join(str(address.ip) for address in identity.addresses)


def _program(node: Node, verb: str, words: Sequence[str]) -> tuple[str, ...]:
    where = () if "--own" in words else ("--interface", node.interface, "--own", node.address)
    return (node.python, "-m", PROGRAM, verb, *where, *words)


def _verdict(node: Node, question: str, verb: str, *words: str, hint: str = "") -> Check:
    return Check(question=question, probes=(Probe(node.id, reads(*_program(node, verb, words))),), rule=SaysVerdict(), hint=hint)


def _change(node: Node, verb: str, *words: str, timeout_s: float = 30.0) -> Command:
    return changes(*_program(node, verb, words), timeout_s=timeout_s)
