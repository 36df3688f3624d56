"""A site's NIM resources, as mknimimage leaves them: the files below /install/nim, and the definitions on its master."""

from __future__ import annotations

import pathlib
import shutil

from .trial import Trial

DATA = pathlib.Path(__file__).parent.parent.parent / "data/aix"
STANZAS = "var/lib/aixsim/osimages.stanza"

FILES = ("bosinst_data", "resolv_conf", "image_data")
DIRECTORIES = ("root", "shared_root", "tmp", "home", "paging", "dump")
BUNDLES = ("xCATaixSSH71", "IBMhpc_base")
SCRIPTS = ("mypost1", "mypost2")


def write_images(aix: Trial) -> None:
    """What xCAT has on file: three images for AIX, one for Linux."""
    aix.add(STANZAS, (DATA / "osimages.stanza").read_text(encoding="ascii"))


def write_files(aix: Trial) -> None:
    """What somebody put below /install before anything was defined."""
    for name in ("610image", "61cosi", "71Bdskls"):
        aix.add(f"install/nim/lpp_source/{name}_lpp_source/installp/ppc/bos", "bos")
    for kind in FILES:
        aix.add(f"install/nim/{kind}/610image_{kind}", kind)
    for name in BUNDLES:
        aix.add(f"install/nim/installp_bundle/{name}.bnd", name)
    for name in SCRIPTS:
        aix.add(f"install/nim/scripts/{name}", name)
    for kind in (*DIRECTORIES, "spot"):
        (aix.root / "install/nim" / kind).mkdir(parents=True, exist_ok=True)


def make(aix: Trial) -> None:
    """The site's old master: initialised, everything of the three images defined."""
    write_images(aix)
    write_files(aix)
    aix.ok("nim_master_setup", "-a", "mk_resource=no", "-a", "device=/dev/cd0")
    for name in ("610image", "61cosi", "71Bdskls"):
        define(aix, "lpp_source", f"lpp_source/{name}_lpp_source", f"{name}_lpp_source")
        aix.ok(
            "nim",
            "-o",
            "define",
            "-t",
            "spot",
            "-a",
            "server=master",
            "-a",
            "location=/install/nim/spot",
            "-a",
            f"source={name}_lpp_source",
            name,
        )
    for kind in ("bosinst_data", "resolv_conf"):
        define(aix, kind, f"{kind}/610image_{kind}", f"610image_{kind}")
    define(aix, "paging", "paging/61cosi_paging", "61cosi_paging")
    define(aix, "shared_root", "shared_root/61cosi_shared_root", "61cosi_shared_root", "spot=61cosi")
    for kind in ("dump", "home", "paging", "root", "tmp"):
        define(aix, kind, f"{kind}/71Bdskls_{kind}", f"71Bdskls_{kind}")
    for name in BUNDLES:
        define(aix, "installp_bundle", f"installp_bundle/{name}.bnd", name)
    for name in SCRIPTS:
        define(aix, "script", f"scripts/{name}", name)


def define(aix: Trial, kind: str, location: str, name: str, *more: str) -> None:
    """One resource of the master's, below /install/nim."""
    extra = [word for text in more for word in ("-a", text)]
    aix.ok("nim", "-Fo", "define", "-t", kind, "-a", "server=master", "-a", f"location=/install/nim/{location}", *extra, name)


def sync(old: Trial, new: Trial) -> None:
    """/install as rsync brings it to the other machine; NIM there knows nothing of it."""
    shutil.copytree(old.root / "install", new.root / "install", dirs_exist_ok=True, symlinks=True)
    write_images(new)
