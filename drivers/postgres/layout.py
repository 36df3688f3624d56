"""Where a PostgreSQL server of this node keeps its files, programs and unit: found on the disk, whether the server runs or not.

================  ==================================  ==============================  ============================
family            data directory                      programs                        unit
================  ==================================  ==============================  ============================
Debian, Ubuntu    named in /etc/postgresql/V/NAME/    /usr/lib/postgresql/V/bin       postgresql@V-NAME
RHEL and alike    /var/lib/pgsql/data                 /usr/bin                        postgresql
PGDG's packages   /var/lib/pgsql/V/data               /usr/pgsql-V/bin                postgresql-V
SLES              /var/lib/pgsql/data                 /usr/lib/postgresqlV/bin        postgresql
================  ==================================  ==============================  ============================

A data directory elsewhere is found by ``PGDATA`` in the unit (or a drop-in of it) and by ``POSTGRES_DATADIR`` in /etc/sysconfig/postgresql.
Sources: facts (xCAT 1.3), the packages of the distributions.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from xcat_ha_drivers.database.disk import rooted
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.location import DEFAULT_PORT
from xcat_ha_drivers.postgres.settings import read_settings

_PLAIN = "/var/lib/pgsql"
_UNIT_DIRECTORIES = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
_SOCKETS = ("/run/postgresql", "/var/run/postgresql", "/tmp")  # noqa: S108  # PostgreSQL's own default


class Layout(NamedTuple):
    """A server as installed. Paths are real ones.

    Attributes:
        version: major version as PG_VERSION has it (``15``).
        data_directory: where the data are.
        config_file: postgresql.conf.
        hba_file: pg_hba.conf.
        bin_directory: where psql, pg_dump … of this version are.
        socket_directory: where its local socket is.
        port: its port, which is also in the socket's name.
        unit: systemd unit that starts it.
        uid: of its owner, whose OS user is the database's superuser.
        gid: likewise.
    """

    version: str
    data_directory: str
    config_file: str
    hba_file: str
    bin_directory: str
    socket_directory: str
    port: int
    unit: str
    uid: int
    gid: int

    def program(self, name: str) -> str:
        """Absolute path of a program of this version."""
        return f"{self.bin_directory}/{name}"


def find(*, data_directory: str = "", port: int | None = None) -> Layout:
    """The server of this node.

    Args:
        data_directory: which one, if there are several; empty: the only one, or the one at ``port``.
        port: port that cfgloc names.

    Raises:
        PostgresError: there is none, there are several, or it is not complete.
    """
    every = list(found())
    if data_directory:
        every = [layout for layout in every if _same(layout.data_directory, data_directory)]
    if len(every) > 1:
        every = [layout for layout in every if layout.port == (port or DEFAULT_PORT)] or every
    if len(every) == 1:
        return every[0]
    if every:
        names = ", ".join(f"{layout.data_directory} (port {layout.port})" for layout in every)
        raise PostgresError(f"there are several PostgreSQL servers here: {names}", hint="set data_directory in [database]")
    wanted = f" with data directory {data_directory}" if data_directory else ""
    raise PostgresError(f"no PostgreSQL server{wanted} is installed here", hint="install PostgreSQL and let pgsqlsetup make its database")


def found() -> Iterator[Layout]:
    """Every server whose data directory is there."""
    seen: set[str] = set()
    for config in sorted(rooted("/etc/postgresql").glob("*/*/postgresql.conf")):
        layout = _of_debian(config)
        if layout is not None and layout.data_directory not in seen:
            seen.add(layout.data_directory)
            yield layout
    for data, unit in _plain_places():
        real = str(data.resolve())
        if real not in seen and (data / "PG_VERSION").is_file():
            seen.add(real)
            yield _of_data(data, unit)


def _of_debian(config: Path) -> Layout | None:
    version, name = config.parts[-3], config.parts[-2]
    settings = read_settings(config)
    data = _here(settings.get("data_directory", f"/var/lib/postgresql/{version}/{name}"))
    if not data.is_dir():
        return None
    return _layout(version, data, config, settings, f"postgresql@{version}-{name}.service")


def _of_data(data: Path, unit: str) -> Layout:
    version = (data / "PG_VERSION").read_text().strip()
    config = data / "postgresql.conf"
    return _layout(version, data, config, read_settings(config), unit)


def _layout(version: str, data: Path, config: Path, settings: Mapping[str, str], unit: str) -> Layout:
    # ALTER SYSTEM writes there, and it is read last.
    settings = {**settings, **read_settings(data / "postgresql.auto.conf")}
    port = settings.get("port", str(DEFAULT_PORT))
    number = int(port) if port.isdecimal() else DEFAULT_PORT
    hba = settings.get("hba_file", "")
    status = data.stat()
    return Layout(
        version=version,
        data_directory=str(data),
        config_file=str(config),
        hba_file=str(_here(hba)) if hba else str(config.with_name("pg_hba.conf")),
        bin_directory=_programs(version),
        socket_directory=_socket_directory(settings.get("unix_socket_directories", ""), number),
        port=number,
        unit=unit,
        uid=status.st_uid,
        gid=status.st_gid,
    )


def _here(path: str) -> Path:
    """A path that a configuration names. In a temporary tree it may be meant below the tree's root."""
    below = rooted(path)
    return below if below.exists() else Path(path)


