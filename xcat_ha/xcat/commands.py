"""xCAT's commands as argv, with absolute paths: ssh does not source ``/etc/profile.d/xcat.sh`` (facts: xCAT 2.2 Environment).

``tabdump``, ``makedns``, ``makedhcp``, ``nodeset``, ``chtab`` and the like are in sbin, ``lsdef``, ``mkdef``, ``lsxcatd`` in bin.
"""

from __future__ import annotations

BIN = "/opt/xcat/bin"
SBIN = "/opt/xcat/sbin"

LSXCATD = f"{BIN}/lsxcatd"
LSDEF = f"{BIN}/lsdef"
MKDEF = f"{BIN}/mkdef"
CHDEF = f"{BIN}/chdef"
CHTAB = f"{SBIN}/chtab"
RMDEF = f"{BIN}/rmdef"
TABDUMP = f"{SBIN}/tabdump"
MAKEDNS = f"{SBIN}/makedns"
MAKEDHCP = f"{SBIN}/makedhcp"
MAKECONSERVERCF = f"{SBIN}/makeconservercf"

MAKEGOCONS = f"{SBIN}/makegocons"
NODESET = f"{SBIN}/nodeset"
MKNB = f"{SBIN}/mknb"

XCATD_PORT = 3001
"""Default of ``site.xcatdport``."""

XCAT_VERSION = """\
if command -v rpm >/dev/null 2>&1 && rpm -q xCAT-server >/dev/null 2>&1; then rpm -q --qf '%{VERSION}-%{RELEASE}\\n' xCAT-server; exit 0; fi
if command -v dpkg-query >/dev/null 2>&1 && v=$(dpkg-query -W -f '${Version}\\n' xcat-server 2>/dev/null); then echo "$v"; exit 0; fi
[ -x /opt/xcat/sbin/xcatconfig ] && /opt/xcat/sbin/xcatconfig -v | sed -n 's/^.*[Vv]ersion \\([0-9][0-9.]*\\).*$/\\1/p' | head -n 1
"""
"""A script that prints the version of the installed xCAT, without its daemon (facts: xCAT 4.1)."""
