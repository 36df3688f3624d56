"""Puts the stand-in into the tree of a lab node.

    install(root)                     xCAT's programs, as after installing its packages
    provision(root, primary=True)     what a site's management node has besides

Both write files only: nothing is started, no unit enabled, no account made.
"""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import sqlite3
import tempfile

from . import keys, site_trees
from .standin import commands, engine, sqlite_engine

HERE = pathlib.Path(__file__).parent
DATA = HERE.parent.parent / "data"

LOCAL_IN_SBIN = (*commands.LOCAL, *(c for c in commands.SERVED if c not in commands.IN_BIN))


def install(root: pathlib.Path) -> None:
    """Commands, daemon, unit, marks of a management node."""
    opt = root / "opt/xcat"
    for folder in ("bin", "sbin", "lib", "share/xcat/scripts", "share/xcat/tools"):
        (opt / folder).mkdir(parents=True, exist_ok=True)
    target = opt / "lib/standin"
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(HERE / "standin", target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    _program(HERE / "files/xcatclient", opt / "bin/xcatclient")
    _program(HERE / "files/xcatd", opt / "sbin/xcatd")
    for name in commands.IN_BIN:
        _link(opt / "bin" / name, "xcatclient")
    for name in LOCAL_IN_SBIN:
        _link(opt / "sbin" / name, "../bin/xcatclient")
    _copy(HERE / "files/xcatd.service", root / "usr/lib/systemd/system/xcatd.service")
    _copy(HERE / "files/xcat.sh", root / "etc/profile.d/xcat.sh")
    _write(root / "etc/xCATMN", "")
    _write(root / "etc/tftpmapfile4xcat.conf", "rg (\\\\) \\/")
    for folder in ("etc/xcat", "var/log/xcat", "var/log/consoles", "install", "tftpboot"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    site_trees.write_packaged(root)


def provision(root: pathlib.Path, *, primary: bool, name: str = "", address: str = "") -> None:
    """A site's management node, or a standby as fresh from the package.

    name and address are the node's own; by default mn1 or mn2 with the
    addresses of the sample database.
    """
    name = name or ("mn1" if primary else "mn2")
    address = address or ("10.77.0.11" if primary else "10.77.0.12")
    keys.make_all(root, name, with_ssh=primary)
    if primary:
        _copy_database(root)
        keys.write_ddns_key(root, _ddns_secret())
        site_trees.write_site(root)
    else:
        _fresh_database(root, name, address)


def _copy_database(root: pathlib.Path) -> None:
    for file in sorted((DATA / "sqlite").glob("*.sqlite")):
        target = root / "etc/xcat" / file.name
        shutil.copyfile(file, target)
        target.chmod(0o600)
    for source in sorted((DATA / "mn-config").rglob("*")):
        relative = source.relative_to(DATA / "mn-config")
        if source.is_file() and str(relative) in SITE_CONFIG:
            _copy(source, root / relative)


def _ddns_secret() -> str:
    source = f"file:{DATA / 'sqlite/passwd.sqlite'}?immutable=1"
    with contextlib.closing(sqlite3.connect(source, uri=True)) as passwd:
        found = passwd.execute("SELECT password FROM passwd WHERE key='omapi'").fetchone()
    return str(found[0])


SITE_CONFIG = (
    "etc/exports",
    "etc/sysctl.d/99-xcat.conf",
    "etc/rsyslog.d/xcat-cluster.conf",
    "etc/rsyslog.d/xcat-compute.conf",
    "etc/rsyslog.d/xcat-debug.conf",
)


def _fresh_database(root: pathlib.Path, name: str, address: str) -> None:
    """The tables as `xcatconfig -i` leaves them: site and policy, no nodes.

    Made elsewhere and copied, because SQLite resolves the path it opens and
    the root of a running node can be a link that leads to the host's.
    """
    with tempfile.TemporaryDirectory() as made:
        _make_fresh_tables(pathlib.Path(made), name, address)
        for file in pathlib.Path(made).glob("*.sqlite"):
            target = root / "etc/xcat" / file.name
            shutil.copyfile(file, target)
            target.chmod(0o600)


def _make_fresh_tables(folder: pathlib.Path, name: str, address: str) -> None:
    own = sqlite_engine.SqliteEngine(folder)
    own.update_schema()
    site = {**FRESH_SITE, "master": address, "nameservers": address}
    own.write("site", [engine.Change(engine.SET, {"key": k}, {"value": site[k]}) for k in site])
    own.write("policy", fresh_policy(name))
    scripts = {
        "xcatdefaults": {
            "postscripts": "syslog,remoteshell,syncfiles",
            "postbootscripts": "otherpkgs",
        },
        "service": {"postscripts": "servicenode"},
    }
    own.write(
        "postscripts",
        [engine.Change(engine.SET, {"node": n}, dict(row)) for n, row in scripts.items()],
    )
    own.close()


FRESH_SITE_TEXT = (
    "blademaxp=64 fsptimeout=0 installdir=/install ipmimaxp=64 ipmiretries=3 ipmitimeout=2"
    " consoleondemand=no maxssh=8 ppcmaxp=64 ppcretry=3 ppctimeout=0 powerinterval=0"
    " syspowerinterval=0 sharedtftp=1 SNsyncfiledir=/var/xcat/syncfiles"
    " nodesyncfiledir=/var/xcat/node/syncfiles tftpdir=/tftpboot xcatdport=3001"
    " xcatiport=3002 xcatconfdir=/etc/xcat timezone=Europe/Berlin useNmapfromMN=no"
    " enableASMI=no db2installloc=/mntdb2 databaseloc=/var/lib sshbetweennodes=ALLGROUPS"
    " dnshandler=ddns vsftp=n cleanupxcatpost=no cleanupdiskfullxcatpost=no"
    " dhcplease=43200 auditnosyslog=0 xcattlspolicy=modern auditskipcmds=ALL"
)
FRESH_SITE = dict(pair.split("=", 1) for pair in FRESH_SITE_TEXT.split())


def fresh_policy(name: str) -> list[engine.Change]:
    """The policy table of a new management node whose certificate bears this name."""
    rows = {"1": {"name": "root", "rule": "allow"}, "1.2": {"name": name, "rule": "trusted"}}
    numbered = {
        "2": "getbmcconfig",
        "2.1": "remoteimmsetup",
        "2.3": "lsxcatd",
        "3": "nextdestiny",
        "4": "getdestiny",
        "4.4": "getpostscript",
        "4.5": "getcredentials",
        "4.6": "syncfiles",
        "4.7": "litefile",
        "4.8": "litetree",
        "4.9": "getadapter",
    }
    rows |= {p: {"commands": c, "rule": "allow"} for p, c in numbered.items()}
    return [engine.Change(engine.SET, {"priority": p}, dict(row)) for p, row in rows.items()]


def _program(source: pathlib.Path, target: pathlib.Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o755)


def _link(place: pathlib.Path, to: str) -> None:
    place.unlink(missing_ok=True)
    place.symlink_to(to)


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _write(place: pathlib.Path, text: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
