"""What PostgreSQL's programs and the kernel say, and what that tells of the server. No server runs here."""

from __future__ import annotations

from pathlib import Path

import pytest

from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres.layout import Layout
from xcat_ha_drivers.postgres.questions import listens
from xcat_ha_drivers.postgres.server import Server, ServerDownError

HERE = Server(Layout("15", "/data", "/etc/c.conf", "/etc/h.conf", "/usr/bin", "/run/postgresql", 5432, "postgresql.service", 26, 26))
SOCKET = 'psql: error: connection to server on socket "/run/postgresql/.s.PGSQL.5432" failed: '


@pytest.mark.parametrize(
    "said",
    [
        SOCKET + "No such file or directory\n\tIs the server running locally and accepting connections on that socket?",
        SOCKET + "Connection refused\n\tIs the server running locally and accepting connections on that socket?",
        SOCKET + "FATAL:  the database system is starting up",
        SOCKET + "FATAL:  the database system is shutting down",
        SOCKET
        + "FATAL:  the database system is not yet accepting connections\nDETAIL:  Consistent recovery state has not been yet reached.",
        "psql: could not connect to server: No such file or directory",
        "psql: FATAL:  the database system is in recovery mode",
    ],
)
def test_nobody_who_serves_is_down(said: str) -> None:
    assert isinstance(HERE.failure(said, "psql ended with 2"), ServerDownError)


@pytest.mark.parametrize(
    "said",
    [
        SOCKET + 'FATAL:  Peer authentication failed for user "postgres"',
        SOCKET + "FATAL:  sorry, too many clients already",
        SOCKET + 'FATAL:  role "postgres" does not exist',
        SOCKET + 'FATAL:  database "xcatdb" does not exist',
        SOCKET + 'FATAL:  no pg_hba.conf entry for host "[local]", user "postgres", database "postgres", no encryption',
        'ERROR:  relation "nodelist" does not exist',
    ],
)
def test_a_server_that_refuses_is_not_down(said: str) -> None:
    """It may well be the primary: whoever took it for down would start it, or take what it has for a copy."""
    assert not isinstance(HERE.failure(said, "psql ended with 2"), ServerDownError)


# -- who listens: the kernel's own tables, as they were read while PostgreSQL 15 ran with listen_addresses = '::'

_HEADING = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
_NOBODY = "00000000000000000000000000000000"


def kernel_tables(root: Path, *, four: str = "", six: str = "") -> None:
    (root / "proc/net").mkdir(parents=True)
    for name, line in (("tcp", four), ("tcp6", six)):
        (root / "proc/net" / name).write_text(_HEADING + line)


@pytest.mark.parametrize(("address", "expected"), [("fd77::11", True), ("10.77.0.11", False)])
def test_postgresql_at_every_ipv6_address_is_at_no_ipv4_one(
    address: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its IPv6 sockets are for IPv6 only: psql -h 127.0.0.1 is refused."""
    monkeypatch.setenv("XCAT_HA_ROOT", str(tmp_path))
    kernel_tables(tmp_path, six=f"   0: {_NOBODY}:1538 {_NOBODY}:0000 0A 00000000:00000000 00:00000000 00000000   101        0 1 1 0\n")
    assert listens(address, 5432) is expected


def test_who_listens_is_not_known_without_the_kernels_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XCAT_HA_ROOT", str(tmp_path))
    with pytest.raises(PostgresError, match="nobody knows who listens"):
        listens("10.77.0.11", 5432)
