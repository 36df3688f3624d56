"""Putting a copy in place: restored beside the database that is there, compared with the manifest, and exchanged in one transaction."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from xcat_ha_drivers.database.disk import free_bytes
from xcat_ha_drivers.database.errors import DatabaseError
from xcat_ha_drivers.database.marker import Marker
from xcat_ha_drivers.postgres import contents, location
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.server import Server
from xcat_ha_drivers.postgres_dump._access import Access, compare_roles, create_statements, grant_statements, put_roles, read_access
from xcat_ha_drivers.postgres_dump._manifest import ACCESS, DUMP, Manifest
from xcat_ha_drivers.postgres_dump._node import CLOSED, COPY, Here, InPlace, comment_of
from xcat_ha_drivers.postgres_dump._places import Generation, generations, is_arriving

_ROOM = 1.5
"""Room a restore needs, as a multiple of the database's size: data, indexes, and the log of writing them."""
_RESTORE_LOG = 64 << 20

# PostgreSQL 15 took CREATE in schema public away from everybody but the database's owner; xCAT needs it (facts: xCAT 1.3).
_GRANT_SCHEMA = """
SELECT to_jsonb(has_schema_privilege(:'user', 'public', 'CREATE') AND has_schema_privilege(:'user', 'public', 'USAGE'));
"""

_DROP = """
SELECT to_jsonb(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = :'{0}' AND pid <> pg_backend_pid();
DROP DATABASE IF EXISTS :"{0}";
"""
_SESSIONS = """
SELECT to_jsonb(x) FROM (SELECT pid, usename AS user, application_name AS program, coalesce(client_addr::text, 'the local socket') AS client
FROM pg_stat_activity
WHERE datname IN (:'first', :'second') AND pid <> pg_backend_pid() AND backend_type = 'client backend') x;
"""


class Hands(NamedTuple):
    """How the work is done: seconds to wait for somebody who is connected, and the lock that children inherit."""

    wait_s: float
    lock: int


def put_in_place(here: Here, copy: Generation, found: InPlace, hands: Hands) -> None:
    """Make the database that of ``copy``. Started again after a crash it ends in the same state.

    What came gets its number when it was restored: every generation is proven to be restorable. From then on it is what counts, until
    roles, cfgloc and database are exchanged, the database last.

    Raises:
        PostgresError: the restore failed or is not what the manifest says, or somebody is connected; the old copy is as it was.
    """
    access = read_access(copy.path / ACCESS)
    is_there = found.kind == "copy" and found.marker is not None and found.marker.state == COPY and found.marker.id == copy.manifest.id
    roles = compare_roles(here.server, access)
    if not is_there:
        await_unused(here, hands.wait_s)
        restore(here, copy, access, hands, untouched="the database in place is as it was")
    if is_arriving(copy):
        copy = Generation(generations().add(copy.path, copy.manifest.id), copy.manifest)
    manifest = copy.manifest
    put_roles(here.server, roles)
    put_cfgloc(here, access)
    marker = Marker(COPY, copy.path.name, manifest.id, manifest.source, manifest.snapshot_time, generations().newest_number())
    if is_there:
        set_marker(here, marker)
    else:
        _exchange(here, marker, there=bool(found.facts), wait_s=hands.wait_s)


def restore(here: Here, copy: Generation, access: Access, hands: Hands, *, untouched: str) -> None:
    """Restore a dump into the side database and prove it. Nothing is left of it if that fails.

    Raises:
        PostgresError: see :func:`put_in_place`; ``untouched`` says what is still good.
    """
    _require_room(here, copy.manifest, untouched)
    words = ["--exit-on-error", "--no-password", "--single-transaction", "-d", here.side]
    try:
        _create_side(here, access, create_statements(compare_roles(here.server, access)))
        with (copy.path / DUMP).open("rb") as file:
            here.server.run("pg_restore", words, stdin=file, pass_fds=(hands.lock,))
        _prove(here, copy.manifest)
        _grant_schema(here, access)
    except DatabaseError as error:
        drop(here.server, here.side)
        raise PostgresError(error.what, state=untouched, hint=error.hint) from error


def _require_room(here: Here, manifest: Manifest, untouched: str) -> None:
    data = Path(here.server.layout.data_directory)
    wanted, free = int(manifest.size_bytes * _ROOM) + _RESTORE_LOG, free_bytes(data)
    if free < wanted:
        raise PostgresError(
            f"a restore needs about {wanted >> 20} MiB in {data}, {free >> 20} MiB are free", state=untouched, hint=f"make room in {data}"
        )


