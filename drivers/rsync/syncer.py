"""The driver: steps and observations. See :mod:`xcat_ha_drivers.rsync.push` for what happens on the nodes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from xcat_ha.errors import ConfigError
from xcat_ha.interfaces import FileSyncer, SetState, SyncState
from xcat_ha.models import CONFIG_PATH, STATE_DIR, FileSet, Node, Pair
from xcat_ha.ssh_command import rsh_words
from xcat_ha.steps import Check, Command, Completed, Effect, Probe, SaysVerdict, Step, Steps, reads
from xcat_ha.xcat.services import xcatd_is_stopped
from xcat_ha_drivers.rsync.spec import RECEIPTS_DIR, SyncSpec, to_words

_SET_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_NODES_OWN = (
    STATE_DIR, str(PurePosixPath(CONFIG_PATH).parent), "/etc/hostname", "/etc/fstab", "/etc/machine-id", "/run", "/proc", "/sys", "/dev",
)  # fmt: skip
"""What a set must neither be nor contain: it is each node's own, or no file at all."""

_YEAR_3000_S = 32503680000

# One line per receipt: its file's name, a tab, its one line of JSON. "end" proves that the answer is whole.
_RECEIPTS = """\
[ -d "$1" ] || { echo end; exit 0; }
cd "$1" || exit 1
for name in *.json *.unfinished; do
  [ -f "$name" ] || continue
  printf '%s\\t' "$name"
  head -n 1 -- "$name"
  case "$name" in *.unfinished) echo;; esac
done
echo end
"""


