"""What xCAT needs beside the tables to get at them: cfgloc, and the roles with their hashed passwords. It travels with each copy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from xcat_ha_drivers.postgres import location
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.location import Credentials
from xcat_ha_drivers.postgres.server import Server

# Those the database depends on (owners, whoever was granted something), xCAT's own, and "root", which pgsqlsetup makes beside it.
_ROLES = """
SELECT to_jsonb(x) FROM (
SELECT rolname AS name, rolcanlogin AS login, rolinherit AS inherit, rolcreatedb AS createdb, rolcreaterole AS createrole,
       rolpassword AS password, nullif(rolvaliduntil::text, 'infinity') AS valid_until
FROM pg_authid a WHERE NOT rolsuper AND rolname !~ '^pg_' AND (rolname IN (:'user', 'root') OR EXISTS (
  SELECT 1 FROM pg_shdepend d JOIN pg_database b ON b.datname = :'database'
  WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = a.oid
    AND (d.dbid = b.oid OR (d.classid = 'pg_database'::regclass AND d.objid = b.oid))))
ORDER BY rolname) x;
"""
_DATABASE = """
SELECT jsonb_build_object('encoding', pg_encoding_to_char(encoding), 'collate', datcollate, 'ctype', datctype,
  'owner', pg_get_userbyid(datdba), 'grants', (SELECT coalesce(jsonb_agg(jsonb_build_array(coalesce(r.rolname, ''), e.privilege_type)
    ORDER BY coalesce(r.rolname, ''), e.privilege_type), '[]')
    FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) e LEFT JOIN pg_roles r ON r.oid = e.grantee))
FROM pg_database WHERE datname = :'database';
"""


class Access(NamedTuple):
    """See the module.

    Attributes:
        line: of cfgloc, password and all.
        roles: as the catalog has them, passwords hashed.
        database: encoding, collate, ctype, owner, grants.
    """

    line: str
    roles: Sequence[Mapping[str, Any]]
    database: Mapping[str, Any]

    @property
    def text(self) -> str:
        """As it is kept in a file: the same for the same access."""
        return json.dumps(self._asdict(), indent=1, sort_keys=True) + "\n"

    @property
    def credentials(self) -> Credentials:
        """Of cfgloc."""
        return location.parse(self.line)


def access_of(server: Server, credentials: Credentials, line: str) -> Access:
    """Read it on the source."""
    names = {"user": credentials.location.user, "database": credentials.location.database}
    found = server.ask(_DATABASE, variables=names)
    if not found:
        raise PostgresError(
            f"the server on port {server.layout.port} has no database {credentials.location.database}",
            hint="does cfgloc name the right server? if there are several, set data_directory in [database]",
        )
    return Access(line, server.ask(_ROLES, variables=names), found[0])


def read_access(path: Path) -> Access:
    """Read the file that travelled with a copy.

    Raises:
        PostgresError: it cannot be understood.
    """
    try:
        document: Any = json.loads(path.read_text())
        return Access(str(document["line"]), list(document["roles"]), dict(document["database"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PostgresError(f"{path} is not usable ({type(error).__name__})", hint="run the sync again; it makes a new copy") from error


class Roles(NamedTuple):
    """What is to be done about roles: names of those that are missing, and all that are not as they are on the source."""

    missing: Sequence[str]
    wanted: Sequence[Mapping[str, Any]]


def compare_roles(server: Server, access: Access) -> Roles:
    """Compare the roles here with those of the source."""
    here = {str(role["name"]): role for role in _roles_here(server, [str(role["name"]) for role in access.roles])}
    wanted = [role for role in access.roles if here.get(str(role["name"])) != role]
    return Roles([str(role["name"]) for role in wanted if str(role["name"]) not in here], wanted)


def create_statements(roles: Roles) -> str:
    """Make those that are missing, so that they can own something; nobody can log in as one yet."""
    return "".join(_create_statement(name) for name in roles.missing)


def put_roles(server: Server, roles: Roles) -> None:
    """Make the roles as they are on the source. None is removed.

    Raises:
        PostgresError: a role here is a superuser of the same name, or the server refuses.
    """
    if roles.wanted:
        # Passwords are hashed, and still nobody's business: they go through stdin, and logging of statements is off in this session.
        server.ask(
            "SET log_min_duration_statement = -1;\nSET log_min_error_statement = panic;\n" + "".join(map(_role_statements, roles.wanted))
        )


_HERE = """
SELECT to_jsonb(x) FROM (
SELECT rolname AS name, rolcanlogin AS login, rolinherit AS inherit, rolcreatedb AS createdb, rolcreaterole AS createrole,
       rolpassword AS password, nullif(rolvaliduntil::text, 'infinity') AS valid_until
FROM pg_authid WHERE NOT rolsuper AND rolname IN (SELECT jsonb_array_elements_text(:'names'::jsonb))) x;
"""


def _roles_here(server: Server, names: Iterable[str]) -> list[Mapping[str, Any]]:
    return server.ask(_HERE, variables={"names": json.dumps(list(names))})


def _create_statement(name: str) -> str:
    return f"DO $xcatha$ BEGIN CREATE ROLE {identifier(name)}; EXCEPTION WHEN duplicate_object THEN NULL; END $xcatha$;\n"


def _role_statements(role: Mapping[str, Any]) -> str:
    name = identifier(str(role["name"]))
    words = [f"{'' if role[key] else 'NO'}{key.upper()}" for key in ("login", "inherit", "createdb", "createrole")]
    words.append(f"PASSWORD {literal(str(role['password']))}" if role["password"] else "PASSWORD NULL")
    words.append(f"VALID UNTIL {literal(str(role['valid_until'] or 'infinity'))}")
    return f"{_create_statement(str(role['name']))}ALTER ROLE {name} {' '.join(words)};\n"


def grant_statements(access: Access, database: str) -> str:
    """The grants on the database itself, which pg_dump leaves out."""
    name = identifier(database)
    lines = [f"REVOKE ALL ON DATABASE {name} FROM PUBLIC;"]
    for grantee, privilege in access.database["grants"]:
        if privilege in {"CREATE", "CONNECT", "TEMPORARY"}:
            lines.append(f"GRANT {privilege} ON DATABASE {name} TO {identifier(grantee) if grantee else 'PUBLIC'};")
    return "\n".join(lines) + "\n"


def identifier(name: str) -> str:
    """A name in SQL."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def literal(text: str) -> str:
    """A text in SQL (standard_conforming_strings is on by default; backslashes are spelled out all the same)."""
    doubled = text.replace("'", "''").replace("\\", "\\\\")
    return f"E'{doubled}'"