def _create_side(here: Here, access: Access, roles: str) -> None:
    """Away with what a killed run left; then an empty database as the source's is."""
    facts = access.database
    here.server.ask(
        _drop_statements("name")
        + _drop_statements("aside")
        + roles
        + "CREATE DATABASE :\"name\" TEMPLATE template0 ENCODING :'encoding' LC_COLLATE :'collate' LC_CTYPE :'ctype' CONNECTION LIMIT 0;\n"
        'ALTER DATABASE :"name" OWNER TO :"owner";\n' + grant_statements(access, here.side),
        variables={
            "name": here.side,
            "aside": here.aside,
            "encoding": str(facts["encoding"]),
            "collate": str(facts["collate"]),
            "ctype": str(facts["ctype"]),
            "owner": str(facts["owner"]),
        },
        timeout_s=300,
    )


def _prove(here: Here, manifest: Manifest) -> None:
    """Every row and every object is as the source had it in the snapshot."""
    restored = contents.look(lambda sql: here.server.ask(sql, database=here.side, timeout_s=600))
    if difference := manifest.contents.difference(restored):
        raise PostgresError(f"what was restored is not what {manifest.source} had: {difference}", hint="run it again, and report it")


def _grant_schema(here: Here, access: Access) -> None:
    user = access.credentials.location.user
    if here.server.ask(_GRANT_SCHEMA, database=here.side, variables={"user": user}) != [True]:
        here.server.ask('GRANT ALL ON SCHEMA public TO :"user";', database=here.side, variables={"user": user})


def _exchange(here: Here, marker: Marker, *, there: bool, wait_s: float) -> None:
    """Both renames in one transaction: the name means the old database or the new one, never none."""
    renamed = 'ALTER DATABASE :"name" RENAME TO :"aside";\n' if there else ""
    exchange = f'BEGIN;\nCOMMENT ON DATABASE :"side" IS :\'comment\';\n{renamed}ALTER DATABASE :"side" RENAME TO :"name";\nCOMMIT;\n'
    variables = {"name": here.database, "side": here.side, "aside": here.aside, "comment": comment_of(marker)}
    try:
        here.server.ask(exchange + _drop_statements("aside"), variables=variables, timeout_s=300)
    except DatabaseError as error:
        if "being accessed by other users" not in error.what:
            raise
        await_unused(here, wait_s)  # a session of the very last moment: waited for, and named
        here.server.ask(exchange + _drop_statements("aside"), variables=variables, timeout_s=300)


def await_unused(here: Here, wait_s: float) -> None:
    """Refuse to replace a database somebody is connected to (a command with XCATBYPASS, psql): his work would be lost with it.

    Raises:
        PostgresError: somebody still is, after ``wait_s`` seconds.
    """
    deadline = time.monotonic() + wait_s
    while sessions := here.server.ask(_SESSIONS, variables={"first": here.database, "second": here.side}):
        if time.monotonic() >= deadline:
            who = sessions[0]
            raise PostgresError(
                f"{here.database} is in use: {who['user']} from {who['client']} by {who['program'] or 'a program'} (process {who['pid']})",
                hint="end that session, then run it again",
            )
        time.sleep(0.2)


def drop(server: Server, name: str) -> None:
    """Drop one of our own databases, and end what a killed restore left connected to it; harmless if it is not there."""
    server.ask(_drop_statements("name"), variables={"name": name}, timeout_s=300)


def _drop_statements(variable: str) -> str:
    return _DROP.format(variable)


def set_marker(here: Here, marker: Marker, *, limit: int = CLOSED) -> None:
    """Say what the database in place is, and close or open it, in one transaction."""
    here.server.ask(
        'BEGIN;\nCOMMENT ON DATABASE :"name" IS :\'comment\';\nALTER DATABASE :"name" CONNECTION LIMIT :limit;\nCOMMIT;\n',
        variables={"name": here.database, "comment": comment_of(marker), "limit": str(limit)},
    )


def put_cfgloc(here: Here, access: Access) -> None:
    """Cfgloc as the source has it, with the port of the server here. Its host is put right when the node takes the service identity."""
    wanted = access.credentials.line(host=access.credentials.location.host, port=here.server.layout.port)
    if location.read_line(here.xcat_dir) != wanted:
        location.write_line(here.xcat_dir, wanted)
