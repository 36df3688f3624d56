"""The other node: its files by ssh (host key verified), its server by TLS, whose certificate came by ssh."""

from __future__ import annotations

import shlex
import subprocess

from xcat_ha_drivers.database.disk import rooted
from xcat_ha_drivers.mysql._places import PASSWORD_FILE, SERVER_DIR, USER, Given
from xcat_ha_drivers.mysql._server import Server, local, login_options
from xcat_ha_drivers.mysql.errors import MysqlError, ServerDownError

PEER_CERTIFICATE = f"{SERVER_DIR}/peer.crt"
_LIMIT_S = 60.0
_CONNECT_LIMIT_S = 5


def file_of_peer(given: Given, path: str) -> str:
    """A small text file there.

    Raises:
        MysqlError: the other node does not answer, or the file is empty or cannot be read.
    """
    argv = [*given.rsh.split(), f"root@{given.peer_address}", shlex.join(("cat", "--", path))]
    try:
        ended = subprocess.run(argv, capture_output=True, check=False, timeout=_LIMIT_S, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise MysqlError(f"{given.peer} did not answer ssh within {_LIMIT_S:g} s", hint="is the network there?") from error
    text = ended.stdout.decode("utf-8", "surrogateescape")
    if ended.returncode != 0 or not text.strip():
        said = ended.stderr.decode("utf-8", "replace").strip().splitlines()
        raise MysqlError(
            f"{path} cannot be fetched from {given.peer}: {said[-1][:200] if said else 'it is empty'}",
            hint=f"does ssh from here to {given.peer} work with xcat-ha's key?",
        )
    return text


def known_password() -> str:
    """The password of the replication account in this node's file; empty if there is none."""
    try:
        return rooted(PASSWORD_FILE).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def server_of_peer(given: Given) -> Server:
    """The other node's server, as the replication account. The two use the same port.

    Raises:
        ServerDownError: this node does not know enough to get in there.
    """
    here, password = local(given.node), known_password()
    certificate = rooted(PEER_CERTIFICATE)
    if not password or not certificate.exists():
        raise ServerDownError(f"{given.node} does not know how to reach the server of {given.peer} yet", hint="run the sync")
    verify = {"ssl_verify_server_cert": ""} if here.dialect().is_mariadb else {"ssl_mode": "VERIFY_IDENTITY"}
    options = login_options(
        USER,
        password,
        host=given.peer_address,
        port=here.value("SELECT @@global.port;"),
        protocol="tcp",
        loose_connect_timeout=str(_CONNECT_LIMIT_S),  # the dump program does not know it
        ssl_ca=str(certificate),
        **verify,
    )
    return Server(options, f"the database server of {given.peer}")
