"""The configuration file: TOML to models. Every error names file, key, what is wrong and what to write instead."""

from __future__ import annotations

import ipaddress
import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xcat_ha.config_tables import NodeSection, PairSection, ServiceSection, SetSection, TableReader, WitnessSection
from xcat_ha.errors import ConfigError
from xcat_ha.models import (
    CONFIG_PATH,
    DEFAULT_BIN_DIR,
    DriverChoice,
    FileSet,
    IdentityMode,
    IPInterface,
    Node,
    Pair,
    ServiceIdentity,
    Witness,
)
from xcat_ha.planning.witness import WITNESS

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
_HOSTNAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*")
_INTERFACE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,14}")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_TAKEN_SETS = frozenset({"credentials", "install", "tftp", "hosts", "database", "files"})
_DRIVER_SECTIONS = {
    "database": "sqlite-copy",
    "files": "rsync",
    "network": "linux",
    "services": "systemd",
    "schedule": "systemd-timer",
    "fencing": "manual",
    "images": "linux-images",
}


def load_pair(path: str | Path = CONFIG_PATH) -> Pair:
    """The pair that the file at ``path`` describes.

    Raises:
        ConfigError: it cannot be read, is not TOML, or a key is missing, unknown, of the wrong type or means nothing.
    """
    return parse_pair(read_text(path), str(path))


def read_text(path: str | Path) -> str:
    """The text of a configuration file.

    Raises:
        ConfigError: it cannot be read.
    """
    where = str(path)
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}",
            where=where,
            hint="write it (xcat-ha init proposes one), or name another with --config",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8 text", where=where, hint="save it as UTF-8") from error


def parse_pair(text: str, where: str = CONFIG_PATH) -> Pair:
    """The pair that ``text`` describes; ``where`` names its origin in errors.

    Raises:
        ConfigError: as :func:`load_pair`.
    """
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # tomllib lets those of an endless number or of endless brackets through
        raise ConfigError(f"is not TOML: {error}", where=where, hint="mend the line it names") from error
    return _Reader(where).pair(data)


