"""The driver: which steps take and release the service identity on AIX, and what a node holds of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address

from xcat_ha.errors import ConfigError
from xcat_ha.interfaces import Holding, NetworkIdentity
from xcat_ha.models import IdentityMode, Node, Pair, ServiceIdentity
from xcat_ha.steps import Check, Command, Completed, Prints, Probe, SaysVerdict, Step, Steps, changes, reads
from xcat_ha_drivers.aix.reading import interfaces, sections, short, stored

PROGRAM = "xcat_ha_drivers.aix.node_side"
ALLOWANCE = "own_address_first"

# lsattr reads the ODM, ifconfig and hostname what runs. -F value: an unset value would else leave no word in its column.
_QUESTION = """\
echo '--- running'
hostname || exit 3
echo '--- stored'
lsattr -E -l inet0 -a hostname -F value || exit 3
echo '--- ifconfig'
ifconfig -a || exit 3
echo '--- names'
ifconfig -l || exit 3
for name in $(ifconfig -l); do
  case $name in
    en*|et*)
      echo "--- odm $name"
      lsattr -E -l "$name" -a netaddr -F value || exit 3
      lsattr -E -l "$name" -a alias4 -F value || exit 3;;
  esac
done
echo '--- end'
"""


class AixIdentity(NetworkIdentity):
    """The service address as an address made by ``ifconfig``, which no boot brings back; the host name by ``hostname``.

    Mode ``replace`` puts it first (``firstalias``), where xCAT looks. Mode ``service-address`` adds it behind the node's own (``alias``):
    xCAT then takes the node's own address for the management node's, so this mode has to be allowed by ``own_address_first = true``.
    ``mktcpip`` is not used: it stores what it sets, rewrites the hosts file and adds a second default route. IPv4 only.
    """

    option_names = frozenset({ALLOWANCE})

    def __init__(self, pair: Pair, options: Mapping[str, object]) -> None:
        super().__init__(pair, options)
        allowed = options.get(ALLOWANCE, False)
        if not isinstance(allowed, bool):
            raise ConfigError(
                f"option {ALLOWANCE!r} must be true or false, not {allowed!r}", where=pair.source, hint=f"{ALLOWANCE} = false"
            )
        self.effective_options[ALLOWANCE] = allowed
        if pair.identity.mode is IdentityMode.SERVICE_ADDRESS and not allowed:
            raise ConfigError(
                "in mode service-address the node's own address stays first on AIX, and xCAT would take that for the management node's",
                where=pair.source,
                hint=f'mode = "replace" in [service]; or {ALLOWANCE} = true in [network], if nothing of xCAT depends on the first address',
            )
        _require_ipv4(pair)

    def questions(self, node: Node) -> tuple[Command, ...]:
        """One script: names, addresses, and what the ODM would set at a boot."""
        del node
        return (reads("sh", "-c", _QUESTION),)

    def interpret(self, node: Node, answers: Sequence[Completed]) -> Holding:
        """What it says; nothing, if any part of it cannot be understood."""
        (answer,) = answers
        try:
            return self._holding(node, answer.stdout) if answer.ok else Holding(service_addresses=None)
        except (ValueError, KeyError, IndexError):
            return Holding(service_addresses=None)

    def _holding(self, node: Node, text: str) -> Holding:
        said = sections(text)
        present = {one.ip for addresses in interfaces("\n".join(said["ifconfig"])).values() for one in addresses}
        at_boot = [address for name, lines in said.items() if name.startswith("odm ") for address in stored(lines).addresses]
        service = [address.ip for address in self.pair.identity.addresses]
        (running,), (kept,), (names,) = said["running"], said["stored"], said["names"]
        return Holding(
            service_addresses=tuple(ip for ip in service if ip in present),
            own_address=IPv4Address(node.address) in present,
            hostname=short(running.strip()) or None,
            stored_hostname=short(kept.strip()) or None,
            interface_exists=node.interface in names.split(),
            persistent=tuple(ip for ip in service if ip in at_boot),
        )

    def steps_to_acquire(self, node: Node, identity: ServiceIdentity) -> Steps:
        """Duplicate address detection and taking are one command; then the host name."""
        return (
            Step(
                name="take-service-address",
                why=f"{node.id} answers at {_listed(identity)} from now on, if nobody else does; nothing is stored.",
                host=node.id,
                done_when=_verdict(
                    node, identity, f"{node.id} has {_listed(identity)} where mode {identity.mode} wants it, and its own address", "held",
                    hint=f"look at: ifconfig {node.interface} and arp -an (on {node.id})",
                ),
                commands=(_change(node, identity, "take"),),
                settle_s=2.0,
            ),
            Step(
                name="take-service-hostname",
                why=f"xcatd takes its name from the running hostname, which has to be {identity.hostname}; the ODM keeps the node's own.",
                host=node.id,
                done_when=Check(
                    question=f"the running hostname of {node.id} is {identity.hostname}",
                    probes=(Probe(node.id, reads("hostname")),),
                    rule=Prints(identity.hostname),
                ),
                commands=(changes("hostname", identity.hostname),),
            ),
        )  # fmt: skip

    def steps_to_release(self, node: Node, identity: ServiceIdentity) -> Steps:
        """Addresses first: they are what two nodes must never have at once."""
        return (
            _step(
                node, identity, "drop-service-address", ("released", "drop"),
                f"{node.id} must not answer any more at {_listed(identity)}.",
            ),
            _step(
                node, identity, "restore-own-hostname", ("hostname-restored", "restore-hostname"),
                f"{node.id} is called by its own name again.",
            ),
        )  # fmt: skip

    def address_is_free(self, node: Node, identity: ServiceIdentity) -> Check:
        """An echo request and the ARP it needs: who answers neither is not there, or not on this segment."""
        hint = "another machine has the service address: find it by the address shown, and stop or fence it"
        return _verdict(node, identity, f"nobody but {node.id} answers at {_listed(identity)}", "free", hint=hint)

    def steps_to_make_own(self, node: Node, identity: ServiceIdentity) -> Steps:
        """Own address now, then own address and name in the ODM only (``chdev -P``): what runs is not touched by that."""
        steps = (
            ("add-own-address", ("own-present", "add-own"), f"{node.id} needs an address that never moves: {node.address}."),
            (
                "store-own-address",
                ("stored-clean", "store-own"),
                f"After a reboot {node.id} must have {node.address}, and no service address.",
            ),
            (
                "store-own-hostname",
                ("hostname-stored-clean", "store-hostname"),
                f"After a reboot {node.id} must be called {node.name}, not {identity.hostname}.",
            ),
            ("name-own-address-in-hosts", ("named", "name-own"), f"The name {node.name} has to be known on {node.id} even without DNS."),
        )
        return tuple(_step(node, identity, name, verbs, why) for name, verbs, why in steps)


def _require_ipv4(pair: Pair) -> None:
    for where, words in (("[service]", [str(one.ip) for one in pair.identity.addresses]), ("[nodes]", [one.address for one in pair.nodes])):
        for word in words:
            try:
                IPv4Address(word)
            except ValueError:
                hint = "give the node's own address and the service addresses as IPv4 addresses"
                raise ConfigError(f"driver aix cannot use {word!r}", where=f"{pair.source}: {where}", hint=hint) from None


def _step(node: Node, identity: ServiceIdentity, name: str, verbs: tuple[str, str], why: str) -> Step:
    asking, doing = verbs
    hint = f"look at: ifconfig -a, hostname and lsattr -E -l {node.interface} (on {node.id})"
    return Step(
        name=name,
        why=why,
        host=node.id,
        done_when=_verdict(node, identity, f"{name.replace('-', ' ')}: done on {node.id}", asking, hint=hint),
        commands=(_change(node, identity, doing),),
    )


def _listed(identity: ServiceIdentity) -> str:
    return ", ".join(str(address.ip) for address in identity.addresses)


def _program(node: Node, identity: ServiceIdentity, verb: str) -> tuple[str, ...]:
    where = ("--interface", node.interface, "--own", node.address, "--name", node.name, "--mode", identity.mode.value)
    addresses = [word for address in identity.addresses for word in ("--address", str(address))]
    return (node.python, "-m", PROGRAM, verb, *where, "--service-name", identity.hostname, *addresses)


def _verdict(node: Node, identity: ServiceIdentity, question: str, verb: str, *, hint: str) -> Check:
    command = reads(*_program(node, identity, verb))
    return Check(question=question, probes=(Probe(node.id, command),), rule=SaysVerdict(), hint=hint)


def _change(node: Node, identity: ServiceIdentity, verb: str) -> Command:
    return changes(*_program(node, identity, verb))
