"""What PostgreSQL's programs complain of, and what that says about the server. No server runs here."""

from __future__ import annotations

import pytest

from xcat_ha_drivers.postgres.layout import Layout
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
        SOCKET + "FATAL:  the database system is not yet accepting connections\nDETAIL:  Consistent recovery state has not been yet reached.",
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
        "ERROR:  relation \"nodelist\" does not exist",
    ],
)
def test_a_server_that_refuses_is_not_down(said: str) -> None:
    """It may well be the primary: whoever took it for down would start it, or take what it has for a copy."""
    assert not isinstance(HERE.failure(said, "psql ended with 2"), ServerDownError)
