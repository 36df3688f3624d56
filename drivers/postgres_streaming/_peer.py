"""A file of the other node's, read by ssh (its host key is verified)."""

from __future__ import annotations

import shlex
import subprocess

from xcat_ha_drivers.postgres.errors import PostgresError
from xcat_ha_drivers.postgres_streaming._places import Given

_LIMIT_S = 60.0


def first_line_at_peer(given: Given, path: str) -> str:
    """The first line of a file there.

    Raises:
        PostgresError: the other node does not answer, or the file is empty or cannot be read.
    """
    argv = [*given.rsh.split(), f"root@{given.peer_address}", shlex.join(("head", "-n", "1", "--", path))]
    try:
        ended = subprocess.run(argv, capture_output=True, check=False, timeout=_LIMIT_S, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise PostgresError(f"{given.peer} did not answer ssh within {_LIMIT_S:g} s", hint="is the network there?") from error
    line = ended.stdout.decode("utf-8", "surrogateescape").rstrip("\n")
    if ended.returncode != 0 or not line:
        said = ended.stderr.decode("utf-8", "replace").strip().splitlines()
        raise PostgresError(
            f"{path} cannot be fetched from {given.peer}: {said[-1][:200] if said else 'it is empty'}",
            hint=f"does ssh from here to {given.peer} work with xcat-ha's key?",
        )
    return line
