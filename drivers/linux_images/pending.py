"""Running ``nodeset`` again for nodes whose installation is pending, and telling whether that was done. Standard library only.

A node's installation may end at any moment, and then ``nodeset`` would send it to another one. So the database is asked again right
before, and only nodes that it still calls pending are told. What was told is remembered in ``/run``: it counts for this boot only.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Sequence

from xcat_ha_drivers.linux_images.look import image_files, waiting
from xcat_ha_drivers.linux_images.nodes import Waiting
from xcat_ha_drivers.linux_images.tables import SBIN, TablesError, read_tables, rooted

_STAMPS = "/run/xcat-ha/images"
_BATCH = 500
NODESET_LIMIT_S = 1800.0


class NotSetError(Exception):
    """``nodeset`` did not do it for all nodes; the text names them and what it said."""


def still_waiting(image: str, names: Sequence[str]) -> list[Waiting]:
    """Those of ``names`` for which ``nodeset`` may be run now.

    Raises:
        TablesError: the database does not answer.
    """
    tables = read_tables()
    wanted = set(names)
    return [one for one in waiting(tables, image_files(tables)) if one.name in wanted and one.image == image and not one.trouble]


def replay(image: str, names: Sequence[str]) -> None:
    """Tell the nodes again to install ``image``.

    Raises:
        NotSetError: some could not be told.
        TablesError: the database does not answer.
    """
    said: list[str] = []
    left = still_waiting(image, names)
    for batch in _batches(left):
        done = _nodeset(",".join(one.name for one in batch), f"osimage={image}")
        said += (done.stderr.strip() or done.stdout.strip()).splitlines()[-5:] if done.returncode else []
    wrong = _not_set(left)
    _remember(image, [one.name for one in left if one.name not in wrong])
    if wrong:
        raise NotSetError(f"nodeset did not do it for {', '.join(sorted(wrong)[:20])}: {' / '.join(said)[:600] or 'it said nothing'}")


def not_replayed(image: str, names: Sequence[str]) -> dict[str, str]:
    """Node -> why it does not count as told, of those that still wait.

    Raises:
        TablesError: the database does not answer.
    """
    left = still_waiting(image, names)
    told = _remembered(image)
    untold = {one.name: "nodeset was not run for it since this node booted" for one in left if one.name not in told}
    return {**untold, **_not_set([one for one in left if one.name in told])}


def _not_set(nodes: Sequence[Waiting]) -> dict[str, str]:
    """Node -> what it boots instead of what it should, as ``nodeset … stat`` reads from its boot file."""
    wrong: dict[str, str] = {}
    for batch in _batches(nodes):
        shown = {}
        for line in _nodeset(",".join(one.name for one in batch), "stat").stdout.splitlines():
            name, _, state = line.partition(": ")
            shown[name] = state.strip()
        wrong |= {one.name: f"its boot file says {shown.get(one.name, 'nothing')!r}" for one in batch if shown.get(one.name) != one.state}
    return wrong


def _batches(nodes: Sequence[Waiting]) -> Iterator[Sequence[Waiting]]:
    for start in range(0, len(nodes), _BATCH):
        yield nodes[start : start + _BATCH]


def _nodeset(noderange: str, action: str) -> subprocess.CompletedProcess[str]:
    program = str(rooted(f"{SBIN}/nodeset"))
    try:
        return subprocess.run(
            (program, noderange, action), stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=NODESET_LIMIT_S, check=False,
        )  # fmt: skip
    except OSError as error:
        raise TablesError(f"{program} cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise TablesError(f"nodeset did not end within {NODESET_LIMIT_S:g} s") from error


def _stamp(image: str) -> str:
    return f"{_STAMPS}/{hashlib.sha256(image.encode()).hexdigest()[:24]}.json"


def _remembered(image: str) -> set[str]:
    try:
        names = json.loads(rooted(_stamp(image)).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    return set(names) if isinstance(names, list) else set()


def _remember(image: str, names: Sequence[str]) -> None:
    place = rooted(_stamp(image))
    place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = place.with_name(f"{place.name}.{os.getpid()}")
    new.write_text(json.dumps(sorted(_remembered(image) | set(names))), encoding="utf-8")
    new.replace(place)