class Rsync(FileSyncer):
    """Pushes file sets with rsync over ssh, and merges text files that keep lines of their own.

    How it decides that nothing is to be done: a dry run of rsync finds no difference, and the target's receipt names this source. The
    same check is asked after a sync, so a sync counts as done only when a dry run proves it, never for its exit status or its receipt
    alone. It costs one pass over both trees (0.6 s for 50,000 files), as a bare rsync with nothing to send does.

    Options: ``timeout_s`` for one set, ``io_timeout_s`` of silence after which a connection counts as broken, ``bandwidth_kib_s``,
    and ``max_delete_pct``, which raises the delete guard's limit of every set whose own is lower (to let deletions pass once).
    """

    option_names = frozenset({"timeout_s", "io_timeout_s", "bandwidth_kib_s", "max_delete_pct"})

    def __init__(self, pair: Pair, options: Mapping[str, object]) -> None:
        """See :class:`~xcat_ha.interfaces.Driver`.

        Raises:
            ConfigError: an option is unknown, no whole number above zero, or no percentage.
        """
        super().__init__(pair, options)
        self._timeout_s = float(self.option("timeout_s", 24 * 3600))
        self._io_timeout_s = self.option("io_timeout_s", 120)
        self._bandwidth_kib_s = self.option("bandwidth_kib_s", 1) if "bandwidth_kib_s" in options else 0
        self._max_delete_pct = self.option("max_delete_pct", 25) if "max_delete_pct" in options else 0
        if self._max_delete_pct > 100:
            raise ConfigError("option 'max_delete_pct' is above 100", where=pair.source, hint="it is a percentage")

    def questions(self, node: Node) -> tuple[Command, ...]:
        """See :meth:`Driver.questions`. One: all receipts."""
        del node
        return (reads("sh", "-c", _RECEIPTS, "sh", RECEIPTS_DIR),)

    def interpret(self, node: Node, answers: Sequence[Completed]) -> SyncState:
        """See :meth:`Driver.interpret`."""
        del node
        answer = answers[0]
        lines = answer.stdout.splitlines()
        if not answer.ok or not lines or lines[-1] != "end":
            return SyncState(known=False, sets={})
        found: dict[str, SetState] = {}
        unfinished: list[str] = []
        for line in lines[:-1]:
            file, _, text = line.partition("\t")
            name, _, kind = file.rpartition(".")
            if kind == "json":
                found[name] = _set_state(text)
            elif kind == "unfinished":
                unfinished.append(name)
        for name in unfinished:
            known = found.get(name, SetState())
            detail = "; ".join(part for part in (known.detail, "a later sync has begun and not ended") if part)
            found[name] = SetState(known.last_sync, known.source, detail)
        return SyncState(known=True, sets=found)

    def steps_to_sync(self, source: Node, target: Node, file_sets: Sequence[FileSet]) -> Steps:
        """See :meth:`FileSyncer.steps_to_sync`. One step per set, on the source.

        Raises:
            ConfigError: a set cannot be synced as it is configured.
        """
        return tuple(self._step(source, target, file_set) for file_set in file_sets)

    def _step(self, source: Node, target: Node, file_set: FileSet) -> Step:
        self._require_usable(file_set)
        words = to_words(self._spec(source, target, file_set))
        program = (source.python, "-m", "xcat_ha_drivers.rsync.node_side")
        return Step(
            name=f"sync-{file_set.name}",
            why=f"{target.id} needs the files of set {file_set.name} ({', '.join(file_set.paths)}) as {source.id} has them",
            host=source.id,
            done_when=Check(
                question=f"file set {file_set.name} is equal on {source.id} and {target.id}",
                probes=(Probe(source.id, reads(*program, "check", *words, timeout_s=self._timeout_s)),),
                rule=SaysVerdict(),
                hint=f"if files are changing on {source.id} just now, sync again when that has ended",
            ),
            only_if=(xcatd_is_stopped(target),),
            commands=(
                Command(
                    argv=(*program, "push", *words),
                    effect=Effect.CHANGES,
                    timeout_s=self._timeout_s,
                    progress=None if file_set.keep_lines else "rsync",
                    stall_s=float(self._io_timeout_s),
                ),
            ),
        )

    def _spec(self, source: Node, target: Node, file_set: FileSet) -> SyncSpec:
        return SyncSpec(
            name=file_set.name,
            paths=file_set.paths,
            source=source.id,
            target=target.id,
            target_name=target.name,
            target_address=target.address,
            target_python=target.python,
            rsh=rsh_words(target),
            excludes=file_set.excludes,
            keep_lines=file_set.keep_lines,
            delete=file_set.delete,
            max_delete_pct=float(max(file_set.max_delete_pct, self._max_delete_pct)),
            must_be_mounted=file_set.must_be_mounted,
            numeric_ids=file_set.numeric_ids,
            io_timeout_s=self._io_timeout_s,
            bandwidth_kib_s=self._bandwidth_kib_s,
        )

    def _require_usable(self, file_set: FileSet) -> None:
        def error(what: str, hint: str) -> ConfigError:
            return ConfigError(f"file set {file_set.name!r}: {what}", where=self.pair.source, hint=hint)

        if not _SET_NAME.fullmatch(file_set.name):
            raise error("cannot be the name of a set", "use a-z, 0-9 and single -")
        if not file_set.paths:
            raise error("has no paths", 'for example paths = ["/srv/scripts"]')
        for path in file_set.paths:
            pure = PurePosixPath(path)
            if not pure.is_absolute() or ".." in pure.parts or len(pure.parts) < 2 or "\0" in path:
                raise error(f"{path!r} is not a usable path", "write absolute paths, without .., not / itself")
            for own in _NODES_OWN:
                if PurePosixPath(own).is_relative_to(pure) or pure.is_relative_to(own):
                    raise error(f"{path!r} would overwrite what is a node's own ({own})", "name only what both nodes must have equal")


def _set_state(text: str) -> SetState:
    """A receipt as an observation. ``last_sync`` is when the sync *began*: what changed on the source later is not in it."""
    try:
        facts: Any = json.loads(text)
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        return SetState(detail="its receipt cannot be read")
    source, notes, deleted = (facts.get(key) for key in ("source", "notes", "deleted"))
    started = _time(facts.get("started"))
    if started is None or not isinstance(source, str) or not source:
        return SetState(detail="its receipt cannot be read")
    when = datetime.fromtimestamp(started, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    parts = [f"received from {source} {when}", f"{deleted} deleted" if isinstance(deleted, int) and deleted else ""]
    parts += [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []
    return SetState(last_sync=started, source=source, detail="; ".join(part for part in parts if part))


def _time(value: object) -> float | None:
    """A plausible time in seconds since the epoch, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and 0 < value < _YEAR_3000_S else None
