"""The replication role and its password: generated, known to the two nodes only, in a file of mode 0600; the server gets its verifier.

Facts: RFC 5802 and RFC 7677 (SCRAM-SHA-256); PostgreSQL stores ``SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`` (documentation
of ``pg_authid``), and takes such a text as it is where a password is set. What ``pg_rewind`` may need beside REPLICATION: execution of four
functions (its documentation, "Notes").
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from xcat_ha_drivers.database.disk import rooted
from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.layout import Layout
from xcat_ha_drivers.postgres.server import Server
from xcat_ha_drivers.postgres_streaming._peer import first_line_at_peer
from xcat_ha_drivers.postgres_streaming._places import PASSFILE, ROLE, Given, owner_directory, write_for_owner

_ITERATIONS = 4096
_STORED = """SELECT to_jsonb(x) FROM (SELECT rolpassword AS verifier, rolreplication AND rolcanlogin AS able FROM pg_authid
WHERE rolname = 'xcat_ha') x"""
_GRANTS = """
GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text, boolean, boolean) TO xcat_ha;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_stat_file(text, boolean) TO xcat_ha;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_binary_file(text) TO xcat_ha;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) TO xcat_ha;
"""
_GRANTED = """
SELECT to_jsonb(has_function_privilege('xcat_ha', 'pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)', 'EXECUTE')
 AND has_function_privilege('xcat_ha', 'pg_catalog.pg_read_binary_file(text)', 'EXECUTE')
 AND has_function_privilege('xcat_ha', 'pg_catalog.pg_stat_file(text, boolean)', 'EXECUTE')
 AND has_function_privilege('xcat_ha', 'pg_catalog.pg_ls_dir(text, boolean, boolean)', 'EXECUTE'))
"""


def verifier_of(password: str, salt: bytes, iterations: int = _ITERATIONS) -> str:
    """What the server stores of a password. The password is ASCII, so no normalisation is needed."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored, server = hashlib.sha256(client_key).digest(), hmac.digest(salted, b"Server Key", "sha256")
    words = (base64.b64encode(data).decode("ascii") for data in (salt, stored, server))
    salt_word, stored_word, server_word = words
    return f"SCRAM-SHA-256${iterations}:{salt_word}${stored_word}:{server_word}"


def is_verifier_of(verifier: str, password: str) -> bool:
    """Whether a stored text belongs to the password."""
    try:
        method, parameters, _keys = verifier.split("$")
        count, _, salt = parameters.partition(":")
        if method != "SCRAM-SHA-256":
            return False
        return hmac.compare_digest(verifier, verifier_of(password, base64.b64decode(salt, validate=True), int(count)))
    except ValueError:
        return False


def known_password() -> str:
    """The password in this node's file; empty if there is none."""
    try:
        line = rooted(PASSFILE).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return line.rpartition(":")[2]


def _keep(password: str, layout: Layout) -> None:
    owner_directory(layout)
    write_for_owner(rooted(PASSFILE), f"*:*:*:{ROLE}:{password}\n", layout)


def make_password(layout: Layout) -> None:
    """Make one, unless there is one."""
    if not known_password():
        _keep(secrets.token_hex(24), layout)


def fetch_password(given: Given, layout: Layout) -> None:
    """Take over the other node's.

    Raises:
        PostgresError: the other node does not answer, or has none that can be used.
    """
    password = first_line_at_peer(given, PASSFILE).strip().rpartition(":")[2]
    if not (password.isascii() and password.isalnum()):
        hint = f"remove it there, then run the sync: {given.peer} makes a new one"
        raise PostgresError(f"{PASSFILE} on {given.peer} holds no password of {ROLE}", hint=hint)
    if password != known_password():
        _keep(password, layout)


def has_role(server: Server) -> bool:
    """Whether the server's role has this node's password and what else it needs."""
    found = server.ask(_STORED)
    password = known_password()
    if not found or not password or not found[0]["able"] or not is_verifier_of(found[0]["verifier"] or "", password):
        return False
    return bool(server.ask(_GRANTED)[0])


def make_role(server: Server) -> None:
    """Make the role, or put it right. The server is told the verifier, never the password, so that no log of statements can hold it."""
    verifier = verifier_of(known_password(), secrets.token_bytes(16))
    exists = bool(server.ask(_STORED))
    verb = "ALTER" if exists else "CREATE"
    # Where commits wait for the standby, and the standby waits for this very password, nobody would ever be served.
    options = f"LOGIN REPLICATION NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '{verifier}'"
    server.ask(f"SET synchronous_commit = local;\n{verb} ROLE {ROLE} WITH {options};\n{_GRANTS}")
