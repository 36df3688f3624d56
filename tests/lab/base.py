"""Build the base tree, the operating system every node starts from, once, and keep it."""

from __future__ import annotations

import logging
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Final

from . import recipe
from .errors import LabError
from .locks import exclusive
from .process import run
from .pruning import mark_used, prune
from .settings import MIRROR_VARIABLE, Settings, require_root, require_tools
from .trees import Chroot, mounted

log = logging.getLogger(__name__)

_DEFAULT_SUITE: Final = "bookworm"
_DEFAULT_MIRROR: Final = "http://deb.debian.org/debian"
BUILD_LIMIT_S: Final = 1800.0
_QUIET: Final = {"DEBIAN_FRONTEND": "noninteractive", "DEBCONF_NONINTERACTIVE_SEEN": "true"}


def base_tree(settings: Settings) -> Path:
    """The finished base tree, built now if it is not in the cache (some minutes).

    LabError if this machine cannot build it, CommandFailedError if a step of the build failed.
    """
    suite = host_suite()
    tree = settings.root / "base" / recipe.key(suite)
    if tree.is_dir():
        mark_used(tree)
        return tree
    require_root()
    require_tools(to_build=True)
    with exclusive(build_lock(settings), timeout_s=BUILD_LIMIT_S, what="another build to end"):
        if not tree.is_dir():
            _build(tree, suite)
            mark_used(tree)
            prune(settings, tree.parent, suite, keep=tree)
    return tree


def build_lock(settings: Settings) -> Path:
    """The file that is locked by whoever builds or prunes trees."""
    return settings.root / "build.lock"


def host_suite() -> str:
    """The Debian release of this machine, or the default one elsewhere."""
    release = _os_release()
    if release.get("ID") == "debian":
        return release.get("VERSION_CODENAME", _DEFAULT_SUITE)
    return _DEFAULT_SUITE


def host_mirror(suite: str) -> str:
    """The URL packages of ``suite`` come from: environment, apt's own configuration, default."""
    override = os.environ.get(MIRROR_VARIABLE)
    if override:
        return override
    if _os_release().get("ID") != "debian" or not shutil.which("apt-get"):
        return _DEFAULT_MIRROR
    listing = run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Identifier: Packages"],
        check=False,
    ).stdout
    return mirror_from_targets(listing, suite) or _DEFAULT_MIRROR


def mirror_from_targets(listing: str, suite: str) -> str | None:
    """The first web address that offers ``suite``, from lines "URI RELEASE" of apt."""
    for line in listing.splitlines():
        uri, _, release = line.partition(" ")
        if release.strip() == suite and uri.startswith(("http://", "https://")):
            return uri.rstrip("/")
    return None


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _build(tree: Path, suite: str) -> None:
    tree.parent.mkdir(parents=True, exist_ok=True)
    # We hold the lock, so whatever else is under construction has been given up.
    for stale in tree.parent.glob("*.building"):
        shutil.rmtree(stale)
    building = tree.with_name(tree.name + ".building")
    log.info("building the base tree %s (once, some minutes)", tree)
    mirror = host_mirror(suite)
    try:
        _debootstrap(building, suite, mirror)
        _configure(building, suite, mirror)
        with mounted("bind", str(building), binds=["/etc/resolv.conf"]) as chroot:
            _install(chroot)
            _mask_and_clean(chroot)
        _strip(building)
        os.sync()
        building.rename(tree)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _debootstrap(building: Path, suite: str, mirror: str) -> None:
    # In namespaces of its own: its mounts and daemons end with it, and it ends with us, however
    # we end; the next builder must not find it still at work.
    confined = ["setpriv", "--pdeathsig", "KILL", "nice", "unshare", "--mount", "--pid", "--fork"]
    confined += ["--kill-child", "--mount-proc"]
    command = ["debootstrap", "--variant=minbase", suite, str(building), mirror]
    run([*confined, *command], timeout_s=BUILD_LIMIT_S)


def _configure(building: Path, suite: str, mirror: str) -> None:
    for name, text in recipe.FILES.items():
        path = building / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # debootstrap copies the host's resolv.conf, on some hosts as a symbolic link.
        path.unlink(missing_ok=True)
        path.write_text(text)
    (building / "etc/apt/sources.list").write_text(f"deb {mirror} {suite} main\n")
    policy = building / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)


def _install(chroot: Chroot) -> None:
    for argv in (
        ["apt-get", "-q", "update"],
        ["nice", "apt-get", "-q", "-y", "install", *recipe.PACKAGES],
        ["apt-get", "clean"],
    ):
        chroot.run(argv, timeout_s=BUILD_LIMIT_S, env=_QUIET)


def _mask_and_clean(chroot: Chroot) -> None:
    chroot.run(["systemctl", "mask", *recipe.MASKED_UNITS])
    # Made by packages at installation; each node has to have its own.
    keys = chroot.path.glob("etc/ssh/ssh_host_*")
    names = ["/" + str(key.relative_to(chroot.path)) for key in keys]
    if names:
        chroot.run(["rm", *names])
    # In nodes, services are started as the packages want it.
    chroot.run(["rm", "/usr/sbin/policy-rc.d"])
    if chroot.run(["systemctl", "--version"]).stdout == "":
        raise LabError("the base tree has no systemd")


def _strip(building: Path) -> None:
    for name in recipe.EXCLUDED_AFTERWARDS:
        shutil.rmtree(building / name, ignore_errors=True)
    for pattern in ("var/lib/apt/lists/*", "var/cache/apt/*.bin", "var/log/*.log", "tmp/*"):
        for path in building.glob(pattern):
            subprocess.run(["rm", "-rf", str(path)], check=True)
    (building / "etc/machine-id").write_text("")
    dbus_id = building / "var/lib/dbus/machine-id"
    dbus_id.unlink(missing_ok=True)
    dbus_id.symlink_to("/etc/machine-id")
    for name in ("var/log/journal", "root/.ssh"):
        (building / name).mkdir(mode=0o700, exist_ok=True)
    (building / "var/log/journal").chmod(0o755)
