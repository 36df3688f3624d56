"""What is configured: nodes, the pair, its service identity, file sets. Frozen, no I/O, no behaviour beyond small derivations.

What is *observed* (who is primary, who holds the address) is not here: see :mod:`xcat_ha.interfaces` for the drivers'
observations and :mod:`xcat_ha.observation` for a pair's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias

from attrs import field, frozen

from xcat_ha.errors import ConfigError

IPInterface: TypeAlias = ipaddress.IPv4Interface | ipaddress.IPv6Interface
IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

DEFAULT_BIN_DIR = "/opt/xcat-ha/bin"
CONFIG_PATH = "/etc/xcat-ha/pair.toml"
STATE_DIR = "/var/lib/xcat-ha"
RUN_DIR = "/run/xcat-ha"
COMMANDS_LOCK = f"{RUN_DIR}.commands.lock"
"""Held (shared) on a node by every command that changes something there: an operation that begins waits for those of a dead one."""
SSH_DIR = "/etc/xcat-ha/ssh"


@frozen
class Node:
    """One management node, by what never moves.

    Attributes:
        id: short word by which verbs, locks, ssh (``HostKeyAlias``) and the journal name the node.
        name: the node's own hostname, as ``/etc/hostname`` holds it (a bare or full name).
        address: the node's own address; ssh and replication use it. Never the service address.
        interface: network interface on which the service address is placed.
        bin_dir: directory on that node holding xcat-ha's programs and its ``python3`` (normally a venv's ``bin``).
        ssh_port: TCP port of the node's sshd.
        user: whom ssh logs in as; always root on a management node.
    """

    id: str
    name: str
    address: str
    interface: str
    bin_dir: str = DEFAULT_BIN_DIR
    ssh_port: int = 22
    user: str = "root"

    @property
    def python(self) -> str:
        """Absolute path, on that node, of the Python that has xcat-ha installed."""
        return f"{self.bin_dir}/python3"


class IdentityMode(StrEnum):
    """How the service address sits beside the node's own address."""

    SERVICE_ADDRESS = "service-address"
    REPLACE = "replace"


@frozen
class ServiceIdentity:
    """The hostname and addresses by which the cluster knows *the* MN; it moves.

    Attributes:
        hostname: running hostname of whoever holds the role (never written to ``/etc/hostname``).
        addresses: one or more addresses with prefix length (``10.77.0.11/16``), at most one IPv4 as the cluster's ``site.master``.
        mode: see :class:`IdentityMode`.
    """

    hostname: str
    addresses: tuple[IPInterface, ...]
    mode: IdentityMode = IdentityMode.SERVICE_ADDRESS

    @property
    def primary_address(self) -> IPAddress:
        """The address clients use first: the first one configured."""
        return self.addresses[0].ip

    @property
    def master_address(self) -> IPAddress:
        """The address that xCAT writes into what it generates (``site.master``): the IPv4 one, if there is one."""
        return next((address.ip for address in self.addresses if address.version == 4), self.primary_address)


@frozen
class DriverChoice:
    """Which driver serves an interface, with the options its section of the configuration holds (driver-checked)."""

    name: str
    options: Mapping[str, object] = field(factory=dict)


@frozen
class FileSet:
    """A named group of paths that must be equal on both MNs.

    Attributes:
        name: as in ``xcat-ha sync NAME``.
        paths: absolute paths; a directory means the whole tree, a glob (``/root/.ssh/id_*``) what it matches on the source.
        excludes: rsync-style patterns left alone on both sides (neither copied nor deleted).
        delete: whether files that vanished on the source vanish on the target (after the delete guard).
        max_delete_pct: deletions above this share of the target's files (percent) stop the sync.
        must_be_mounted: the path has to be a mount point on the source (a directory on a disk of its own).
        keep_lines: for single text files: regular expressions of lines that stay each node's own.
        numeric_ids: owners by number (image trees) rather than by name.
    """

    name: str
    paths: tuple[str, ...]
    excludes: tuple[str, ...] = ()
    delete: bool = True
    max_delete_pct: float = 10.0
    must_be_mounted: bool = False
    keep_lines: tuple[str, ...] = ()
    numeric_ids: bool = False


@frozen
class OsImage:
    """One row of xCAT's ``osimage`` table with what a provisioner needs to know. ``nodes``: those that wait to be installed with it."""

    name: str
    provmethod: str
    osvers: str = ""
    arch: str = ""
    nodes: tuple[str, ...] = ()


@frozen
class Term:
    """(counter, holder): raised at every change of primary, stored on both MNs. The higher counter is right."""

    counter: int
    holder: str


class Engine(StrEnum):
    """Database engines as ``/etc/xcat/cfgloc`` spells them (facts: xCAT ``Table.pm`` get_xcatcfg; case matters)."""

    SQLITE = "SQLite"
    POSTGRESQL = "Pg"
    MYSQL = "mysql"
    DB2 = "DB2"


@frozen
class DatabaseLocation:
    """Where xCAT keeps its database, without the password.

    Attributes:
        engine: what serves it.
        directory: for SQLite, the directory of the table files; else empty.
        host: database host as cfgloc names it; empty for SQLite and DB2.
        database: database name; empty for SQLite.
        user: user name; empty for SQLite.
    """

    engine: Engine
    directory: str = ""
    host: str = ""
    database: str = ""
    user: str = ""


@frozen
class Witness:
    """Somebody beside the two nodes who remembers the term. Neither is set: there is none.

    Attributes:
        host: address of a third machine, where ``user`` may log in with xcat-ha's keys; its host key is known under the id ``witness``.
        file: absolute path of a file on storage that both nodes see, mounted on both.
        ssh_port: TCP port of the host's sshd.
        user: who logs in at the host.
    """

    host: str = ""
    file: str = ""
    ssh_port: int = 22
    user: str = "root"


@frozen
class Pair:
    """The configuration of a pair, as :func:`xcat_ha.config.load_pair` reads it.

    ``preferred`` is the id of the node that has the role in peace (``failback`` returns there). Who *is* primary is observed.
    ``sync_*_every_s`` are the seconds between scheduled syncs on the primary. An unplanned failover stops if the copy is older than
    ``max_loss_s``, unless the loss is allowed. Every ``guard_interval_s`` seconds the guard reads the other node's term.
    """

    name: str
    nodes: tuple[Node, Node]
    preferred: str
    identity: ServiceIdentity
    database: DriverChoice
    files: DriverChoice
    network: DriverChoice
    services: DriverChoice
    schedule: DriverChoice
    fencing: DriverChoice = field(factory=lambda: DriverChoice("manual"))
    images: DriverChoice = field(factory=lambda: DriverChoice("linux-images"))
    file_sets: tuple[FileSet, ...] = ()
    xcat_dir: str = "/etc/xcat"
    min_free_mib: int = 512
    max_clock_skew_s: float = 2.0
    sync_database_every_s: int = 300
    sync_files_every_s: int = 3600
    max_loss_s: int = 900
    guard_interval_s: int = 5
    witness: Witness = field(factory=Witness)
    source: str = CONFIG_PATH

    def node(self, node_id: str) -> Node:
        """The node of that id.

        Raises:
            ConfigError: no node has this id.
        """
        for node in self.nodes:
            if node.id == node_id:
                return node
        known = ", ".join(node.id for node in self.nodes)
        raise ConfigError(f"no node is called {node_id!r}", where=self.source, hint=f"use one of: {known}")

    def other(self, node_id: str) -> Node:
        """The other node of the pair.

        Raises:
            ConfigError: no node has this id.
        """
        node = self.node(node_id)
        first, second = self.nodes
        return second if node is first else first
