"""The answers of a management node as typed facts. Pure; what an answer does not tell is None, never a guess."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from xcat_ha.config import is_hostname
from xcat_ha.interfaces import Service
from xcat_ha.models import Engine, IPAddress, IPInterface
from xcat_ha.steps import Completed
from xcat_ha.xcat.services import UNIT_CANDIDATES
from xcat_ha.xcat.site import Site, interpret_site

NOT_ASKED = Completed((), None)
Answers = Mapping[str, Completed]


@frozen
class Held:
    """An address of the machine.

    Attributes:
        address: with the prefix length it is configured with.
        interface: where it is.
        scope: as Linux calls it (``global``, ``link``, ``host``).
        dynamic: a DHCP server or a router gave it.
    """

    address: IPInterface
    interface: str
    scope: str
    dynamic: bool = False


@frozen
class Unit:
    """A unit that exists."""

    name: str
    running: bool
    enabled: bool


@frozen
class Database:
    """Which database xCAT works with.

    Attributes:
        engine: None if it is not known, or if cfgloc and the running xcatd disagree.
        host: what cfgloc names; empty for SQLite and DB2.
        directory: SQLite's, if cfgloc names one.
        origin: where this was read, for an administrator.
    """

    engine: Engine | None
    origin: str
    host: str = ""
    directory: str = ""


@frozen
class Discovery:
    """What a management node tells. None, or an empty string: not known.

    Attributes:
        site: xCAT's site table.
        versions: what the running xcatd says of itself, and the installed package's version.
        node_type: ``This is a Management Node`` and the like.
        database: see :class:`Database`.
        hostname: running hostname.
        stored_hostname: what ``/etc/hostname`` holds.
        addresses: all of the machine's.
        master_names: names of ``site.master``, the first one first.
        master_addresses: addresses of ``site.master``: of its name, and the address itself.
        services: those that exist here, with their units.
        system: ``Linux`` or ``AIX``.
        release: the distribution, in its own words.
        ssh_port: where sshd listens.
        tables: rows of the tables asked for; None where one did not answer.
        mounts: xCAT's directories -> ``FSTYPE SOURCE TARGET`` of the file system they are on.
    """

    site: Site
    versions: tuple[str, str]
    node_type: str
    database: Database
    hostname: str
    stored_hostname: str
    addresses: tuple[Held, ...] | None
    services: Mapping[Service, tuple[Unit, ...]] | None
    system: str
    release: str
    ssh_port: int | None
    tables: Mapping[str, tuple[Mapping[str, str], ...] | None] = field(factory=dict)
    master_names: tuple[str, ...] = ()
    master_addresses: tuple[IPAddress, ...] = ()
    mounts: Mapping[str, tuple[str, str, str]] = field(factory=dict)


def first_facts(answers: Answers, tables: Mapping[str, tuple[Mapping[str, str], ...] | None]) -> Discovery:
    """What the first exchange tells."""
    xcatd = answers.get("xcatd", NOT_ASKED)
    return Discovery(
        site=interpret_site(answers.get("site", NOT_ASKED)),
        versions=(_line(xcatd, r"^Version .+$"), _package(answers.get("package", NOT_ASKED))),
        node_type=_line(xcatd, r"^This is a .+$"),
        database=database_of(answers.get("cfgloc", NOT_ASKED), xcatd),
        hostname=_hostname(answers.get("running-hostname", NOT_ASKED)),
        stored_hostname=_hostname(answers.get("stored-hostname", NOT_ASKED)),
        addresses=addresses_of(answers.get("addresses", NOT_ASKED)),
        services=services_of(answers.get("units", NOT_ASKED)),
        system=_line(answers.get("system", NOT_ASKED), r"^(Linux|AIX)$"),
        release=_release(answers.get("release", NOT_ASKED)),
        ssh_port=_port(answers.get("sshd", NOT_ASKED)),
        tables=tables,
    )


def _line(answer: Completed, pattern: str) -> str:
    found = re.search(pattern, answer.stdout, re.MULTILINE) if answer.ok else None
    return found.group(0).strip() if found else ""


def _package(answer: Completed) -> str:
    """One word; an xCAT that is not there prints nothing."""
    words = answer.stdout.split() if answer.ok else []
    return words[0] if len(words) == 1 else ""


def _hostname(answer: Completed) -> str:
    lines = [line.strip() for line in answer.stdout.splitlines() if line.strip() and not line.startswith("#")] if answer.ok else []
    return lines[0] if len(lines) == 1 and is_hostname(lines[0]) else ""


def _release(answer: Completed) -> str:
    found = re.search(r"^PRETTY_NAME=(.*)$", answer.stdout, re.MULTILINE) if answer.ok else None
    return found.group(1).strip().strip("\"'") if found else ""


def _port(answer: Completed) -> int | None:
    ports = [int(word) for word in re.findall(r"^port (\d{1,5})$", answer.stdout, re.MULTILINE)] if answer.ok else []
    if not ports:
        return None
    return 22 if 22 in ports else ports[0]


def database_of(cfgloc: Completed, xcatd: Completed) -> Database:
    """The engine that cfgloc names, if the running xcatd works with the same one (it reads cfgloc only when it starts)."""
    lines = cfgloc.stdout.split("\n") if cfgloc.ok else []
    words = dict(line.partition("=")[::2] for line in lines)
    if "absent" in lines:
        stored, origin = Engine.SQLITE, "there is no /etc/xcat/cfgloc, which means SQLite"
    elif "end" not in lines:
        return Database(None, "/etc/xcat/cfgloc cannot be read")
    elif "colonless" in lines:
        return Database(None, "the first line of /etc/xcat/cfgloc has no colon: xCAT takes it for a directory of SQLite files")
    else:
        named = words.get("engine", str(Engine.SQLITE))
        if named not in set(Engine):
            return Database(None, f"/etc/xcat/cfgloc names {named!r}, which is no database of xCAT's")
        stored, origin = Engine(named), f"the first line of /etc/xcat/cfgloc: {named}"
    running = _line(xcatd, r"^dbengine=.+$").partition("=")[2]
    if running and running != stored:
        return Database(None, f"{origin}; but the running xcatd works with {running}: restart it, and run init again")
    return Database(stored, origin, host=words.get("host", ""), directory=words.get("directory", ""))


def addresses_of(answer: Completed) -> tuple[Held, ...] | None:
    """The addresses in the output of ``ip -j address show``."""
    try:
        links: Any = json.loads(answer.stdout) if answer.ok else None
        if not isinstance(links, list):
            return None
        return tuple(_held(str(link["ifname"]), entry) for link in links if link for entry in link.get("addr_info", ()) if entry)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _held(interface: str, entry: Any) -> Held:
    address = ipaddress.ip_interface(f"{entry['local']}/{int(entry['prefixlen'])}")
    return Held(address, interface, str(entry.get("scope", "global")), dynamic=entry.get("dynamic") is True)


def services_of(answer: Completed) -> Mapping[Service, tuple[Unit, ...]] | None:
    """The units that exist, by what they do. An alias (bind9) is shown under the name of its unit, once."""
    if not answer.ok:
        return None
    facts = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in answer.stdout.strip().split("\n\n")]
    if not all({"Id", "LoadState", "ActiveState", "UnitFileState"} <= fact.keys() for fact in facts):
        return None
    there = {fact["Id"].removesuffix(".service"): fact for fact in facts if fact["LoadState"] == "loaded"}
    found = {service: tuple(_unit(name, there[name]) for name in names if name in there) for service, names in UNIT_CANDIDATES.items()}
    return {service: units for service, units in found.items() if units}


def _unit(name: str, fact: Mapping[str, str]) -> Unit:
    return Unit(name, running=fact["ActiveState"] in {"active", "reloading"}, enabled=fact["UnitFileState"].startswith("enabled"))


def names_of(answer: Completed) -> tuple[str, ...]:
    """The names in an answer of ``getent hosts``, in their order, each once."""
    words = [word for line in answer.stdout.splitlines() for word in line.split()[1:]] if answer.ok else []
    return tuple(dict.fromkeys(word for word in words if is_hostname(word) and word.partition(".")[0] != "localhost"))


def ip_addresses_of(answer: Completed) -> tuple[IPAddress, ...]:
    """The addresses in an answer of ``getent ahosts`` that other machines can reach, each once."""
    words = [line.split()[0] for line in answer.stdout.splitlines() if line.split()] if answer.ok else []
    found = [address for word in dict.fromkeys(words) if (address := ip_address_in(word)) is not None]
    return tuple(address for address in found if not (address.is_loopback or address.is_link_local))


def ip_address_in(word: str) -> IPAddress | None:
    """The address that a word is; None if it is none."""
    try:
        return ipaddress.ip_address(word)
    except ValueError:
        return None


def mounts_of(directories: Sequence[str], answers: Answers) -> Mapping[str, tuple[str, str, str]]:
    """``FSTYPE SOURCE TARGET`` of each directory that ``findmnt`` knows."""
    found: dict[str, tuple[str, str, str]] = {}
    for path in directories:
        answer = answers.get(f"mount {path}", NOT_ASKED)
        words = answer.stdout.split() if answer.ok else []
        if len(words) == 3:
            found[path] = (words[0], words[1], words[2])
    return found
