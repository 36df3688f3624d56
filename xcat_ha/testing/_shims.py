"""The only programs a simulated host has: simulated ones (they ask the pair over a socket) and harmless real ones with paths translated.

Whatever a driver starts on a simulated host finds nothing else in its PATH, so that a test never touches the machine it runs on.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from xcat_ha.testing._paths import TOP_DIRECTORIES
from xcat_ha.testing._warm_python import bytecode_directory

PASSED_THROUGH = (
    "awk",
    "base64",
    "basename",
    "cat",
    "chgrp",
    "chmod",
    "chown",
    "cmp",
    "comm",
    "cp",
    "cut",
    "date",
    "dd",
    "df",
    "diff",
    "dirname",
    "du",
    "echo",
    "env",
    "expr",
    "false",
    "find",
    "getent",
    "grep",
    "gzip",
    "gunzip",
    "head",
    "id",
    "install",
    "kill",
    "ln",
    "ls",
    "md5sum",
    "mkdir",
    "mktemp",
    "mv",
    "nice",
    "ionice",
    "od",
    "printf",
    "pwd",
    "readlink",
    "realpath",
    "rm",
    "rmdir",
    "rsync",
    "sed",
    "seq",
    "sha256sum",
    "sleep",
    "sort",
    "sqlite3",
    "stat",
    "sync",
    "tail",
    "tar",
    "tee",
    "test",
    "timeout",
    "touch",
    "tr",
    "true",
    "truncate",
    "uniq",
    "wc",
    "xargs",
    "flock",
    "sh",
    "bash",
    "setsid",
    "stdbuf",
    "nohup",
)
"""Real programs a simulated host has, if this machine has them."""

_SCRIPTED = frozenset({"awk", "sed", "grep", "expr", "printf", "echo"})
_ANY_PATH = "/|/[A-Za-z0-9._]*"
_COMMON_PATHS = "|".join(f"/{top}|/{top}/*" for top in TOP_DIRECTORIES)
"""For programs whose arguments may be patterns or text, which may begin with a slash too."""

_ASK = """\
#!{python} -IS
import _socket, os, sys
talk = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
talk.connect({socket!r})
feed = b"" if os.isatty(0) or not {eats!r} else os.read(0, 1 << 20)
words = [{host!r}, sys.argv[0].rsplit("/", 1)[-1], *sys.argv[1:]]
parts = [os.fsencode(word) for word in words]
def send(data):
    while data:
        data = data[talk.send(data):]
send(len(parts).to_bytes(4, "big"))
for part in (*parts, feed):
    send(len(part).to_bytes(4, "big") + part)
answer = b""
while True:
    piece = talk.recv(65536)
    if not piece:
        break
    answer += piece
code = int.from_bytes(answer[:4], "big")
size = int.from_bytes(answer[4:8], "big")
os.write(1, answer[8:8 + size]) if size else None
os.write(2, answer[8 + size:]) if answer[8 + size:] else None
os._exit(code)
"""

_DIRECT = """\
#!/bin/sh
for word do
  shift
  case $word in
    {base}/*|/dev/null|/dev/zero|/dev/urandom|/dev/std*) ;;
    {paths}) word={root}$word ;;
  esac
  set -- "$@" "$word"
done
exec {program} "$@"
"""

_TRANSLATED = """\
#!{python} -IS
import os, sys
sys.path.insert(0, {library!r})
from _paths import rooted_argv
words = rooted_argv([{name!r}, *sys.argv[1:]], {root!r}, {programs!r}, {base!r})
os.execv({program!r}, words)
"""

_PYTHON = """\
#!/bin/sh
XCAT_HA_ROOT={root} PYTHONPYCACHEPREFIX={bytecode} PATH={programs} PYTHONPATH={path} exec {python} "$@"
"""

_SSH = """\
#!{python} -IS
import _socket, os, sys
sys.path.insert(0, {library!r})
words = sys.argv[1:]
target = ""
while words:
    word = words.pop(0)
    if word.startswith("-") and len(word) > 1:
        if word[-1] in "BbcDEeFIiJLlmOopQRSWw" and len(word) == 2:
            words.pop(0)
        continue
    target = word
    break
talk = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
talk.connect({socket!r})
parts = [part.encode() for part in ({host!r}, ".route", target, "")]
talk.send((3).to_bytes(4, "big") + b"".join(len(part).to_bytes(4, "big") + part for part in parts))
answer = b""
while piece := talk.recv(65536):
    answer += piece
if answer[:4] != bytes(4):
    sys.stderr.write("ssh: connect to host %s port 22: No route to host\\n" % target)
    sys.exit(255)
root, programs, base = answer[8:].decode().splitlines()
if {root!r} + "/" in " ".join(words):
    sys.stderr.write("a path below this host's own simulated root was sent to the other host: give paths as that host names them\\n")
    sys.exit(255)
from _paths import rooted_argv
command = rooted_argv(["sh", "-c", " ".join(words)], root, programs, base)
os.chdir(root)
os.execve("/bin/sh", command, {{"PATH": programs, "HOME": root + "/root", "LANG": "C.UTF-8", "XCAT_HA_ROOT": root}})
"""


def write_program(path: Path, text: str) -> None:
    """Put an executable script in place."""
    path.write_text(text)
    path.chmod(0o755)


def install_shims(host: str, root: Path, programs: Path, base: Path, socket: str) -> None:
    """Fill ``programs``, the directory of all programs of a simulated host. Simulated ones are added by :func:`add_simulated`."""
    programs.mkdir(parents=True, exist_ok=True)
    library = base / "lib"
    library.mkdir(exist_ok=True)
    here = Path(__file__)
    shutil.copy(here.with_name("_paths.py"), library)
    python_library = base / f"{host}.lib"
    python_library.mkdir(exist_ok=True)
    custom = here.with_name("_sitecustomize.py").read_text()
    custom = custom.replace('SIMULATED_HOST = ""', f"SIMULATED_HOST = {host!r}")
    custom = custom.replace('SIMULATED_SOCKET = ""', f"SIMULATED_SOCKET = {chr(0) + socket!r}")
    (python_library / "sitecustomize.py").write_text(custom)
    names = {
        "library": str(library),
        "bytecode": bytecode_directory(),
        "python": sys.executable,
        "root": str(root),
        "programs": str(programs),
        "base": str(base),
        "socket": "\0" + socket,
        "host": host,
    }
    write_program(programs / ".ask", _ASK.format(**names, eats=False))
    write_program(programs / ".ask-eating", _ASK.format(**names, eats=True))
    for name in PASSED_THROUGH:
        program = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin")
        if program is None:
            continue
        template = _TRANSLATED if name in {"sh", "bash", "rsync"} else _DIRECT
        paths = _COMMON_PATHS if name in _SCRIPTED else _ANY_PATH
        write_program(programs / name, template.format(**names, name=name, program=program, paths=paths))
    write_program(programs / "python3", _PYTHON.format(**names, path=":".join([str(python_library), *_search_path()])))
    write_program(programs / "ssh", _SSH.format(**names))


def add_simulated(programs: Path, name: str, *, eats_stdin: bool) -> None:
    """Make ``name`` a program that asks the pair. ``eats_stdin``: it is given what comes on its stdin."""
    path = programs / name
    path.unlink(missing_ok=True)
    path.symlink_to(".ask-eating" if eats_stdin else ".ask")


def _search_path() -> list[str]:
    return [str(Path(entry).resolve()) for entry in sys.path if entry and Path(entry).exists()]
