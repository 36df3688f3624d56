"""Drivers by entry point: the only place that uses stevedore. Nothing is swallowed: what cannot be loaded is said, with the reason."""

from __future__ import annotations

import importlib.metadata
import re
from typing import Any

from attrs import frozen
from stevedore import NamedExtensionManager

from xcat_ha.errors import DriverBrokenError, DriverNotFoundError, XcatHaError
from xcat_ha.interfaces import (
    Capability,
    Driver,
    Drivers,
    FileSyncer,
    NetworkIdentity,
    OsImageProvisioner,
    ReplicationBackend,
    Schedule,
    ServiceControl,
)
from xcat_ha.interfaces.fencing import Fence
from xcat_ha.models import Engine, Pair

INTERFACES: dict[str, type] = {
    "xcat_ha.replication": ReplicationBackend,
    "xcat_ha.files": FileSyncer,
    "xcat_ha.identity": NetworkIdentity,
    "xcat_ha.images": OsImageProvisioner,
    "xcat_ha.services": ServiceControl,
    "xcat_ha.schedule": Schedule,
    "xcat_ha.fencing": Fence,
}
"""Entry-point group -> interface. A third-party package registers its driver in the same groups."""

GROUPS = {
    "database": "xcat_ha.replication",
    "files": "xcat_ha.files",
    "network": "xcat_ha.identity",
    "services": "xcat_ha.services",
    "schedule": "xcat_ha.schedule",
    "fencing": "xcat_ha.fencing",
    "images": "xcat_ha.images",
}
"""Table of the configuration -> entry-point group of the driver it names."""


@frozen
class DriverInfo:
    """One installed driver.

    Attributes:
        group: entry-point group, the interface it serves.
        name: as the configuration names it.
        distribution: package that brings it, with version.
        target: ``module:attribute``.
        problem: why it cannot be used, and what to do; empty when it can be (as far as importing it tells).
    """

    group: str
    name: str
    distribution: str
    target: str
    problem: str = ""


def installed_drivers(*, load: bool = False) -> tuple[DriverInfo, ...]:
    """All registered drivers; with ``load`` each is imported and verified, and ``problem`` says what is wrong."""
    found: list[DriverInfo] = []
    for group in INTERFACES:
        for point in importlib.metadata.entry_points(group=group):
            dist = point.dist
            source = f"{dist.name} {dist.version}" if dist is not None else "unknown package"
            problem = ""
            if load:
                try:
                    driver_class(group, point.name)
                except (DriverBrokenError, DriverNotFoundError) as error:
                    problem = f"{error.what}; {error.hint}"
            found.append(DriverInfo(group, point.name, source, point.value, problem))
    return tuple(sorted(found, key=lambda info: (info.group, info.name)))


def driver_class(group: str, name: str) -> type[Driver[Any]]:
    """The class registered as ``name`` in ``group``, verified against the group's interface.

    Raises:
        DriverNotFoundError: no such name is registered.
        DriverBrokenError: it cannot be imported (with the extra to install, if that is why), is registered twice, is not a class of
            the interface, lacks abstract methods, or declares capabilities that are none.
    """
    points = list(importlib.metadata.entry_points(group=group))
    same = [point for point in points if point.name == name]
    if not same:
        known = ", ".join(sorted({point.name for point in points})) or "none"
        raise DriverNotFoundError(
            f"no driver called {name!r} is installed for {group}",
            hint=f"installed: {known}; install the package that brings it, or mend the name",
        )
    if len(same) > 1:
        packages = ", ".join(sorted(point.dist.name if point.dist else point.value for point in same))
        raise DriverBrokenError(f"driver {name!r} of {group} is registered by several packages: {packages}", hint="uninstall all but one")
    failures: list[BaseException] = []
    # Only the driver asked for is imported: another backend's database package is none of our business.
    try:
        manager: NamedExtensionManager[Any] = NamedExtensionManager(
            namespace=group,
            names=[name],
            invoke_on_load=False,
            on_load_failure_callback=lambda _manager, _point, error: failures.append(error),
            on_missing_entrypoints_callback=lambda _names: None,  # told below, with its reason
        )
    except SystemExit as error:  # a module that ends the program that imports it; stevedore lets that through
        failures.append(error)
    if failures:
        raise _import_problem(group, name, failures[0]) from failures[0]
    return _verified(group, name, manager[name].plugin)


