"""The key that DNS and DHCP share with xCAT: row omapi/xcat_key of table passwd."""

from __future__ import annotations

import base64
import secrets
import string

from .database import Database

ALPHABET = string.ascii_letters + string.digits


def omapi_key(database: Database) -> str:
    """The key; made and stored if there is none."""
    for row in database.rows("passwd"):
        if row["key"] == "omapi" and row["username"] == "xcat_key" and row["password"]:
            return row["password"]
    fresh = base64.b64encode("".join(secrets.choice(ALPHABET) for _ in range(32)).encode())
    key = fresh.decode()
    database.put("passwd", {"key": "omapi", "username": "xcat_key"}, {"password": key})
    return key
