"""Writing what was prepared as a runbook."""

from __future__ import annotations

import os
from pathlib import Path

from xcat_ha._version import own_version
from xcat_ha.carried import FIND_PYTHON, carried_sources, shell_functions
from xcat_ha.errors import RefusedError, UnreachableError
from xcat_ha.operations import Prepared, Workshop
from xcat_ha.runbook import node_programs, runbook
from xcat_ha.steps import reads


def write_runbook(workshop: Workshop, prepared: Prepared, path: Path) -> None:
    """Write what was prepared to ``path`` (mode 0700, replacing a file), as a shell script that does it without xcat-ha.

    Raises:
        RefusedError: a runbook cannot carry what the plan needs, a node has no Python for it, or ``path`` cannot be written.
        UnreachableError: a node that takes part did not answer.
    """
    outline = prepared.outline
    if outline is None:
        raise RefusedError("there is no runbook of this", state="nothing was written", hint="failover, failback and rejoin have one")
    for node in outline.nodes:
        answer = workshop.runner.read_many(node.id, (reads("sh", "-c", FIND_PYTHON, "sh"),))[0]
        if answer.returncode is None:
            raise UnreachableError(f"{node.id} did not answer: {answer.summary}", state="nothing was written", hint="xcat-ha status")
        if not answer.ok:
            raise RefusedError(
                f"{node.id} has no Python of its own for a runbook: 3.11 or newer, with sqlite3",
                state="nothing was written",
                hint=f"install the system's python3 (or python3.11) on {node.id}; xcat-ha's own may be what is broken that night",
            )
    version = own_version("of unknown version")
    _write(path, runbook(outline, carried_sources(node_programs(outline)), shell_functions(), version=version))


def _write(path: Path, text: str) -> None:
    """In one piece: a runbook that is cut off, or half old and half new, is worse than none."""
    if path.exists() and not path.is_file():
        raise RefusedError(f"{path} is there, and is no file", state="nothing was written", hint="give a path for a new file")
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o700)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            os.fchmod(descriptor, 0o700)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        what = f"the runbook cannot be written: {error.strerror}"
        raise RefusedError(what, where=str(path), state="nothing was changed", hint="give a directory with room") from error
