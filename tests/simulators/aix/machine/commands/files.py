"""exportfs, mvdir, crontab, lsitab, mkitab, chitab, rmitab, telinit, systemctl."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess
import time

from .. import boot, exports, inittab, paths
from ..box import Box, Stop
from ..src import ACTIVE, CANCELLED, Src

CRONTABS = "/var/spool/cron/crontabs"
INIT_PID = paths.RUN + "/init.pid"


def exportfs(box: Box) -> int:
    """-a: all of /etc/exports; -u dir, -ua: no more; -i -o options dir: this one; nothing: show."""
    flags, names = box.options("auvio:fF", "usage: exportfs [-aiuvfF] [-o options] [directory]")
    given = dict(flags)
    now = exports.read(exports.XTAB)
    if "u" in given:
        _unexport(box, now, list(now) if "a" in given else names)
        return 0
    meant = exports.read(exports.EXPORTS)
    if "a" in given:
        names = list(meant)
    elif not names:
        for name, options in now.items():
            box.out(f"{name} {options}".rstrip())
        return 0
    codes = [_export(box, name, given.get("o", "") if "i" in given else meant.get(name)) for name in names]
    return max(codes, default=0)


def _export(box: Box, name: str, options: str | None) -> int:
    other = exports.clash(name)
    if options is None:
        wrong = f"exportfs: 1831-187 {name}: not found in {exports.EXPORTS}"
    elif not paths.at(name).exists():
        wrong = f"exportfs: 1831-181 {name}: No such file or directory"
    elif other:
        wrong = f"exportfs: 1831-190 {name}: parent-directory or sub-directory ({other}) already exported"
    else:
        exports.write(exports.XTAB, {**exports.read(exports.XTAB), name: options})
        return 0
    box.err(wrong)
    return 1


def _unexport(box: Box, now: dict[str, str], names: list[str]) -> None:
    for name in names:
        if name not in now:
            raise box.fail(f"exportfs: 1831-184 {name}: not currently exported")
        del now[name]
    exports.write(exports.XTAB, now)


def mvdir(box: Box) -> int:
    """Rename a directory; nothing may be in the way."""
    if len(box.words) != 2:
        raise box.fail("Usage: mvdir Directory1 Directory2")
    old, new = (paths.at(word) for word in box.words)
    if not old.is_dir():
        raise box.fail(f"mvdir: 0653-408 {box.words[0]} is not a directory.")
    if new.exists():
        raise box.fail(f"mvdir: 0653-410 {box.words[1]} already exists.")
    old.rename(new)
    return 0


def crontab(box: Box) -> int:
    """-l, -r, a file, or standard input; AIX's cron knows no steps, no names for times, no variables."""
    place = paths.at(f"{CRONTABS}/root")
    if box.words[:1] == ["-l"]:
        if not place.exists():
            raise box.fail("0481-103 Cannot open a file in the /var/spool/cron/crontabs directory.")
        box.out(place.read_text(encoding="utf-8").rstrip("\n"))
        return 0
    if box.words == ["-r"]:
        if not place.exists():
            raise box.fail("0481-103 Cannot open a file in the /var/spool/cron/crontabs directory.")
        place.unlink()
        return 0
    text = _new_crontab(box)
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#") and not _is_job(line):
            raise box.fail(f"{line}\ncrontab: 0481-079 Reached a symbol that is not expected.")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")
    place.chmod(0o600)
    return 0


def _new_crontab(box: Box) -> str:
    if len(box.words) > 1 or (box.words and box.words[0].startswith("-") and box.words != ["-"]):
        raise box.fail("usage: crontab [-l | -r | file]")
    if not box.words or box.words == ["-"]:
        return box.stdin.read()
    # The words are those of somebody at the machine, so a path may be the whole one of a temporary root.
    place = pathlib.Path(box.words[0])
    place = place if place.exists() else paths.at(box.words[0])
    if not place.is_file():
        raise box.fail(f"0481-108 Cannot open {box.words[0]}.")
    return place.read_text(encoding="utf-8")


RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


def _is_job(line: str) -> bool:
    fields = line.split(None, 5)
    return len(fields) == 6 and all(_is_time(text, low, high) for text, (low, high) in zip(fields, RANGES, strict=False))


def _is_time(text: str, low: int, high: int) -> bool:
    if text == "*":
        return True
    ends = [re.fullmatch(r"(\d{1,2})(?:-(\d{1,2}))?", part) for part in text.split(",")]
    return all(one is not None and all(low <= int(n) <= high for n in one.groups() if n) for one in ends)


