"""Why a sync was not done, and what rsync's exit statuses mean. Standard library only."""

from __future__ import annotations

import re

from xcat_ha_drivers.rsync.spec import SyncSpec


class Refusal(Exception):  # noqa: N818 - it is one: nothing (more) was done
    """A sync that must not, or could not, be done.

    Args:
        what: what is the matter, one sentence.
        hint: what to do.
        state: what the state on the target is now.
        silence: whether there was no usable answer, so that nothing is known.
    """

    def __init__(self, what: str, *, hint: str, state: str = "nothing was changed", silence: bool = False) -> None:
        super().__init__(what)
        self.silence = silence
        self.what = what
        self.hint = hint
        self.state = state

    def lines(self) -> str:
        """Three lines for stderr."""
        flat = (re.sub(r"\s*\n\s*", " ", text) for text in (self.what, f"state: {self.state}", f"hint: {self.hint}"))
        return "\n".join(flat) + "\n"


STATE_PARTIAL = "files that were complete are in place, the others are as they were; nothing was deleted"

# EX: rsync(1) EXIT VALUES; 126/127/255 are those of the remote shell.
_MEANINGS: dict[int, tuple[str, str]] = {
    1: ("rsync did not understand its options", "install rsync 3.2.3 or newer on both nodes"),
    2: ("the two rsync programs cannot talk to each other", "install the same rsync on both nodes"),
    3: ("rsync could not open one of the paths", "look at the messages above"),
    4: ("rsync on one side lacks something asked for (ACLs or extended attributes)", "install the distribution's own rsync on both nodes"),
    5: ("rsync could not start its protocol", "look at the messages above"),
    10: ("the connection broke", "see that the network between the nodes is up, then sync again"),
    11: ("a file could not be read or written", "look at the messages above"),
    12: ("the connection broke, or rsync did not start on the other side", "see that the other node is up and has rsync, then sync again"),
    13: ("rsync stopped on an internal error", "look at the messages above, then sync again"),
    14: ("rsync's processes could not talk to each other", "look at the memory and process limits, then sync again"),
    20: ("rsync was interrupted", "sync again; what was complete is not sent again"),
    21: ("a process of rsync failed", "sync again"),
    22: ("rsync had not enough memory", "free memory on both nodes, then sync again"),
    23: ("some files could not be transferred", "mend what the messages above name, then sync again"),
    24: ("files vanished while they were being sent, again and again", "wait until what changes them has ended, then sync again"),
    25: ("more files vanished from the source than were counted before", "see that nothing was unmounted there, then sync again"),
    30: ("the other side was silent for too long", "see that the network and the other node's disk work, then sync again"),
    35: ("the other side could not be reached in time", "see that the other node is up, then sync again"),
    126: ("rsync cannot be executed on the other side", "install rsync there"),
    127: ("rsync, or ssh, was not found", "install rsync on both nodes and the ssh client on the source"),
    255: ("ssh failed", "see that the other node is up and its host key is the one recorded by setup"),
}

_SILENCE = frozenset({10, 12, 30, 35, 255})

_FULL = re.compile(r"No space left on device|Disk quota exceeded")
_READ_ONLY = re.compile(r"Read-only file system")
_HOST_KEY = re.compile(r"Host key verification failed|REMOTE HOST IDENTIFICATION")
_NO_RSYNC = re.compile(r"rsync: (?:command )?not found|rsync: No such file")
_SENDER = re.compile(r"\[sender\]")
_QUOTED = re.compile(r'"([^"]+)"')


def explain(code: int, said: str, spec: SyncSpec) -> Refusal:
    """What rsync's exit ``code`` and what it ``said`` on stderr mean for an administrator."""
    for line in said.splitlines():
        where = spec.source if _SENDER.search(line) else spec.target
        path = next(iter(_QUOTED.findall(line)), "")
        if _FULL.search(line):
            what = f"the disk of {path or 'the target'} on {where} is full"
            return Refusal(what, hint=f"free space there (df -h on {where}), then sync again", state=STATE_PARTIAL)
        if _READ_ONLY.search(line):
            what = f"{path or 'the target'} on {where} is on a read-only file system"
            return Refusal(what, hint=f"mount it writable on {where}", state=STATE_PARTIAL)
        if _HOST_KEY.search(line):
            what = f"{spec.target} has another ssh host key than recorded"
            return Refusal(what, hint="if the machine was reinstalled, run xcat-ha setup again", silence=True)
        if _NO_RSYNC.search(line):
            return Refusal(f"rsync is not installed on {where}", hint=f"install rsync on {where}")
    if code < 0 or 128 < code < 255:
        number = -code if code < 0 else code - 128
        return Refusal(f"rsync was ended by signal {number}", hint="sync again; what was complete is not sent again", state=STATE_PARTIAL)
    meaning, hint = _MEANINGS.get(code, ("rsync failed", "look at the messages above"))
    last = next((line.strip() for line in said.splitlines() if line.strip() and "rsync error:" not in line), "")
    detail = f": {last[:200]}" if last else ""
    what = f"{meaning} ({spec.source} to {spec.target}, exit {code}){detail}"
    return Refusal(what, hint=hint, state=STATE_PARTIAL, silence=code in _SILENCE)
