"""From facts and answers to a configuration in which each line tells where its value came from. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import frozen

from xcat_ha.discovery.cluster import HANGING, cluster_lines, few, kinds_of, service_nodes_of, users_of
from xcat_ha.discovery.facts import Discovery
from xcat_ha.discovery.given import Given, Said, service_name
from xcat_ha.discovery.standing import Standing
from xcat_ha.interfaces import ROLE_SERVICES
from xcat_ha.models import DEFAULT_BIN_DIR, Engine

_NETWORK_FILE_SYSTEMS = re.compile(r"nfs|cifs|ceph|gluster|lustre|gpfs|beegfs|ocfs2|gfs2")


@frozen
class Line:
    """A key of the configuration.

    Attributes:
        key: its name.
        value: None: it could not be found out.
        origin: where the value came from, or why there is none.
        example: what to fill in, as TOML, when there is no value.
    """

    key: str
    value: str | int | tuple[str, ...] | None
    origin: str
    example: str = ""


@frozen
class Table:
    """A table of the configuration."""

    name: str
    lines: tuple[Line, ...]


@frozen
class Chosen:
    """A driver.

    Attributes:
        name: as the configuration names it; None if it is not known which one fits.
        origin: why this one.
        problem: why it cannot be used now; empty if it can.
    """

    name: str | None
    origin: str
    problem: str = ""


@frozen
class Proposal:
    """A configuration.

    Attributes:
        found: sentences on what was found, for the head of the file.
        tables: the configuration.
        warnings: what the administrator should look at before going on.
    """

    found: tuple[str, ...]
    tables: tuple[Table, ...]
    warnings: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Keys that could not be found out."""
        return tuple(f"{table.name}.{line.key}" for table in self.tables for line in table.lines if line.value is None)


def propose(
    discovery: Discovery, standing: Standing, given: Given, drivers: Mapping[str, Chosen], *, program_dir: str = DEFAULT_BIN_DIR
) -> Proposal:
    """The configuration.

    Args:
        discovery: what the machine tells.
        standing: where its service address is.
        given: what the administrator said.
        drivers: table -> driver that fits.
        program_dir: where xcat-ha is installed here.
    """
    service = given.service_name or Said(service_name(discovery), _origin_of_service_name(discovery))
    own_name, own_address = own_name_of(discovery, given, service.value), own_address_of(standing, given)
    ids = (node_id(own_name.value) or "this", node_id(given.peer_name.value) or "other")
    interface = Said(standing.interface, standing.origin)
    peer_interface = given.peer_interface or Said(standing.interface, "assumed to be called as here: xcat-ha check asks the other machine")
    sameness = "assumed to be as here"
    tables = (
        _pair_table(service, ids),
        _node_table(ids[0], own_name, own_address, interface, _places(discovery, program_dir, "where this program is")),
        _node_table(ids[1], given.peer_name, given.peer_address, peer_interface, _places(None, program_dir, sameness)),
        _service_table(standing, service),
        *(_driver_table(name, chosen) for name, chosen in drivers.items()),
    )
    own_names = frozenset({service.value, own_name.value, given.peer_name.value, *discovery.master_names} - {""})
    return Proposal(found=_found(discovery, own_names), tables=tables, warnings=_warnings(discovery, standing, own_names, drivers))


def node_id(name: str) -> str:
    """The short word by which the verbs name a node: the first part of its hostname."""
    return re.sub(r"[^a-z0-9-]", "", name.partition(".")[0].lower()).strip("-")[:31]


def own_name_of(discovery: Discovery, given: Given, service: str) -> Said:
    """The hostname that this machine keeps."""
    if given.own_name:
        return given.own_name
    stored = discovery.stored_hostname or discovery.hostname
    if stored and stored.partition(".")[0] != service.partition(".")[0]:
        return Said(stored, "/etc/hostname" if discovery.stored_hostname else "uname -n")
    if service and stored:
        made_up = f"{service.partition('.')[0][:58]}-own"
        return Said(made_up, f"made up: {stored} is what moves, and no name service knows another one; setup stores it in /etc/hostname")
    return Said("", "the hostname could not be read")


def own_address_of(standing: Standing, given: Given) -> Said:
    """The address that this machine keeps."""
    if given.own_address:
        return given.own_address
    if len(standing.own) == 1:
        held = standing.own[0]
        return Said(str(held.address.ip), f"ip address: the only other one on {held.interface} in that network")
    return Said("", "nobody said which: two machines need three addresses (--own-address)")


def _origin_of_service_name(discovery: Discovery) -> str:
    name = service_name(discovery)
    if not name:
        return f"no name service knows a name of {discovery.site.master or 'site.master'} (--service-name)"
    if name == discovery.hostname:
        return f"uname -n, which is a name of {discovery.site.master} (getent hosts)"
    return "site.master" if name == discovery.site.master else f"getent hosts {discovery.site.master}: {' '.join(discovery.master_names)}"


def _pair_table(service: Said, ids: tuple[str, str]) -> Table:
    name = service.value.partition(".")[0] or "xcat"
    return Table(
        "pair",
        (
            Line("name", name, "the service hostname; any word will do"),
            Line("preferred", ids[0], "the machine that serves now; failback returns to it"),
        ),
    )


def _node_table(word: str, name: Said, address: Said, interface: Said, places: tuple[Line, ...]) -> Table:
    lines = (
        Line("name", name.value or None, name.origin or "nobody said (--peer NAME=ADDRESS)", '"mnb"'),
        Line("address", address.value or None, address.origin or "nobody said (--peer NAME=ADDRESS)", '"10.77.0.22"'),
        Line("interface", interface.value or None, interface.origin if interface.value else "site.master was not found here", '"eth0"'),
    )
    return Table(f"nodes.{word}", (*lines, *places))


