"""lsvg, varyonvg, varyoffvg, mount, umount: which volume groups there are is stored, which are active and mounted is not.

Names and states only: nothing is mounted. What is no file system of a volume group goes to the lab node's own mount.
"""

from __future__ import annotations

import subprocess

from .. import paths
from ..box import Box, Stop
from ..store import Data, Store

GROUPS = paths.ODM + "/volumes.json"
LIVE = paths.RUN + "/volumes.json"


def _groups() -> Store:
    """Volume group -> its file systems: mount point -> logical volume."""
    return Store(GROUPS, lambda: {"rootvg": {}})


def _live() -> Store:
    return Store(LIVE, lambda: {"active": ["rootvg"], "mounted": []})


def lsvg(box: Box) -> int:
    """All; -o: the active ones; a name: its state; -l name: its logical volumes."""
    flags, names = box.options("oliLn:p", "usage: lsvg [-o] [-l] [vgname]")
    letters = {flag for flag, _ in flags}
    groups, active = _groups().read(), _live().read()["active"]
    for name in names:
        if name not in groups:
            raise box.fail(f"0516-306 lsvg: Unable to find volume group {name} in the Device\n\tConfiguration Database.")
        if name not in active:
            raise box.fail("0516-010 lsvg: Volume group must be varied on; use varyonvg command.")
        box.out(_listed(name, groups[name]) if "l" in letters else f"VOLUME GROUP:       {name:<24} VG STATE:           active")
    if not names:
        for name in groups:
            if name in active or "o" not in letters:
                box.out(name)
    return 0


def _listed(name: str, systems: Data) -> str:
    lines = [f"{name}:", "LV NAME             TYPE       LPs     PPs     PVs  LV STATE      MOUNT POINT"]
    mounted = _live().read()["mounted"]
    lines += [
        f"{volume:<19} jfs2       10      10      1    {'open/syncd' if point in mounted else 'closed/syncd':<13} {point}"
        for point, volume in systems.items()
    ]
    return "\n".join(lines)


def varyonvg(box: Box) -> int:
    """Make it active."""
    name = _one(box, "fnbcpMrstTuOA")
    with _live().change() as live:
        if name not in live["active"]:
            live["active"].append(name)
    return 0


def varyoffvg(box: Box) -> int:
    """Make it inactive; nothing of it may be mounted."""
    name = _one(box, "s")
    systems = _groups().read()[name]
    with _live().change() as live:
        if name == "rootvg" or set(systems) & set(live["mounted"]):
            raise box.fail(
                "0516-012 lvaryoffvg: Logical volume must be closed.  If the logical\n"
                "\tvolume contains a filesystem, the umount command will close\n\tthe LV device.\n"
                f"0516-942 varyoffvg: Unable to vary off volume group {name}."
            )
        if name in live["active"]:
            live["active"].remove(name)
    return 0


def _one(box: Box, letters: str) -> str:
    _, names = box.options(letters, f"Usage: {box.name} vgname")
    if len(names) != 1:
        raise box.fail(f"Usage: {box.name} vgname")
    if names[0] not in _groups().read():
        raise box.fail(f"0516-306 {box.name}: Unable to find volume group {names[0]} in the Device\n\tConfiguration Database.")
    return names[0]


def mount(box: Box) -> int:
    """A file system of an active volume group."""
    points = _known_points(box)
    if points is None:
        return _real(box, "/usr/bin/mount")
    if not box.words:
        box.out(
            "  node       mounted        mounted over    vfs       date        options\n"
            "-------- ---------------  ---------------  ------ ------------ ---------------"
        )
        for point in _live().read()["mounted"]:
            box.out(f"         /dev/{points.get(point, ('', ''))[1]:<10}  {point:<15}  jfs2   Nov 24 16:00 rw,log=INLINE")
        return 0
    group, _ = points[box.words[-1]]
    with _live().change() as live:
        if group not in live["active"]:
            raise box.fail(f"mount: 0506-324 Cannot mount /dev/{points[box.words[-1]][1]} on {box.words[-1]}: A device is not available.")
        if box.words[-1] in live["mounted"]:
            raise box.fail(
                f"mount: 0506-324 Cannot mount /dev/{points[box.words[-1]][1]} on {box.words[-1]}: The requested resource is busy."
            )
        live["mounted"].append(box.words[-1])
    return 0


def umount(box: Box) -> int:
    """No more."""
    if _known_points(box) is None or not box.words:
        return _real(box, "/usr/bin/umount")
    with _live().change() as live:
        if box.words[-1] not in live["mounted"]:
            raise box.fail(f"umount: 0506-347 Cannot find anything to unmount.\n{box.words[-1]}")
        live["mounted"].remove(box.words[-1])
    return 0


def _known_points(box: Box) -> dict[str, tuple[str, str]] | None:
    """Mount point -> (volume group, logical volume); None if the words are about something else."""
    points = {point: (group, volume) for group, systems in _groups().read().items() for point, volume in systems.items()}
    return points if not box.words or box.words[-1] in points else None


def _real(box: Box, program: str) -> int:
    if not paths.is_whole_machine():
        raise Stop(1)
    return subprocess.run([program, *box.words], check=False).returncode
