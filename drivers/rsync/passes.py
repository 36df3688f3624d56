"""One pass of rsync over a file set: its words, and what a dry run says. Standard library only."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
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


class Differences(NamedTuple):
    """What a dry run found.

    Attributes:
        code: rsync's exit status; None if it was ended because enough had been seen.
        changed: paths (as the host names them) of files that are missing or not equal on the target.
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
        f"--timeout={spec.io_timeout_s}", f"--partial-dir={PARTIAL_DIR}",
        *(f"--filter=- {pattern}" for pattern in spec.excludes),
        *options,
        "--", *(f"{root()}/.{path}" for path in present.paths), spec.rsync_destination,
    ]  # fmt: skip


def find_differences(spec: SyncSpec, present: Present, *, enough: int | None = None) -> Differences:
    """A dry run: what is not equal on the target, by type, size, time, owner, modes, ACLs, attributes and links.

    ``enough`` ends it after so many differences: to know that a sync is due takes no full pass.
    """
    options = ["--dry-run", "--itemize-changes", "--stats", *(["--delete"] if spec.delete else [])]
    changed: list[str] = []
    deleted: list[str] = []
    numbers: dict[str, int] = {}
    with _started(words(spec, present, *options)) as (process, said):
        for line in process.stdout or ():
            _take(line.rstrip(b"\n"), changed, deleted, numbers)
            if enough is not None and len(changed) + len(deleted) >= enough:
                process.terminate()
                break
        else:
            enough = None
        process.wait()
    text, receipt = split_receipt("".join(said))
    files = numbers["files"] - numbers["created files"] + numbers["deleted files"] if len(numbers) == 3 else None
    code = None if enough is not None else process.returncode
    return Differences(code, tuple(changed), tuple(deleted), files, text, receipt)


def transfer(spec: SyncSpec, present: Present, *options: str) -> tuple[int, str]:
    """A pass that changes the target; its progress goes to our stdout. Exit status, and what it said on stderr."""
    limit = [f"--bwlimit={spec.bandwidth_kib_s}"] if spec.bandwidth_kib_s else []
    argv = words(spec, present, "--info=progress2", *limit, *options, far_side=_BEGUN)
    with _started(argv, progress=True) as (process, said):
        process.wait()
    return process.returncode, split_receipt("".join(said))[0]


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
        (deleted if kind.startswith(b"*") else changed).append("/" + os.fsdecode(_unescaped(name)))
        return
    count = _COUNTS.match(line)
    if count is not None:
        directories = re.search(rb"dir: (\d+)", count.group(3) or b"")
        numbers[count.group(1).decode()] = int(count.group(2)) - (int(directories.group(1)) if directories else 0)


def _unescaped(name: bytes) -> bytes:
    return _ESCAPED.sub(lambda found: bytes([int(found.group(1), 8)]), name)


@contextmanager
def _started(argv: list[str], *, progress: bool = False) -> Iterator[tuple[subprocess.Popen[bytes], list[str]]]:
    """An rsync as a child that does not outlive this block; its last words on stderr are kept and passed on."""
    environment = {**os.environ, "LC_ALL": "C"}
    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=None if progress else subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
        pass_fds=tuple(LOCKS),
    )  # fmt: skip
    said: list[str] = []
    reader = threading.Thread(target=_listen, args=(process.stderr, said), daemon=True)
    reader.start()
    try:
        yield process, said
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
        reader.join(5)  # a connection-sharing ssh left behind may hold the pipe
        if process.stdout is not None:
            process.stdout.close()


LOCKS: list[int] = []
"""Open locks that rsync inherits: as long as it runs, also after the death of its caller, nobody else syncs this set."""


def _listen(stream: IO[bytes] | None, said: list[str]) -> None:
    for line in stream or ():
        text = line.decode("utf-8", "surrogateescape")
        said.append(text)
        del said[:-_LAST_WORDS]
        if text.strip() and not text.startswith(RECEIPT_MARK):
            sys.stderr.buffer.write(line)
            sys.stderr.flush()