def _places(discovery: Discovery | None, program_dir: str, why: str) -> tuple[Line, ...]:
    """What differs from the defaults; ``discovery`` None: of the other machine."""
    found = (Line("bin_dir", program_dir, why),) if program_dir != DEFAULT_BIN_DIR else ()
    port = discovery.ssh_port if discovery is not None else None
    return (*found, Line("ssh_port", port, "sshd -T")) if port not in {None, 22} else found


def _service_table(standing: Standing, service: Said) -> Table:
    addresses = tuple(str(address) for address in (standing.service, *standing.more) if address is not None)
    origin = standing.origin or "site.master could not be read: is xcatd running?"
    if standing.more:
        origin += f"; getent ahosts {service.value}"
    return Table(
        "service",
        (
            Line("hostname", service.value or None, service.origin, '"mn1"'),
            Line("addresses", addresses or None, origin, '["10.77.0.11/16"]'),
        ),
    )


def _driver_table(name: str, chosen: Chosen) -> Table:
    problem = f"; IT CANNOT BE USED YET: {chosen.problem}" if chosen.problem else ""
    return Table(name, (Line("driver", chosen.name, f"{chosen.origin}{problem}", '"…" (xcat-ha drivers lists them)'),))


def _found(discovery: Discovery, own_names: frozenset[str]) -> tuple[str, ...]:
    site, (running, package) = discovery.site, discovery.versions
    kind = discovery.node_type or "lsxcatd does not say what kind of node it is"
    sentences = [
        f"xCAT: {running or 'NOT KNOWN (lsxcatd -a did not answer)'}; package {package or 'NOT KNOWN'}",
        f"machine: {discovery.release or 'distribution NOT KNOWN'}; {discovery.system or 'system NOT KNOWN'}; {kind}",
        f"database: {discovery.database.engine or 'NOT KNOWN'} ({discovery.database.origin})",
    ]
    if site.known:
        sentences += [_directory(name, path, discovery) for name, path in (("installdir", site.installdir), ("tftpdir", site.tftpdir))]
    else:
        sentences.append(f"installdir, tftpdir: NOT KNOWN (lsdef -t site: {site.detail or 'no answer'})")
    if discovery.services is None:
        sentences.append("services: NOT KNOWN (systemctl did not answer)")
    else:
        words = [f"{unit.name} ({_unit_words(unit.running, unit.enabled)})" for units in discovery.services.values() for unit in units]
        sentences.append(f"services: {', '.join(words) or 'none'} (systemctl show)")
    return (*sentences, *cluster_lines(discovery, own_names))


def _directory(name: str, path: str, discovery: Discovery) -> str:
    kind, source, target = discovery.mounts.get(path, ("", "", ""))
    mounted = f"on {source} ({kind}, mounted at {target})" if kind else "file system NOT KNOWN (findmnt)"
    return f"{name}: {path} (site table), {mounted}"


def _unit_words(running: bool, enabled: bool) -> str:  # noqa: FBT001 - two facts of a unit, named at both ends
    return f"{'runs' if running else 'stopped'}{', enabled' if enabled else ''}"


def _warnings(discovery: Discovery, standing: Standing, own_names: frozenset[str], drivers: Mapping[str, Chosen]) -> tuple[str, ...]:
    found = [f"[{name}] driver {chosen.name}: {chosen.problem}" for name, chosen in drivers.items() if chosen.problem]
    if standing.dynamic:
        found.append("a DHCP server gave this machine the service address: give it one of its own there before setup")
    found += [f"{address} is an address of the service hostname too, but in no network of this interface" for address in standing.elsewhere]
    found += _cluster_warnings(discovery, own_names)
    for name, path in (("installdir", discovery.site.installdir), ("tftpdir", discovery.site.tftpdir)):
        kind, source, _ = discovery.mounts.get(path, ("", "", ""))
        if _NETWORK_FILE_SYSTEMS.match(kind):
            found.append(
                f"{name} {path} is on a network file system ({source}): if both machines see the same files, nothing needs copying"
            )
    if discovery.node_type and discovery.node_type != "This is a Management Node":
        found.append(f'lsxcatd says "{discovery.node_type}": is /etc/xCATMN there?')
    running, package = (re.search(r"\d+\.\d+(\.\d+)?", version) for version in discovery.versions)
    if running and package and running.group() != package.group():
        found.append(f"xcatd {running.group()} is running, but {package.group()} is installed: restart it")
    if discovery.services is not None:
        idle = [
            service
            for service in ROLE_SERVICES
            if service in discovery.services and not any(u.running for u in discovery.services[service])
        ]
        found += [f"{few([str(service) for service in idle])} is installed here, but does not run"] if idle else []
    return tuple(found)


def _cluster_warnings(discovery: Discovery, own_names: frozenset[str]) -> list[str]:
    found: list[str] = []
    service_nodes = service_nodes_of(discovery, own_names)
    if service_nodes and discovery.database.engine is Engine.SQLITE:
        found.append(f"service nodes ({few(service_nodes)}) cannot work with SQLite: move xCAT to another database first")
    if discovery.database.directory not in {"", "/etc/xcat"}:
        found.append(f"the SQLite tables are in {discovery.database.directory}, not in /etc/xcat: the driver does not copy them from there")
    kinds = kinds_of(discovery) or {}
    for kind in HANGING:
        users = users_of(discovery, kinds.get(kind, ()))
        if users:
            found.append(f"{few(users)} ({kind}) hang while nobody serves them")
    return found
