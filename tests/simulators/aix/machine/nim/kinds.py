"""The types of resources: what a definition needs, and what its location has to be."""

from __future__ import annotations

from dataclasses import dataclass

FILE, DIRECTORY, FRESH_DIRECTORY, FILLED_DIRECTORY, PARENT = "file", "directory", "fresh directory", "filled directory", "parent"


@dataclass(frozen=True)
class Kind:
    """``place``: what the location means. ``method``: who speaks in errors. ``extra``: attributes with their defaults."""

    description: str
    place: str
    method: str
    required: tuple[str, ...] = ("server", "location")
    extra: tuple[tuple[str, str], ...] = ()


KINDS = {
    "lpp_source": Kind("source device for optional product images", FILLED_DIRECTORY, "m_mkpdir"),
    "spot": Kind("Shared Product Object Tree - equivalent to /usr file", PARENT, "m_mkspot"),
    "root": Kind("parent directory for client / (root) directories", DIRECTORY, "m_mkpdir"),
    "shared_root": Kind("shared root directory for diskless clients", FRESH_DIRECTORY, "m_mkpdir", ("server", "location", "spot")),
    "home": Kind("parent directory for client /home directories", DIRECTORY, "m_mkpdir"),
    "shared_home": Kind("/home directory shared by clients", DIRECTORY, "m_mkpdir"),
    "tmp": Kind("parent directory for client /tmp directories", DIRECTORY, "m_mkpdir"),
    "paging": Kind("parent directory for client paging files", DIRECTORY, "m_mkpdir", extra=(("size", "32"),)),
    "dump": Kind("parent directory for client dump files", DIRECTORY, "m_mkpdir", extra=(("dumpsize", "50"), ("max_dumps", "1"))),
    "script": Kind("an executable file which is executed on a client", FILE, "m_mkfile"),
    "installp_bundle": Kind("an installp bundle file", FILE, "m_mkfile"),
    "bosinst_data": Kind("config file used during base system installation", FILE, "m_mkfile"),
    "resolv_conf": Kind("configuration file for name-server information", FILE, "m_mkfile"),
    "image_data": Kind("config file used during base system installation", FILE, "m_mkfile"),
    "mksysb": Kind("a mksysb image", FILE, "m_mkfile"),
    "fb_script": Kind("an executable file which is executed at first boot", FILE, "m_mkfile"),
}
OPTIONAL = (
    *("source", "dest_dir", "nfs_vers", "nfs_sec", "comments", "verbose", "group", "auto_expand", "show_progress", "packages", "size"),
    *("dumpsize", "max_dumps", "notify", "snapcollect", "mk_image", "spot", "configdump", "arch", "multi_volume"),
)
MACHINES = {
    "standalone": "any machine which can execute independently",
    "diskless": "all filesystems & resources remote",
    "dataless": "local paging,dump; remote /,/usr; others remote/local",
    "alternate_master": "machine that can take over the NIM environment",
    "master": "machine that administers the NIM environment",
}
NETWORKS = ("ent", "tok", "fddi", "atm", "generic")
