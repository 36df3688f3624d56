"""startsrc, stopsrc, lssrc, refresh, mkssys, chssys, rmssys."""

from __future__ import annotations

from collections.abc import Callable

from ..box import Box
from ..src import ACTIVE, CANCELLED, FORCED, NORMAL, Src, Status, definition, stop_process

NAME_LENGTH = 30


def startsrc(box: Box) -> int:
    """Fork them; that they run is for lssrc to say."""
    flags, _ = box.options("s:g:t:a:e:h:p:", "startsrc: 0513-001 usage: startsrc {-s Subsystem | -g Group}")
    extra = dict(flags).get("a", "")

    def start(src: Src, name: str) -> int:
        pid = src.start(name, extra)
        if pid is None:
            box.err(f"0513-029 The {name} Subsystem is already active.\nMultiple instances are not supported.")
            return 1
        box.out(f"0513-059 The {name} Subsystem has been started. Subsystem PID is {pid}.")
        return 0

    return _each(box, flags, start)


def stopsrc(box: Box) -> int:
    """Request it; the end comes later."""
    flags, _ = box.options("s:g:t:p:acfh:", "stopsrc: 0513-001 usage: stopsrc [-c | -f] {-a | -s Subsystem | -g Group}")
    given = dict(flags)
    if "t" in given:
        box.out(f"0513-127 The {given['t']} subserver was stopped successfully.")
        return 0
    how = FORCED if "f" in given else CANCELLED if "c" in given else NORMAL

    def stop(src: Src, name: str) -> int:
        if not src.request_stop(name, how):
            box.err(f"0513-004 The Subsystem or Group, {name}, is currently inoperative.")
            return 1
        box.out(f"0513-044 The {name} Subsystem was requested to stop.")
        return 0

    return _each(box, flags, stop)


def refresh(box: Box) -> int:
    """Let a running one read its configuration again."""
    flags, _ = box.options("s:g:p:h:", "refresh: 0513-001 usage: refresh {-s Subsystem | -g Group}")

    def tell(src: Src, name: str) -> int:
        if src.defined.read()[name]["signals"]:
            box.err(f"0513-005 The Subsystem, {name}, only supports signal communication.")
            return 1
        if not src.hang_up(name):
            box.err(f"0513-036 The request could not be passed to the {name} subsystem.\nStart the subsystem and try your command again.")
            return 1
        box.out("0513-095 The request for subsystem refresh was completed successfully.")
        return 0

    return _each(box, flags, tell)


def lssrc(box: Box) -> int:
    """A row per subsystem; the exit code says only whether it is on file."""
    flags, _ = box.options("s:g:t:p:alh:S", "lssrc: 0513-001 usage: lssrc {-a | -s Subsystem | -g Group}")
    shown: list[Status] = []

    def show(src: Src, name: str) -> int:
        shown.append(src.status(name))
        return 0

    code = _each(box, flags, show)
    if shown:
        box.out("Subsystem         Group            PID          Status")
    for one in shown:
        box.out(f" {one.name:<16} {one.group:<16} {one.pid or '':<12} {one.word}")
    return code


def mkssys(box: Box) -> int:
    """Put a subsystem on file; -S and -K say how it is talked to."""
    flags, _ = box.options("s:p:u:a:e:i:o:R:S:KIE:G:t:w:n:f:mQqdDOr:", "mkssys: 0513-001 usage: mkssys -s Subsystem -p Path -u UID")
    given = dict(flags)
    name, path = given.get("s", ""), given.get("p", "")
    if not name or not path or "u" not in given:
        raise box.fail("mkssys: 0513-001 usage: mkssys -s Subsystem -p Path -u UID")
    _require_plain(box, name)
    if not path.startswith("/"):
        raise box.fail("0513-015 The path of a subsystem must be a full path name.")
    with Src().defined.change() as defined:
        if name in defined:
            raise box.fail("0513-075 The new subsystem name is already on file.")
        defined[name] = definition(path, given.get("a", ""), given.get("G", ""), given["u"], signals="K" not in given)
    box.out(f"0513-071 The {name} Subsystem has been added.")
    return 0


def chssys(box: Box) -> int:
    """Change what is on file."""
    flags, _ = box.options("s:p:u:a:e:i:o:R:S:KIE:G:t:w:n:f:mQqdDOr:", "chssys: 0513-001 usage: chssys -s Subsystem ...")
    given = dict(flags)
    _known(box, Src(), given.get("s", ""))
    with Src().defined.change() as defined:
        one = defined.pop(given["s"])
        one.update({word: given[flag] for flag, word in (("p", "path"), ("a", "args"), ("G", "group"), ("u", "user")) if flag in given})
        new = given.get("t", given["s"])
        _require_plain(box, new)
        defined[new] = one
    box.out("0513-077 Subsystem has been changed.")
    return 0


def rmssys(box: Box) -> int:
    """Take it off file; it must not run."""
    flags, _ = box.options("s:", "rmssys: 0513-001 usage: rmssys -s Subsystem")
    src, name = Src(), dict(flags).get("s", "")
    _known(box, src, name)
    if src.status(name).word == ACTIVE or src.status(name).pid:
        raise box.fail(f"0513-081 The {name} Subsystem is active and cannot be removed.")
    with src.defined.change() as defined:
        del defined[name]
    box.out("0513-083 Subsystem has been Deleted.")
    return 0


def srcstop(box: Box) -> int:
    """The part of a stop that goes on after stopsrc has returned; AIX has no command for it."""
    pid, born, delay_s, how = box.words
    stop_process(int(pid), born, float(delay_s), how)
    return 0


def _each(box: Box, flags: list[tuple[str, str]], act: Callable[[Src, str], int]) -> int:
    """Act on the subsystem or the members of the group named; 1 if anything failed."""
    src, given = Src(), dict(flags)
    if "a" in given and box.name != "startsrc":
        names = src.names()
    elif "s" in given:
        _known(box, src, given["s"])
        names = [given["s"]]
    elif "g" in given:
        names = src.in_group(given["g"])
        if not names:
            raise box.fail(f"0513-086 The {given['g']} Group is not on file.")
    else:
        raise box.fail(f"{box.name}: 0513-001 one of -s, -g is required")
    return max([act(src, name) for name in names], default=0)


def _known(box: Box, src: Src, name: str) -> None:
    if name not in src.names():
        raise box.fail(f"0513-085 The {name} Subsystem is not on file.")


def _require_plain(box: Box, name: str) -> None:
    if len(name) > NAME_LENGTH or not name.isprintable() or not name.isascii() or any(c in name for c in " '\"`$;&|<>()\\"):
        raise box.fail("0513-014 The subsystem name is not valid.")