def lsitab(box: Box) -> int:
    """One entry, or with -a all; 1 if there is none."""
    found = inittab.entries() if box.words == ["-a"] else [one for one in inittab.entries() if [one.name] == box.words]
    for one in found:
        box.out(one.line)
    return 0 if found else 1


def mkitab(box: Box) -> int:
    """Add an entry, at the end or with -i after another one."""
    flags, rest = box.options("i:", "Usage: mkitab [-i Identifier] Identifier:RunLevel:Action:Command")
    entry = _entry(box, rest)
    if any(one.name == entry.name for one in inittab.entries()):
        raise box.fail(f"mkitab: 0481-135 The inittab entry {entry.name} already exists.")
    lines, after = inittab.lines(), dict(flags).get("i")
    places = [number for number, line in enumerate(lines) if (one := inittab.parse(line)) and one.name == after]
    if after is not None and not places:
        raise box.fail(f"mkitab: 0481-136 The inittab entry {after} does not exist.")
    lines.insert(places[0] + 1 if places else len(lines), entry.line)
    inittab.write(lines)
    return 0


def chitab(box: Box) -> int:
    """Replace the entry of this name."""
    entry = _entry(box, box.words)
    _need_entry(box, entry.name)
    inittab.write([entry.line if (one := inittab.parse(line)) and one.name == entry.name else line for line in inittab.lines()])
    return 0


def rmitab(box: Box) -> int:
    """Drop the entry of this name."""
    name = " ".join(box.words)
    _need_entry(box, name)
    inittab.write([line for line in inittab.lines() if not ((one := inittab.parse(line)) and one.name == name)])
    return 0


def _entry(box: Box, words: list[str]) -> inittab.Entry:
    entry = inittab.parse(words[0]) if len(words) == 1 and "\n" not in words[0] else None
    if entry is None or not re.fullmatch(r"[\w.]{1,14}", entry.name) or entry.action not in inittab.ACTIONS or len(words[0]) > 1024:
        raise box.fail(f"{box.name}: 0481-133 The inittab entry is not valid.")
    return entry


def _need_entry(box: Box, name: str) -> None:
    if not any(one.name == name for one in inittab.entries()):
        raise box.fail(f"{box.name}: 0481-136 The inittab entry {name} does not exist.")


def telinit(box: Box) -> int:
    """q: init reads the inittab again."""
    if box.words != ["q"]:
        raise box.fail("usage: telinit q")
    place = paths.at(INIT_PID)
    if place.exists():
        os.kill(int(place.read_text(encoding="ascii")), signal.SIGHUP)
    return 0


def init(box: Box) -> int:
    """The machine's boot, as the lab node's unit runs it; AIX's kernel does this."""
    if not paths.is_whole_machine():
        raise Stop(2)
    boot.configure()
    place = paths.at(INIT_PID)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(str(os.getpid()), encoding="ascii")
    boot.Init().run()
    return 0


# xCAT calls services by generic names; on AIX it asks SRC.
STOP_LIMIT_S = 30.0
UNITS = {"named": "named", "bind9": "named", "isc-dhcp-server": "dhcpsd", "dhcpd": "dhcpsd", "conserver": "conserver", "xcatd": "xcatd"}


def systemctl(box: Box) -> int:
    """Not there, on AIX. Only the xCAT stand-in's request is passed to SRC, as AIX's xCAT would make it itself."""
    words = [word for word in box.words if not word.startswith("-")]
    if not paths.is_whole_machine() or len(words) != 2 or words[1] not in UNITS or not _asked_by_xcat():
        raise box.fail("ksh: systemctl:  not found.", 127)
    verb, name = words[0], UNITS[words[1]]
    if verb == "is-active":
        return 0 if Src().status(name).word == ACTIVE else 3
    if verb in {"stop", "restart"}:
        Src().request_stop(name, CANCELLED)
        deadline = time.monotonic() + STOP_LIMIT_S
        while Src().status(name).pid and time.monotonic() < deadline:
            time.sleep(0.1)
    if verb in {"start", "restart"}:
        return subprocess.run(["startsrc", "-s", name], check=False, capture_output=True).returncode
    return 0


def _asked_by_xcat() -> bool:
    """Whether the caller is a program of /opt/xcat or a process of xcatd's."""
    try:
        words = pathlib.Path(f"/proc/{os.getppid()}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:  # the caller is gone, or outside this process namespace
        return False
    return words[0].startswith("xcatd") or any(re.match(r"/opt/xcat/s?bin/", word) for word in words[:3])