def _import_problem(group: str, name: str, error: BaseException) -> DriverBrokenError:
    hint = "reinstall the package that brings it"
    if isinstance(error, ModuleNotFoundError) and error.name:
        hint = f"install what it needs: {_extra_for(error.name)}"
    return DriverBrokenError(f"driver {name!r} of {group} cannot be loaded: {type(error).__name__}: {error}", hint=hint)


def _extra_for(module: str) -> str:
    """How to install a missing module: the extra of xcat-ha that brings it, else the module's own name."""
    top = module.partition(".")[0]
    wanted = {top.replace("_", "-").lower()} | _MODULE_PACKAGES.get(top, set())
    try:
        requirements = importlib.metadata.requires("xcat-ha") or []
    except importlib.metadata.PackageNotFoundError:
        requirements = []
    for requirement in requirements:
        found = re.match(r"([A-Za-z0-9._-]+).*extra == ['\"]([A-Za-z0-9._-]+)['\"]", requirement)
        if found and found.group(1).replace("_", "-").lower() in wanted:
            return f"pip install 'xcat-ha[{found.group(2)}]'"
    return f"pip install {module}"


_MODULE_PACKAGES = {"psycopg2": {"psycopg2-binary"}, "mysql": {"mysql-connector-python"}, "ibm_db": {"ibm-db"}}


def _verified(group: str, name: str, plugin: Any) -> type[Driver[Any]]:
    interface = INTERFACES[group]
    where = f"driver {name!r} of {group}"
    hint = f"it must be a class deriving from {interface.__module__.rsplit('.', 1)[0]}.{interface.__name__}; see docs/drivers"
    if not isinstance(plugin, type) or not issubclass(plugin, interface):
        raise DriverBrokenError(f"{where} is not a {interface.__name__}", hint=hint)
    missing = sorted(getattr(plugin, "__abstractmethods__", ()))
    if missing:
        raise DriverBrokenError(f"{where} lacks {', '.join(missing)}", hint=hint)
    if issubclass(plugin, ReplicationBackend):
        declared = _items(plugin.capabilities)
        strange = [value for value in declared if not isinstance(value, Capability)] if declared is not None else [plugin.capabilities]
        if strange:
            raise DriverBrokenError(f"{where} declares unknown capabilities: {strange}", hint=f"known: {', '.join(Capability)}")
        engines = _items(getattr(plugin, "engines", None))
        if not engines or any(not isinstance(engine, Engine) for engine in engines):
            raise DriverBrokenError(f"{where} does not say which database engines it serves", hint="set engines = frozenset({Engine.…})")
    return plugin  # type: ignore[return-value]


def _items(value: object) -> list[object] | None:
    """What a set holds; None if it is nothing of the kind."""
    return list(value) if isinstance(value, frozenset | set | tuple | list) else None


def build_driver(table: str, pair: Pair) -> Driver[Any]:
    """The driver that a table of the pair's configuration (``database``, ``files`` …) names, built with its options.

    Raises:
        DriverNotFoundError, DriverBrokenError: see :func:`driver_class`.
        ConfigError: it does not accept its options.
    """
    group, choice = GROUPS[table], getattr(pair, table)
    driver = driver_class(group, choice.name)
    try:
        return driver(pair, choice.options)
    except XcatHaError:
        raise
    except Exception as error:
        what = f"driver {choice.name!r} of {group} cannot be built: {type(error).__name__}: {error}"
        raise DriverBrokenError(what, hint=f"tell the authors of {driver.__module__}") from error


def load_drivers(pair: Pair) -> Drivers:
    """The drivers a pair's configuration names, built with its options.

    Raises:
        DriverNotFoundError, DriverBrokenError, ConfigError: see :func:`build_driver`.
    """

    def build(table: str) -> Any:
        return build_driver(table, pair)

    return Drivers(
        replication=build("database"),
        files=build("files"),
        identity=build("network"),
        services=build("services"),
        schedule=build("schedule"),
        fence=build("fencing"),
        images=build("images"),
    )
