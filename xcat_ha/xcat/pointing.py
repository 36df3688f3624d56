"""Where xCAT's tables and files point at the management node (facts: xCAT 3.4). Standard library only."""

from __future__ import annotations

from typing import Final

KEYS: Final[dict[str, tuple[str, ...]]] = {
    "site": ("key",),
    "networks": ("net", "mask"),
    "noderes": ("node",),
    "nodehm": ("node",),
    "routes": ("routename",),
    "bootparams": ("node",),
    "linuximage": ("imagename",),
    "osimage": ("imagename",),
    "litetree": ("priority",),
    "statelite": ("node",),
    "servicenode": ("node",),
    "monsetting": ("name", "key"),
}
"""Table -> columns that name a row."""

HOSTS: Final[dict[str, frozenset[str]]] = {
    "networks": frozenset({"gateway", "dhcpserver", "tftpserver", "nameservers", "ntpservers", "logservers"}),
    "noderes": frozenset({"xcatmaster", "servicenode", "tftpserver", "nfsserver", "monserver", "nimserver", "nameservers"}),
    "nodehm": frozenset({"conserver"}),
    "routes": frozenset({"gateway"}),
}
"""Table -> columns that hold a host or a list of hosts."""

SITE_HOSTS: Final = frozenset({"master", "nameservers", "ntpservers", "extntpservers", "forwarders", "nimprime", "logservers"})
"""Keys of the site table whose value is a host or a list of hosts."""

TEXTS: Final[dict[str, frozenset[str]]] = {
    "bootparams": frozenset({"addkcmdline"}),
    "linuximage": frozenset({"addkcmdline", "dump"}),
    "osimage": frozenset({"environvar"}),
    "litetree": frozenset({"directory"}),
    "statelite": frozenset({"statemnt"}),
    "monsetting": frozenset({"value"}),
}
"""Table -> columns of free text in which a host may be named."""

GENERATED_CELL: Final = ("bootparams", "kcmdline")
"""Written by ``nodeset``, like a file."""

KEY_IS_HOST: Final = frozenset({"servicenode"})
"""Tables whose key names the management node itself, if it has a row at all."""

TOGETHER: Final = frozenset(
    {("site", "ntpservers"), ("site", "extntpservers"), ("networks", "ntpservers"), ("networks", "logservers")}
    | {("site", "dhcpinterfaces"), ("site", "dnsinterfaces")}
)
"""Places where both nodes may be named on purpose: what runs there is not part of the role, or differs from node to node."""

GENERATED: Final = ("xcat/xnba/nodes", "xcat/xnba/nets", "pxelinux.cfg", "boot/grub2", "petitboot", "etc", "mypostscripts")
"""Directories below ``site.tftpdir`` with boot files and scripts that xCAT generates; below ``site.installdir`` it is ``autoinst``."""

NETS: Final = "xcat/xnba/nets"
"""The one of them that ``mknb`` writes."""

DHCP_FILES: Final = ("etc/dhcp/dhcpd.conf", "etc/dhcpd.conf", "etc/kea/kea-dhcp4.conf")
