"""One pass of rsync over a file set: its words, and what a dry run says. Standard library only."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

from xcat_ha_drivers.rsync.present import Present, root
from xcat_ha_drivers.rsync.spec import RECEIPTS_DIR, SyncSpec

PARTIAL_DIR = ".xcat-ha-partial"
"""Below each directory that receives: what was sent of a file when the connection broke, and with --delay-updates the files that wait."""

RECEIPT_MARK = "xcat-ha-receipt "

# The far side enters its root directory (XCAT_HA_ROOT in tests), says on stderr what it knows of the last sync, or marks that one has
# begun (with the number of the process that rsync becomes), and becomes rsync. That costs no exchange of its own.
# {name} holds only letters, digits and "-".
_ENTER = 'cd "${{XCAT_HA_ROOT:-/}}" || exit 3; '
_ASKED = _ENTER + "{{ printf '\\n{mark}'; cat {receipts}/{name}.json 2>/dev/null; echo; }} >&2; exec rsync"
_BEGUN = _ENTER + "mkdir -p {receipts} && echo $$ > {receipts}/{name}.unfinished || exit 11; exec rsync"
_CHANGE = re.compile(rb"([<>ch.][fdLDS][^ ]{9}|\*deleting  ) (.*)")
_COUNTS = re.compile(rb"Number of (files|created files|deleted files): (\d+)(?: \((.*)\))?")
_ESCAPED = re.compile(rb"\\#(\d{3})")
_LAST_WORDS = 200
_MOST_CHANGED = 5000


class Differences(NamedTuple):
    """What a dry run found.

    Attributes:
        code: rsync's exit status; None if it was ended because enough had been seen.
        changed: paths (as the host names them) of files that are missing or not equal on the target; only the first thousands of them.
        deleted: paths that are on the target only; directories end in ``/``.
        target_files: how many files (directories not counted) the target has in the set; None if it was ended before.
        said: what rsync said on stderr.
        receipt: text of the receipt on the target; empty if there is none.
    """

    code: int | None
    changed: tuple[str, ...]
    deleted: tuple[str, ...]
    target_files: int | None
    said: str
    receipt: str


def words(spec: SyncSpec, present: Present, *options: str, far_side: str = _ASKED) -> list[str]:
    """The command line of one pass.

    ``-R`` with ``/./`` makes every path a path below the target's root and lets hard links between the paths of a set be kept;
    ``--no-implied-dirs`` leaves the directories above them alone. Names never go through a shell (``-s``). Times are compared in full
    (``--modify-window=-1``): a key written anew within the same second has the same size.
    """
    far_program = far_side.format(mark=RECEIPT_MARK, receipts=RECEIPTS_DIR.lstrip("/"), name=spec.name)
    return [
        "rsync", "-aHAX", "-R", "--no-implied-dirs", "-s", "--modify-window=-1", "--no-human-readable",
        *(["--numeric-ids"] if spec.numeric_ids else []),
        "-e", spec.rsh, f"--rsync-path={far_program}",
        f"--timeout={spec.io_timeout_s}",
        *(f"--filter=- {pattern}" for pattern in spec.excludes),
        *options,
        "--", *(f"{root()}/.{path}" for path in present.paths), spec.rsync_destination,
    ]  # fmt: skip


def find_differences(spec: SyncSpec, present: Present, *, enough: int | None = None) -> Differences:
    """A dry run: what is not equal on the target, by type, size, time, owner, modes, ACLs, attributes and links.

    ``enough`` ends it after so many differences: to know that a sync is due takes no full pass.
    """
    # Like --partial-dir it leaves those directories alone, but without a look for one beside every file, a third of the time of a pass.
    leave = f"--filter=-p {PARTIAL_DIR}/"
    options = ["--dry-run", "--itemize-changes", "--stats", leave, *(["--delete"] if spec.delete else [])]
    changed: list[str] = []
    deleted: list[str] = []
    numbers: dict[str, int] = {}
    argv = words(spec, present, *options)
    with os.fdopen(os.memfd_create("said"), "w+b") as said, _started(argv, stdout=subprocess.PIPE, stderr=said) as process:
        for line in process.stdout or ():
            _take(line.rstrip(b"\n"), changed, deleted, numbers)
            if enough is not None and len(changed) + len(deleted) >= enough:
                process.kill()  # a dry run has nothing to clean up, and would take half a second for it
                return Differences(None, tuple(changed), tuple(deleted), None, "", "")
        process.wait()
        said.seek(0)
        text, receipt = split_receipt(said.read().decode("utf-8", "surrogateescape"))
    files = numbers["files"] - numbers["created files"] + numbers["deleted files"] if len(numbers) == 3 else None
    return Differences(process.returncode, tuple(changed), tuple(deleted), files, text, receipt)


def transfer(spec: SyncSpec, present: Present, *options: str) -> tuple[int, str]:
    """A pass that changes the target; its progress goes to our stdout. Exit status, and its last words on stderr."""
    limit = [f"--bwlimit={spec.bandwidth_kib_s}"] if spec.bandwidth_kib_s else []
    argv = words(spec, present, "--info=progress2", f"--partial-dir={PARTIAL_DIR}", *limit, *options, far_side=_BEGUN)
    said: list[str] = []
    with _started(argv, stdout=None, stderr=subprocess.PIPE) as process:
        for line in process.stderr or ():
            sys.stderr.buffer.write(line)
            sys.stderr.flush()
            said.append(line.decode("utf-8", "surrogateescape"))
            del said[:-_LAST_WORDS]
        process.wait()
    return process.returncode, "".join(said)


def split_receipt(said: str) -> tuple[str, str]:
    """What rsync said, and the receipt's text that the far side put in between."""
    lines = said.splitlines()
    receipts = [line[len(RECEIPT_MARK) :] for line in lines if line.startswith(RECEIPT_MARK)]
    rest = [line for line in lines if line.strip() and not line.startswith(RECEIPT_MARK)]
    return "\n".join(rest), receipts[-1].strip() if receipts else ""


def _take(line: bytes, changed: list[str], deleted: list[str], numbers: dict[str, int]) -> None:
    change = _CHANGE.fullmatch(line)
    if change is not None:
        kind, name = change.groups()
        if kind[1:2] == b"L" or kind[:1] == b"h":
            name = name.split(b" -> ")[0].split(b" => ")[0]
        found = deleted if kind.startswith(b"*") else changed
        if found is deleted or len(changed) < _MOST_CHANGED:
            found.append("/" + os.fsdecode(_unescaped(name)))
        return
    count = _COUNTS.match(line)
    if count is not None:
        directories = re.search(rb"dir: (\d+)", count.group(3) or b"")
        numbers[count.group(1).decode()] = int(count.group(2)) - (int(directories.group(1)) if directories else 0)


def _unescaped(name: bytes) -> bytes:
    return _ESCAPED.sub(lambda found: bytes([int(found.group(1), 8)]), name)


@contextmanager
def _started(argv: list[str], *, stdout: int | None, stderr: int | IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """An rsync that does not outlive this block, unless we are killed: then it goes on, holding the locks."""
    environment = {**os.environ, "LC_ALL": "C"}
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=environment, pass_fds=tuple(LOCKS))
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


LOCKS: list[int] = []
"""Open locks that rsync inherits: as long as it runs, also after the death of its caller, nobody else syncs this set."""
