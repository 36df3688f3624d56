"""Puts the simulated DB2 into a tree: a lab node's, or a temporary one.

    install(root, flavour)            the programs, as after installing the product
    make_instance(root, flavour, …)   the instance, as db2icrt and db2sqlsetup leave it: account, ~/sqllib, ports
    create_database(root)             an empty database xcatdb, catalogued

They write files only: nothing is started.
"""

from __future__ import annotations

import compileall
import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator

from .db2sim import disk, main, paths

HERE = pathlib.Path(__file__).parent
VERSIONS = {"97": "V9.7", "11": "V11.5"}
INSTANCE = "xcatdb"
HOME = "var/lib/db2"
SERVICES = """DB2_xcatdb      60000/tcp
DB2_xcatdb_1    60001/tcp
DB2_xcatdb_2    60002/tcp
DB2_xcatdb_END  60003/tcp
db2c_xcatdb     50001/tcp
"""
PROFILE = """DB2INSTANCE=xcatdb
export DB2INSTANCE
INSTHOME=/var/lib/db2
export INSTHOME
PATH=${PATH}:${INSTHOME}/sqllib/bin:${INSTHOME}/sqllib/adm:${INSTHOME}/sqllib/misc
export PATH
"""
LOGIN = """if [ -f ~/sqllib/db2profile ]; then
    . ~/sqllib/db2profile
fi
"""


def install(root: pathlib.Path, flavour: str, *, python: str = "/usr/bin/python3") -> None:
    """`python`: what runs the programs."""
    product = root / "opt/ibm/db2" / VERSIONS[flavour]
    library = product / "lib"
    if library.exists():
        shutil.rmtree(library)
    shutil.copytree(HERE / "db2sim", library / "db2sim", ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    program = library / "program"
    program.write_text(f"#!{python} -SE\n" + (HERE / "files/program").read_text())
    program.chmod(0o755)
    compileall.compile_dir(library / "db2sim", quiet=2, stripdir=str(root), prependdir="/")
    for folder, names in (("bin", main.BIN), ("adm", main.ADM)):
        (product / folder).mkdir(exist_ok=True)
        for name in names:
            _link(product / folder / name, "../lib/program")
    _link(root / "opt/ibm/db2/lib", f"{VERSIONS[flavour]}/lib")


def make_instance(root: pathlib.Path, flavour: str, *, host: str, uid: int = 5001, gid: int = 5001) -> None:
    """`host`: what db2nodes.cfg names. Files belong to the instance owner where the caller may give them away."""
    _account(root, uid, gid)
    home = root / HOME
    sqllib = home / "sqllib"
    for folder in ("sim/bp", "db2dump"):
        (sqllib / folder).mkdir(parents=True, exist_ok=True)
    product = root / "opt/ibm/db2" / VERSIONS[flavour]
    for name in ("bin", "adm"):
        _link(sqllib / name, os.path.relpath(product / name, sqllib))
    for name in ("sim/lock", "sim/db2sysc.log"):  # whoever starts it first, root or the owner: both must be able to write
        (sqllib / name).touch()
    (sqllib / "db2profile").write_text(PROFILE)
    for name in (".profile", ".bash_profile"):
        (home / name).write_text(LOGIN)
    (sqllib / "db2nodes.cfg").write_text(f"0 {host} 0\n")
    (sqllib / "profile.env").write_text("DB2COMM=tcpip\n")
    settings = {"SVCENAME": "db2c_xcatdb", "AUTHENTICATION": "CLIENT"}
    (sqllib / "instance.json").write_text(json.dumps({"flavour": flavour, "dbm": settings}))
    services = root / "etc/services"
    services.parent.mkdir(exist_ok=True)
    old = services.read_text() if services.exists() else ""
    if "DB2_xcatdb" not in old:
        services.write_text(old + SERVICES)
    _give_away(home, uid, gid)


def create_database(root: pathlib.Path, name: str = INSTANCE) -> None:
    """Each has a seed of its own: the databases of two nodes are different ones until one is restored from the other."""
    with _inside(root):
        instance = disk.Instance.named(INSTANCE)
        instance.create_database(name)
    owner = (root / HOME).stat()
    _give_away(root / HOME, owner.st_uid, owner.st_gid)


@contextlib.contextmanager
def _inside(root: pathlib.Path) -> Iterator[None]:
    before = os.environ.get(paths.ROOT_VARIABLE)
    os.environ[paths.ROOT_VARIABLE] = str(root)
    try:
        yield
    finally:
        os.environ.pop(paths.ROOT_VARIABLE)
        if before is not None:
            os.environ[paths.ROOT_VARIABLE] = before


def _account(root: pathlib.Path, uid: int, gid: int) -> None:
    lines = {
        "passwd": f"{INSTANCE}:x:{uid}:{gid}::/{HOME}:/bin/bash",
        "group": f"{INSTANCE}:x:{gid}:",
        "shadow": f"{INSTANCE}:!:19000:0:99999:7:::",
    }
    for name, line in lines.items():
        path = root / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        old = path.read_text() if path.exists() else ""
        if not any(entry.startswith(f"{INSTANCE}:") for entry in old.splitlines()):
            path.write_text(old + line + "\n")


def _give_away(folder: pathlib.Path, uid: int, gid: int) -> None:
    if os.geteuid() != 0:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, gid, follow_symlinks=False)


def _link(place: pathlib.Path, to: str) -> None:
    place.unlink(missing_ok=True)
    place.symlink_to(to)
