"""The secrets of the sample site, and where they must not be found."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping

from tests.lab import Lab
from tests.lab.product import REPOSITORY

_DATA = REPOSITORY / "tests/data/sqlite"
# Where the product writes: its journals, its state, the system's log. The copies of the database hold secrets by nature.
_FILES = "/var/lib/xcat-ha/journal/* /var/lib/xcat-ha/files/* /run/xcat-ha/*.json"
_READABLE = f"cat {_FILES} 2>/dev/null; journalctl --no-pager -o cat 2>/dev/null"


def secrets_of(lab: Lab) -> Mapping[str, str]:
    """Label -> value: BMC passwords and the OMAPI key of the data, a line of each private key made for this site."""
    found: dict[str, str] = {}
    with contextlib.closing(sqlite3.connect(f"file:{_DATA}/ipmi.sqlite?immutable=1", uri=True)) as ipmi:
        found |= {f"bmc password {row[0]}": str(row[0]) for row in ipmi.execute("SELECT password FROM ipmi WHERE password != '' LIMIT 5")}
    with contextlib.closing(sqlite3.connect(f"file:{_DATA}/passwd.sqlite?immutable=1", uri=True)) as passwd:
        rows = passwd.execute("SELECT key, password FROM passwd WHERE length(password) > 7").fetchall()
        found |= {f"passwd {key}": str(password) for key, password in rows}
    node = lab.node("mna")
    for path in ("/root/.xcat/client-key.pem", "/root/.ssh/id_rsa", "/etc/xcat/ca/private/ca-key.pem"):
        lines = node.run(("cat", path), check=False).stdout.splitlines()
        if len(lines) > 3:
            found[f"key {path}"] = lines[2]
    return found


def where_written(lab: Lab, secrets: Mapping[str, str]) -> list[str]:
    """Secrets found in logs and journals of either node."""
    found: list[str] = []
    for node in lab.nodes.values():
        text = node.run(("sh", "-c", _READABLE), check=False, timeout_s=60).stdout
        found += [f"{label} on {node.id}" for label, value in secrets.items() if value in text]
    return found
