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
