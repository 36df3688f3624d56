"""Which files an image names or is made of, and what of them is there. Standard library only.

Names of files within an image are those that xCAT's ``nodeset`` insists on (facts: xCAT 4.8; its anaconda, debian and sles plug-ins).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from xcat_ha_drivers.linux_images.tables import Row, Tables, rooted

_KERNELS = {
    "ubuntu": (("casper/vmlinuz", "casper/initrd"), ("install/vmlinuz", "install/initrd.gz")),
    "debian": (("install/vmlinuz", "install/initrd.gz"),),
    "sle": (("boot/{arch}/loader/linux", "boot/{arch}/loader/initrd"), ("boot/{arch}/linux", "boot/{arch}/initrd")),
    "": (("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img"), ("ppc/ppc64/vmlinuz", "ppc/ppc64/initrd.img")),
}
_PACKED = re.compile(r"rootimg(\.(cpio|tar))?\.(gz|xz|sfs)")
_PACKED_LITE = re.compile(r"rootimg-statelite\..*")
# role, column of linuximage or osimage, whether the image can be deployed without it
_NAMED = (
    ("template", "template", True),
    ("pkglist", "pkglist", True),
    ("otherpkglist", "otherpkglist", True),
    ("postinstall", "postinstall", True),
    ("exlist", "exlist", True),
    ("partitionfile", "partitionfile", True),
    ("synclist", "synclists", True),
    ("pkgdir", "pkgdir", True),
    ("otherpkgdir", "otherpkgdir", False),
    ("kerneldir", "kerneldir", False),
    ("cfmdir", "cfmdir", False),
)
_MAY_BE_EMPTY = frozenset({"pkglist", "otherpkglist", "exlist", "synclist", "postinstall", "partitionfile"})
_DIRECTORIES = frozenset({"pkgdir", "otherpkgdir", "kerneldir", "cfmdir"})


class Found(NamedTuple):
    """A file or directory, and what is there: bytes, or entries of a directory; ``size`` None: nothing."""

    path: str
    role: str
    size: int | None
    directory: bool
    needed: bool

    @property
    def lacking(self) -> bool:
        """Whether the image is of no use because of it: an empty kernel boots nothing."""
        return self.needed and (self.size is None or (self.size == 0 and self.role not in _MAY_BE_EMPTY))


def foreign(row: Row) -> str:
    """Why an image is none of this driver's; empty if it is."""
    kind = row.get("imagetype", "").lower()
    if kind in {"", "linux"} and row.get("osname", "linux").lower() in {"", "linux"}:
        return ""
    return f"it is of type {row.get('imagetype')}, not a Linux image"


def files_of(name: str, tables: Tables) -> list[Found]:
    """All files of an image."""
    row, linux = tables.osimage[name], tables.linuximage.get(name, {})
    found: dict[str, Found] = {}
    for one in (*_named(row, linux), *_method_files(row, linux, tables), *_boot_files(name, tables)):
        found.setdefault(one.path, one)
    return sorted(found.values())


def _named(row: Row, linux: Row) -> Iterator[Found]:
    for role, column, needed in _NAMED:
        for path in _paths(linux.get(column) or row.get(column, "")):
            # Packages in a directory are needed to install from it; a packed image has them in itself.
            installs = role != "pkgdir" or row.get("provmethod") == "install"
            yield look(path, role, directory=role in _DIRECTORIES, needed=needed and installs)


def _paths(value: str) -> Iterator[str]:
    """Absolute paths in a comma list; ``s:/path`` and the like name a file too, addresses of servers do not."""
    for word in value.split(","):
        path = re.sub(r"^[a-z]+:(?=/(?!/))", "", word.strip())
        if path.startswith("/"):
            yield path


def _method_files(row: Row, linux: Row, tables: Tables) -> Iterator[Found]:
    method = row.get("provmethod", "")
    if method == "install":
        yield from _installer(row, linux)
    elif method in {"netboot", "statelite"}:
        default = f"{tables.installdir}/netboot/{row.get('osvers')}/{row.get('osarch')}/{row.get('profile')}"
        folder = (linux.get("rootimgdir") or default).rstrip("/")
        yield look(f"{folder}/kernel", "kernel")
        yield from _stateless(folder) if method == "netboot" else _statelite(folder, row)


def _installer(row: Row, linux: Row) -> Iterator[Found]:
    """Kernel and initrd of the copied distribution; where none of the known places has them, the first one is what is missing."""
    folder = next(_paths(linux.get("pkgdir", "")), "")
    if not folder:
        return
    family = next(family for family in _KERNELS if row.get("osvers", "").startswith(family))
    places = [tuple(f"{folder}/{part.format(arch=row.get('osarch', ''))}" for part in pair) for pair in _KERNELS[family]]
    kernel, initrd = next((pair for pair in places if any(rooted(path).is_file() for path in pair)), places[0])
    yield look(kernel, "kernel")
    yield look(initrd, "initrd")


def _stateless(folder: str) -> Iterator[Found]:
    yield _either(folder, "initrd", "initrd-stateless.gz", "initrd.gz")
    yield from _packed(folder, _PACKED, "rootimg.cpio.gz")


def _statelite(folder: str, row: Row) -> Iterator[Found]:
    yield _either(folder, "initrd", "initrd-statelite.gz", "initrd.gz")
    if row.get("rootfstype") == "ramdisk":
        yield from _packed(folder, _PACKED_LITE, "rootimg-statelite.gz")
    else:
        yield look(f"{folder}/rootimg", "rootimg", directory=True)


def _either(folder: str, role: str, *names: str) -> Found:
    there = [name for name in names if rooted(f"{folder}/{name}").is_file()]
    return look(f"{folder}/{(there or names)[0]}", role)


def _packed(folder: str, pattern: re.Pattern[str], usual: str) -> Iterator[Found]:
    names = [name for name in _entries(folder) if pattern.fullmatch(name)]
    for name in sorted(names) or [usual]:
        yield look(f"{folder}/{name}", "rootimg")


def _boot_files(name: str, tables: Tables) -> Iterator[Found]:
    """What ``nodeset`` once put where nodes load it from; it makes them anew, so they are not needed."""
    folder = f"{tables.tftpdir}/xcat/osimage/{name}"
    for entry in _entries(folder):
        yield look(f"{folder}/{entry}", "boot", needed=False)


def _entries(folder: str) -> list[str]:
    try:
        return sorted(entry.name for entry in rooted(folder).iterdir())
    except OSError:
        return []


def look(path: str, role: str, *, directory: bool = False, needed: bool = True) -> Found:
    """The file as it is now. Something else than what it should be counts as not there."""
    place = rooted(path)
    size: int | None = None
    with suppress(OSError):
        if directory:
            size = sum(1 for _ in place.iterdir())
        elif place.is_file():
            size = place.stat().st_size
    return Found(path, role, size, directory, needed)
