"""Which drivers fit what was found, and whether they are installed."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from xcat_ha.discovery.facts import Database, Discovery
from xcat_ha.discovery.proposal import Chosen
from xcat_ha.errors import XcatHaError
from xcat_ha.interfaces import ReplicationBackend
from xcat_ha.models import Engine
from xcat_ha.registry import driver_class, installed_drivers

_REPLICATION = "xcat_ha.replication"
_FOR_ENGINE = {Engine.SQLITE: "sqlite-copy", Engine.POSTGRESQL: "postgres-dump", Engine.MYSQL: "mysql", Engine.DB2: "db2-hadr"}
_FOR_SYSTEM = {
    "Linux": {
        "network": ("xcat_ha.identity", "linux"),
        "services": ("xcat_ha.services", "systemd"),
        "schedule": ("xcat_ha.schedule", "systemd-timer"),
    },
    "AIX": {"network": ("xcat_ha.identity", "aix"), "services": ("xcat_ha.services", "aix-src"), "schedule": ("xcat_ha.schedule", "cron")},
}

_NO_CORE_ON = {"AIX": "xcat-ha itself does not run on AIX yet, only its drivers for AIX are there"}
"""A system that has drivers may still lack what the core needs of a node."""


def drivers_for(discovery: Discovery) -> Mapping[str, Chosen]:
    """Table of the configuration -> driver."""
    usual = "the usual one"
    return {
        "database": driver_for_database(discovery.database),
        "files": _installed("xcat_ha.files", "rsync", usual),
        **_for_system(discovery),
        "fencing": _installed("xcat_ha.fencing", "manual", "your word counts, as long as nobody has said how to switch a machine off"),
    }


def driver_for_database(database: Database) -> Chosen:
    """The usual driver for the engine; another one that serves it, if only that is installed."""
    if database.engine is None:
        return Chosen(None, database.origin)
    usual = _FOR_ENGINE[database.engine]
    serving = [info.name for info in installed_drivers() if info.group == _REPLICATION and _serves(info.name, database.engine)]
    if usual in serving or not serving:
        return _installed(_REPLICATION, usual, database.origin)
    return Chosen(serving[0], f"{database.origin}; {usual} is not installed, {serving[0]} serves this database too")


def _serves(name: str, engine: Engine) -> bool:
    try:
        found = driver_class(_REPLICATION, name)
    except XcatHaError:
        return False
    return issubclass(found, ReplicationBackend) and engine in found.engines


def _for_system(discovery: Discovery) -> Mapping[str, Chosen]:
    tables = _FOR_SYSTEM.get(discovery.system)
    if tables is None:
        return {table: Chosen(None, "uname -s did not tell which system this is") for table in _FOR_SYSTEM["Linux"]}
    found = {table: _installed(group, name, f"uname -s: {discovery.system}") for table, (group, name) in tables.items()}
    if discovery.system in _NO_CORE_ON:
        found = {table: evolve(chosen, problem=chosen.problem or _NO_CORE_ON[discovery.system]) for table, chosen in found.items()}
    if discovery.system == "Linux" and discovery.services is None:
        silent = "systemctl did not answer: is this machine run by systemd?"
        found |= {"services": Chosen(None, silent), "schedule": Chosen(None, silent)}
    return found


def _installed(group: str, name: str, origin: str) -> Chosen:
    """The driver, with what is wrong with it."""
    try:
        driver_class(group, name)
    except XcatHaError as error:
        return Chosen(name, origin, f"{error.what} ({error.hint})")
    return Chosen(name, origin)
