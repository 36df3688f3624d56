"""The replication account, and xCAT's own from everywhere it may come. Statements hold hashes where the server logs what it is told.

Facts: mysqlsetup grants to ``xcatadmin`` at the MN's address and at localhost (xCAT 1.4), so that after a change of primary nobody gets in;
``*`` and SHA1(SHA1(password)) is the native password hash (MariaDB's knowledge base, "PASSWORD").
"""
# ruff: noqa: S608  # names come from cfgloc (checked) or the server's catalogue, values as hexadecimal literals

from __future__ import annotations

import hashlib
import secrets

from xcat_ha_drivers.database.disk import made, rooted, write_durably
from xcat_ha_drivers.mysql import _location
from xcat_ha_drivers.mysql._dialect import Dialect
from xcat_ha_drivers.mysql._peer import file_of_peer, known_password
from xcat_ha_drivers.mysql._places import BASE_DIR, PASSWORD_FILE, USER, Given
from xcat_ha_drivers.mysql._server import Server, literal, local, login_options, quoted
from xcat_ha_drivers.mysql.errors import MysqlError

_GLOBAL = "RELOAD, REPLICATION SLAVE, REPLICATION CLIENT"
_OF_DATABASE = "SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES"


def native_hash(password: str) -> str:
    """What the server stores of a password with ``mysql_native_password``."""
    inner = hashlib.sha1(password.encode("utf-8", "surrogateescape"), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(inner, usedforsecurity=False).hexdigest().upper()


def make_password() -> None:
    """Make one, unless there is one."""
    if not known_password():
        made(rooted(BASE_DIR))
        write_durably(rooted(PASSWORD_FILE), f"{secrets.token_hex(24)}\n")


def fetch_password(given: Given) -> None:
    """Take over the other node's.

    Raises:
        MysqlError: the other node does not answer, or has none that can be used.
    """
    password = file_of_peer(given, PASSWORD_FILE).strip()
    if not (password.isascii() and password.isalnum()):
        raise MysqlError(f"{PASSWORD_FILE} on {given.peer} holds no password", hint=f"remove it there, then run the sync again for {USER}")
    if password != known_password():
        made(rooted(BASE_DIR))
        write_durably(rooted(PASSWORD_FILE), f"{password}\n")


def _hosts(given: Given) -> tuple[str, ...]:
    return ("localhost", given.address, given.peer_address, *given.service)


def why_no_accounts(given: Given, server: Server, dialect: Dialect) -> str:
    """Empty if both accounts are there from everywhere they have to be."""
    login = _location.read(given.xcat_dir)
    for user, password, hosts in (
        (USER, known_password(), (given.address, given.peer_address)),
        (login.user, login.password, _hosts(given)),
    ):
        if not password:
            return f"there is no password of {user}"
        for host in hosts:
            reason = _why_not_as_told(server, dialect, user, host, password)
            if reason:
                return reason
    return ""


def _why_not_as_told(server: Server, dialect: Dialect, user: str, host: str, password: str) -> str:
    """MySQL's hash has a salt of the server's: that the account is there is all that is compared."""
    rows = server.rows(
        f"SELECT authentication_string AS stored, ssl_type AS tls FROM mysql.user WHERE User = {literal(user)} AND Host = {literal(host)};"
    )
    if not rows:
        return f"there is no account {user} from {host}"
    if dialect.is_mariadb and rows[0]["stored"] != native_hash(password):
        return f"account {user} from {host} has another password"
    return f"account {user} from {host} needs no TLS" if user == USER and rows[0]["tls"] != "ANY" else ""


def make_accounts(given: Given, server: Server, dialect: Dialect) -> None:
    """Make them, or put them right; xCAT's keeps what it has from elsewhere. Errors as :meth:`Server.do`."""
    make_password()
    login = _location.read(given.xcat_dir)
    statements = []
    for host in (given.address, given.peer_address):
        who, told = f"{quoted(USER)}@{quoted(host)}", dialect.identified(known_password(), native_hash(known_password()))
        if _why_not_as_told(server, dialect, USER, host, known_password()):
            statements += [f"CREATE USER IF NOT EXISTS {who} {told} REQUIRE SSL;", f"ALTER USER {who} {told} REQUIRE SSL;"]
        statements += [f"GRANT {_GLOBAL} ON *.* TO {who};", f"GRANT {_OF_DATABASE} ON `{login.database}`.* TO {who};"]
        statements += [f"GRANT SELECT ON mysql.* TO {who};"]
    for host in _hosts(given):
        who, told = f"{quoted(login.user)}@{quoted(host)}", dialect.identified(login.password, native_hash(login.password))
        if _why_not_as_told(server, dialect, login.user, host, login.password):
            statements += [f"CREATE USER IF NOT EXISTS {who} {told};", f"ALTER USER {who} {told};"]
        statements += [f"GRANT ALL PRIVILEGES ON `{login.database}`.* TO {who};"]
    server.do("\n".join(statements))


def copied_accounts(source: Server, dialect: Dialect, database: str) -> str:
    """Statements that make, elsewhere, all accounts that have rights on the database, with their hashed passwords. Never print them."""
    query = (
        "SELECT CONCAT(HEX(User), ' ', HEX(Host)) FROM mysql.user WHERE User NOT IN ('', 'root', 'mysql', 'mariadb.sys')"
        f" AND User IN (SELECT User FROM mysql.db WHERE REPLACE(Db, '\\\\', '') = {literal(database)});"
    )
    prelude = "" if dialect.is_mariadb else "SET SESSION print_identified_with_as_hex = ON;"
    statements = []
    for line in source.values(query):
        user, host = (quoted(bytes.fromhex(word).decode("utf-8")) for word in line.split(" "))
        who = f"{user}@{host}"
        statements += [f"DROP USER IF EXISTS {who};"]
        statements += [f"{made_by};" for made_by in source.values(f"{prelude}SHOW CREATE USER {who};")]
        statements += [f"{grant};" for grant in source.values(f"SHOW GRANTS FOR {who};")]
    return "\n".join([*statements, "FLUSH PRIVILEGES;"])


def why_no_login(given: Given) -> str:
    """Empty if xCAT gets in with cfgloc as it is, once this node has the role: over the local socket it does already."""
    login = _location.read(given.xcat_dir)
    if login.host not in given.service:
        return f"cfgloc names the host {login.host}"
    here = local(given.node)
    port = here.value("SELECT @@global.port;")
    if str(login.port) != port:
        return f"cfgloc names port {login.port}, the server has {port}"
    own = login_options(login.user, login.password, protocol="socket", socket=here.value("SELECT @@global.socket;"))
    try:
        Server(own, f"the database server of {given.node}").value(f"SELECT COUNT(*) FROM `{login.database}`.site;")
    except MysqlError as error:
        return f"xCAT does not get in: {error.what}"
    return ""


def take_login(given: Given) -> None:
    """Fetch the other node's cfgloc, and let it name the service address."""
    login = _location.parse(file_of_peer(given, f"{given.xcat_dir}/cfgloc").splitlines()[0])
    point_login(given, login)


def point_login(given: Given, login: _location.Login | None = None) -> None:
    """Let cfgloc name the service address and the server's port; everything else in it stays."""
    found = login or _location.read(given.xcat_dir)
    port = int(local(given.node).value("SELECT @@global.port;"))
    _location.write(given.xcat_dir, found.line(given.service[0], port))
