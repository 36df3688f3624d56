"""What only the administrator knows, what has to be asked for it, and what is wrong with an answer. Pure."""

from __future__ import annotations

from attrs import frozen

from xcat_ha.config import is_hostname
from xcat_ha.discovery.facts import Discovery, ip_address_in
from xcat_ha.discovery.standing import Standing
from xcat_ha.models import IPAddress, IPInterface


@frozen
class Said:
    """A value and where it came from (``--peer``, ``your answer``, a file). Empty: not said."""

    value: str = ""
    origin: str = ""

    def __bool__(self) -> bool:
        return bool(self.value)


NOTHING = Said()


@frozen
class Given:
    """What was said so far.

    Attributes:
        peer_name: the other machine's own hostname.
        peer_address: its own address.
        peer_interface: its interface, if it is not called as here.
        own_address: the address this machine keeps when the service address moves.
        own_name: its own hostname, if today's is the service identity's.
        service_name: the hostname by which the cluster knows the management node.
    """

    peer_name: Said = NOTHING
    peer_address: Said = NOTHING
    peer_interface: Said = NOTHING
    own_address: Said = NOTHING
    own_name: Said = NOTHING
    service_name: Said = NOTHING


@frozen
class Question:
    """Something that could not be found out.

    Attributes:
        name: the attribute of :class:`Given` it is about.
        text: what to ask.
        switch: how a script says it.
    """

    name: str
    text: str
    switch: str


def open_questions(discovery: Discovery, standing: Standing, given: Given) -> tuple[Question, ...]:
    """What has still to be asked, in order. Nothing is asked that a name service, a file or a switch has told."""
    network = f" in {standing.service.network}" if standing.service else ""
    found: list[Question] = []
    if not given.service_name and standing.service and not service_name(discovery):
        text = f"The hostname by which the cluster knows {discovery.site.master} (no name service knows one)"
        found.append(Question("service_name", text, "--service-name NAME"))
    if not given.own_address and len(standing.own) != 1:
        moves = f"; {standing.service.ip} becomes the service address, which moves" if standing.service else ""
        several = f" (it has {', '.join(str(held.address.ip) for held in standing.own)})" if standing.own else ""
        text = f"A spare address{network} that this machine keeps as its own{several}{moves}"
        found.append(Question("own_address", text, "--own-address ADDRESS"))
    if not given.peer_name:
        found.append(Question("peer_name", "The other machine's own hostname", "--peer NAME=ADDRESS"))
    elif not given.peer_address:
        text = f"The own address of {given.peer_name.value}{network}"
        found.append(Question("peer_address", text, "--peer NAME=ADDRESS"))
    return tuple(found)


def service_name(discovery: Discovery) -> str:
    """The hostname that goes with ``site.master``: today's running one if it is one of its names, else the shortest form of the first."""
    short = {name.partition(".")[0] for name in discovery.master_names}
    if discovery.hostname and discovery.hostname.partition(".")[0] in short:
        return discovery.hostname
    if is_hostname(discovery.site.master):
        return discovery.site.master
    return discovery.master_names[0].partition(".")[0] if discovery.master_names else ""


def problem_with(name: str, value: str, discovery: Discovery, standing: Standing, given: Given) -> str:
    """What is wrong with an answer; empty if nothing is."""
    if name in {"own_address", "peer_address"}:
        other = given.peer_address if name == "own_address" else given.own_address
        return _problem_with_address(value, name, discovery, standing, other.value)
    if name in {"peer_name", "own_name", "service_name"}:
        others = {"peer_name": given.peer_name, "own_name": given.own_name, "service_name": given.service_name}
        taken = {key: said.value for key, said in others.items() if key != name and said}
        if name != "service_name":
            taken.setdefault("service_name", service_name(discovery))
        return _problem_with_name(value, taken)
    return "" if value else "it is empty"


def _problem_with_name(value: str, taken: dict[str, str]) -> str:
    if not is_hostname(value):
        return f"{value!r} is not a hostname"
    words = {"peer_name": "the other machine's name", "own_name": "this machine's name", "service_name": "the name that moves"}
    for key, name in taken.items():
        if name and name.partition(".")[0].lower() == value.partition(".")[0].lower():
            return f"{value} is {words[key]}: each needs its own"
    return ""


def _problem_with_address(value: str, name: str, discovery: Discovery, standing: Standing, other: str) -> str:
    address = ip_address_in(value)
    if address is None:
        return f"{value!r} is not an IP address"
    if str(address) == other:
        return f"{address} is {'the other' if name == 'own_address' else 'this'} machine's: each needs its own"
    here = {held.address.ip: held.interface for held in discovery.addresses or ()}
    if address in here and name == "peer_address":
        return f"{address} is on this machine ({here[address]})"
    if standing.service is None:
        return ""
    if address in here and here[address] != standing.interface:
        return f"{address} is on {here[address]}, but {standing.service.ip} is on {standing.interface}: both have to be on one interface"
    return _problem_in_network(address, discovery, standing.service)


def _problem_in_network(address: IPAddress, discovery: Discovery, service: IPInterface) -> str:
    if address == service.ip or address in discovery.master_addresses:
        return f"{address} is the service address, which moves: two machines need three addresses"
    if address not in service.network:
        return f"{address} is not in {service.network}, the network of {service.ip}"
    if address in {service.network.network_address, service.network.broadcast_address}:
        return f"{address} stands for all of {service.network}, not for one machine"
    return ""