class _Reader(TableReader):
    """Makes a pair of one file's data."""

    def pair(self, data: Mapping[str, Any]) -> Pair:
        known = {"pair", "nodes", "service", "witness", *_DRIVER_SECTIONS}
        for key in data:
            if key not in known:
                raise self.error(f"[{key}]", "unknown table", f"the tables are: {', '.join(sorted(known))}")
        head: PairSection = self.section(data, "pair", PairSection)
        nodes = self._nodes(data)
        identity = self._identity(data, nodes)
        if head.preferred not in {node.id for node in nodes}:
            ids = ", ".join(node.id for node in nodes)
            raise self.error("pair.preferred", f"{head.preferred!r} is not one of the nodes", f"use one of: {ids}")
        if not _is_usable(head.xcat_dir):
            raise self.error("pair.xcat_dir", "must be an absolute path", 'normally "/etc/xcat"')
        if head.min_free_mib < 0 or not 0 < head.max_clock_skew_s < math.inf:
            raise self.error("pair", "min_free_mib and max_clock_skew_s must be above zero", "leave them out for the defaults")
        if min(head.sync_database_every_s, head.sync_files_every_s) < 10:
            raise self.error("pair", "sync_database_every_s and sync_files_every_s must be 10 or more", "leave them out for the defaults")
        if head.max_loss_s < 0 or not 1 <= head.guard_interval_s <= 60:
            hint = "leave them out for the defaults"
            raise self.error("pair", "max_loss_s must be zero or more, guard_interval_s from 1 to 60", hint)
        choices = {name: self._choice(data, name, default) for name, default in _DRIVER_SECTIONS.items()}
        return Pair(
            name=head.name,
            nodes=nodes,
            preferred=head.preferred,
            identity=identity,
            xcat_dir=head.xcat_dir.rstrip("/"),
            min_free_mib=head.min_free_mib,
            max_clock_skew_s=head.max_clock_skew_s,
            sync_database_every_s=head.sync_database_every_s,
            sync_files_every_s=head.sync_files_every_s,
            max_loss_s=head.max_loss_s,
            guard_interval_s=head.guard_interval_s,
            witness=self._witness(data, nodes, identity),
            source=self.where,
            file_sets=self._own_sets(data),
            **choices,
        )

    def _witness(self, data: Mapping[str, Any], nodes: tuple[Node, Node], identity: ServiceIdentity) -> Witness:
        if "witness" not in data:
            return Witness()
        raw: WitnessSection = self.section(data, "witness", WitnessSection)
        if bool(raw.host) == bool(raw.file):
            raise self.error("[witness]", "needs either host or file", 'for example file = "/shared/xcat-ha/term.json"')
        if raw.file and not _is_usable(raw.file):
            raise self.error("witness.file", f"{raw.file!r} is not a usable path", "an absolute path on storage that both nodes see")
        if not _USER.fullmatch(raw.user):
            raise self.error("witness.user", f"{raw.user!r} is not a user name", "who logs in there with xcat-ha's keys, for example root")
        if not 0 < raw.ssh_port < 65536:
            raise self.error("witness.ssh_port", f"{raw.ssh_port} is not a port", "normally 22")
        if raw.host:
            self._require_third(raw.host, nodes, identity)
        return Witness(host=raw.host, file=raw.file, ssh_port=raw.ssh_port, user=raw.user)

    def _require_third(self, host: str, nodes: tuple[Node, Node], identity: ServiceIdentity) -> None:
        """A witness that is one of the two, or whoever has the role, proves nothing."""
        try:
            address = ipaddress.ip_address(host)
        except ValueError as error:
            raise self.error("witness.host", f"{host!r} is not an IP address", "the witness's own address") from error
        taken = {ipaddress.ip_address(node.address): node.id for node in nodes}
        taken |= {service.ip: "whoever has the role" for service in identity.addresses}
        if address in taken or address.is_loopback:
            raise self.error("witness.host", f"{host} is {taken.get(address, 'each node itself')}", "a witness is a third machine")

    def _nodes(self, data: Mapping[str, Any]) -> tuple[Node, Node]:
        table = data.get("nodes")
        if not isinstance(table, Mapping) or len(table) != 2:
            raise self.error("[nodes]", "a pair has exactly two nodes", "write two tables: [nodes.ID] for each management node")
        first, second = (self._node(data, node_id) for node_id in table)
        for attribute in ("name", "address"):
            if getattr(first, attribute).lower() == getattr(second, attribute).lower():
                raise self.error(
                    f"nodes.{second.id}.{attribute}",
                    f"is the same as that of {first.id}",
                    "each node needs its own: it never moves",
                )
        return first, second

    def _node(self, data: Mapping[str, Any], node_id: str) -> Node:
        key = f"nodes.{node_id}"
        if node_id == WITNESS:
            raise self.error(f"[{key}]", "is what the witness is called", "for example [nodes.mna]")
        if not _ID.fullmatch(node_id):
            raise self.error(f"[{key}]", "a node id is made of a-z, 0-9 and -", "for example [nodes.mna]")
        raw: NodeSection = self.section(data, key, NodeSection)
        if not is_hostname(raw.name):
            raise self.error(f"{key}.name", f"{raw.name!r} is not a hostname", "the node's own hostname, as in its /etc/hostname")
        if not _INTERFACE.fullmatch(raw.interface):
            raise self.error(f"{key}.interface", f"{raw.interface!r} is not an interface name", "for example eth0, no alias such as eth0:1")
        if not raw.bin_dir.startswith("/") or any(character.isspace() for character in raw.bin_dir):
            raise self.error(f"{key}.bin_dir", "must be an absolute path without blanks", f"normally {DEFAULT_BIN_DIR}")
        if not 0 < raw.ssh_port < 65536:
            raise self.error(f"{key}.ssh_port", f"{raw.ssh_port} is not a port", "normally 22")
        try:
            address = ipaddress.ip_address(raw.address)
        except ValueError as error:
            raise self.error(f"{key}.address", f"{raw.address!r} is not an IP address", "the node's own address, without prefix") from error
        if address.is_loopback or address.is_unspecified or address.is_multicast:
            raise self.error(f"{key}.address", f"{address} is no address of one machine", "the node's own address on its network")
        return Node(id=node_id, name=raw.name, address=str(address), interface=raw.interface, bin_dir=raw.bin_dir, ssh_port=raw.ssh_port)

    def _identity(self, data: Mapping[str, Any], nodes: tuple[Node, Node]) -> ServiceIdentity:
        raw: ServiceSection = self.section(data, "service", ServiceSection)
        if not is_hostname(raw.hostname):
            raise self.error("service.hostname", f"{raw.hostname!r} is not a hostname", "the name by which the cluster knows the MN")
        for node in nodes:
            if raw.hostname.lower() == node.name.lower():
                hint = "the service hostname moves: give the node another name of its own"
                raise self.error("service.hostname", f"{raw.hostname} is the own name of {node.id}", hint)
        try:
            mode = IdentityMode(raw.mode)
        except ValueError as error:
            raise self.error("service.mode", f"{raw.mode!r} is not a mode", f"use one of: {', '.join(IdentityMode)}") from error
        if not raw.addresses:
            raise self.error("service.addresses", "is empty", 'for example addresses = ["10.77.0.11/16"]')
        addresses = tuple(self._service_address(text, nodes) for text in raw.addresses)
        if len({address.ip for address in addresses}) < len(addresses):
            raise self.error("service.addresses", "names an address twice", "name it once")
        if sum(address.version == 4 for address in addresses) > 1:
            raise self.error("service.addresses", "more than one IPv4 address", "xCAT knows one master address; name that one")
        return ServiceIdentity(hostname=raw.hostname, addresses=addresses, mode=mode)

    def _service_address(self, text: str, nodes: tuple[Node, Node]) -> IPInterface:
        try:
            address = ipaddress.ip_interface(text)
        except ValueError as error:
            raise self.error("service.addresses", f"{text!r} is no address with prefix length", 'for example "10.77.0.11/16"') from error
        if "/" not in text:
            raise self.error("service.addresses", f"{text!r} has no prefix length", f'the subnet\'s, for example "{text}/16"')
        net = address.network
        if net.num_addresses > 2 and (address.ip == net.network_address or (address.version == 4 and address.ip == net.broadcast_address)):
            raise self.error(
                "service.addresses", f"{address.ip} stands for all of {net}, not for one machine", 'for example "10.77.0.11/16"'
            )
        for node in nodes:
            if str(address.ip) == node.address:
                raise self.error(
                    "service.addresses",
                    f"{address.ip} is the own address of {node.id}",
                    "two machines need three addresses: give the node another one of its own; the service address moves",
                )
        return address

    def _choice(self, data: Mapping[str, Any], section: str, default: str) -> DriverChoice:
        table = data.get(section, {})
        if not isinstance(table, Mapping):
            raise self.error(section, "must be a table", f'write [{section}] and below it driver = "{default}"')
        name = table.get("driver", default)
        if not isinstance(name, str) or not name:
            raise self.error(f"{section}.driver", "must be the name of a driver", "xcat-ha drivers lists them")
        options = {key: value for key, value in table.items() if key not in {"driver", "own"}}
        return DriverChoice(name=name, options=options)

    def _own_sets(self, data: Mapping[str, Any]) -> tuple[FileSet, ...]:
        own = data.get("files", {}).get("own", {})
        if not isinstance(own, Mapping):
            raise self.error("files.own", "must be a table of tables", "write [files.own.NAME] with paths = [...]")
        return tuple(self._own_set(data, name) for name in own)

    def _own_set(self, data: Mapping[str, Any], name: str) -> FileSet:
        key = f"files.own.{name}"
        if not _ID.fullmatch(name) or name in _TAKEN_SETS:
            raise self.error(
                f"[{key}]", "cannot be the name of a set", f"use a-z, 0-9 and -, no built-in name ({', '.join(sorted(_TAKEN_SETS))})"
            )
        raw: SetSection = self.section(data, key, SetSection)
        for path in raw.paths:
            if not _is_usable(path):
                raise self.error(f"{key}.paths", f"{path!r} is not a usable path", "write absolute paths, without .., not / itself")
        if not raw.paths:
            raise self.error(f"{key}.paths", "is empty", 'for example paths = ["/srv/scripts"]')
        if not 0 <= raw.max_delete_pct <= 100:
            raise self.error(f"{key}.max_delete_pct", "must be a percentage", "between 0 and 100")
        for pattern in raw.keep_lines:
            try:
                re.compile(pattern)
            except re.error as error:
                raise self.error(f"{key}.keep_lines", f"{pattern!r} is no regular expression: {error}", "mend the pattern") from error
        return FileSet(
            name=name,
            paths=tuple(raw.paths),
            excludes=tuple(raw.excludes),
            delete=raw.delete,
            max_delete_pct=raw.max_delete_pct,
            must_be_mounted=raw.must_be_mounted,
            keep_lines=tuple(raw.keep_lines),
            numeric_ids=raw.numeric_ids,
        )


def is_hostname(text: str) -> bool:
    """A hostname; not an address, which looks like one made of numbers."""
    return _HOSTNAME.fullmatch(text) is not None and not text.rpartition(".")[2].isdigit()


def _is_usable(path: str) -> bool:
    """An absolute path that does not climb and is not ``/`` itself, however that is spelt."""
    return path.startswith("/") and ".." not in Path(path).parts and path.strip("/.") != ""