def _same(left: str, right: str) -> bool:
    return os.path.normpath(left) == os.path.normpath(right) or os.path.normpath(left) == os.path.normpath(str(rooted(right)))


def _plain_places() -> Iterator[tuple[Path, str]]:
    """Data directories with the unit that serves each: the packages' own places, and those units name."""
    for unit, path in _named_by_units():
        yield _here(path), unit
    yield rooted(f"{_PLAIN}/data"), "postgresql.service"
    for data in sorted(rooted(_PLAIN).glob("*/data")):
        yield data, f"postgresql-{data.parent.name}.service"
    value = _sysconfig("POSTGRES_DATADIR")
    if value:
        yield _here(value.replace("~postgres", _PLAIN)), "postgresql.service"


def _named_by_units() -> Iterator[tuple[str, str]]:
    for directory in _UNIT_DIRECTORIES:
        base = rooted(directory)
        for file in sorted([*base.glob("postgresql*.service"), *base.glob("postgresql*.service.d/*.conf")]):
            unit = file.name if file.suffix == ".service" else file.parent.name.removesuffix(".d")
            if "@" in unit or not file.is_file():
                continue
            for value in re.findall(r'^\s*Environment="?PGDATA=([^"\s]+)', file.read_text(errors="replace"), re.MULTILINE):
                yield unit, value.rstrip("/")


def _sysconfig(name: str) -> str:
    try:
        text = rooted("/etc/sysconfig/postgresql").read_text(errors="replace")
    except OSError:
        return ""
    values: list[str] = re.findall(rf'^\s*{name}="?([^"\n]*)"?', text, re.MULTILINE)
    return values[-1].strip() if values else ""


def _programs(version: str) -> str:
    """Programs of this version; ``/usr/bin`` has those of the distribution's only version."""
    for place in (f"/usr/lib/postgresql/{version}/bin", f"/usr/pgsql-{version}/bin", f"/usr/lib/postgresql{version}/bin", "/usr/bin"):
        if (rooted(place) / "pg_dump").exists() and (rooted(place) / "psql").exists():
            return str(rooted(place))
    raise PostgresError(
        f"the programs of PostgreSQL {version} (psql, pg_dump) are not installed", hint="install the client package of that version"
    )


def _socket_directory(setting: str, port: int) -> str:
    named = [word.strip() for word in setting.split(",") if word.strip().startswith("/")]
    places = [_here(word) for word in named] or [rooted(word) for word in _SOCKETS]
    for place in places:
        if (place / f".s.PGSQL.{port}").exists():
            return str(place)
    return str(places[0])
