"""Absolute paths of a simulated host as paths of this machine, in argv, in constant shell scripts, and back again in output.

This module is also run by itself, inside simulated hosts: it imports nothing but the standard library.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_DEVICES = frozenset({"/dev/null", "/dev/zero", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/urandom", "/dev/full"})
TOP_DIRECTORIES = (
    "etc",
    "var",
    "run",
    "proc",
    "sys",
    "tmp",
    "root",
    "home",
    "install",
    "tftpboot",
    "opt",
    "srv",
    "usr",
    "boot",
    "mnt",
    "dev",
    "lib",
    "bin",
    "sbin",
)
_TOP = "|".join(TOP_DIRECTORIES)
# A path begins where a word does: only blanks, quotes and some of the shell's operators may stand before it.
_PATH_IN_SCRIPT = re.compile(rf"(?<![^\s\"'=<>|;&(`])(/(?:{_TOP})\b[^\s\"';|&<>(){{}}`]*)")
_RSYNC_PATH_OPTIONS = (
    "files-from",
    "exclude-from",
    "include-from",
    "partial-dir",
    "temp-dir",
    "backup-dir",
    "compare-dest",
    "copy-dest",
    "link-dest",
    "log-file",
    "password-file",
    "write-batch",
    "read-batch",
)
_RSYNC_PATH = re.compile(rf"(--(?:{'|'.join(_RSYNC_PATH_OPTIONS)})=)(/.*)")
_PATH = re.compile(r"/(?:[A-Za-z0-9._]|$)")
_SHELLS = frozenset({"sh", "bash", "dash"})


def rooted(word: str, root: str, base: str) -> str:
    """``word`` as a path below ``root`` if it is an absolute path; a path below ``base`` (the pair's own directory) stays."""
    if not _PATH.match(word) or word in _DEVICES or word == base or word.startswith(f"{base}/"):
        return word
    return f"{root}{word}"


def rooted_script(script: str, root: str, programs: str, base: str) -> str:
    """A constant shell script whose absolute paths are below ``root``; programs of ``bin`` directories are those in ``programs``."""

    def replace(found: re.Match[str]) -> str:
        word = found.group(1)
        program = re.fullmatch(r"/(?:usr/)?s?bin/([\w.+-]+)", word)
        return f"{programs}/{program.group(1)}" if program else rooted(word, root, base)

    return _PATH_IN_SCRIPT.sub(replace, script)


def rooted_argv(argv: Sequence[str], root: str, programs: str, base: str) -> list[str]:
    """``argv`` with its paths below ``root``. The program itself (first word) is left alone, and so are the arguments of whatever
    honours ``XCAT_HA_ROOT`` itself: Python, and shell scripts that mention it.
    """
    name, words = argv[0].rsplit("/", 1)[-1], list(argv[1:])
    if name in _SHELLS and any("XCAT_HA_ROOT" in word for word in words):
        return list(argv)
    if name in _SHELLS:
        return [argv[0], *_rooted_shell(words, root, programs, base)]
    if name == "rsync":
        return [argv[0], *(_rooted_rsync(word, root, base) for word in _unsecluded(words))]
    if name.startswith("python"):
        return list(argv)
    return [argv[0], *(rooted(word, root, base) for word in words)]


def _rooted_shell(words: list[str], root: str, programs: str, base: str) -> list[str]:
    done: list[str] = []
    script_next = seen = False
    for word in words:
        if script_next:
            done.append(rooted_script(word, root, programs, base))
            script_next, seen = False, True
        elif not seen and re.fullmatch(r"-[a-z]*c", word):
            script_next = True
            done.append(word)
        else:
            done.append(rooted(word, root, base))
    return done


def _rooted_rsync(word: str, root: str, base: str) -> str:
    option = _RSYNC_PATH.match(word)
    return f"{option.group(1)}{rooted(option.group(2), root, base)}" if option else rooted(word, root, base)


def _unsecluded(words: list[str]) -> list[str]:
    """Without ``--secluded-args``: paths that travel over rsync's own connection could not be translated on the other host."""
    if "--server" in words:
        if len(words) < 2 or words[-1].startswith("-"):
            raise ValueError("rsync would be told its paths over the connection, where the simulated pair cannot translate them")
        return words
    kept: list[str] = []
    for word in words:
        if word in {"--secluded-args", "--protect-args", "-s"}:
            continue
        kept.append(word.replace("s", "") if re.fullmatch(r"-[A-Za-df-z]*s[A-Za-df-z]*", word) else word)
    return kept


def unrooted(text: str, root: str) -> str:
    """Output with the host's own view of its paths."""
    return text.replace(f"{root}/", "/").replace(root, "/")
