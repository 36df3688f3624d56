"""What the base tree consists of.  Pure data: its hash is the key of the cache."""

from __future__ import annotations

import hashlib
import json
from typing import Final

# Raise it when base.py does something else with the same data.
VERSION: Final = 1

PACKAGES: Final = (
    "acl",
    "apache2",
    "attr",
    "bind9",
    "bind9-dnsutils",
    "ca-certificates",
    "conserver-client",
    "conserver-server",
    "cron",
    "dbus",
    "ifupdown",
    "iproute2",
    "iputils-arping",
    "iputils-ping",
    "isc-dhcp-client",
    "isc-dhcp-server",
    "less",
    "netbase",
    "openssh-client",
    "openssh-server",
    "openssl",
    "procps",
    "psmisc",
    "python3",
    "python3-venv",
    "rsync",
    "sqlite3",
    "strace",
    "systemd",
    "systemd-sysv",
    "tftpd-hpa",
)

# No meaning without hardware, or work for a machine that lives longer than a test.
MASKED_UNITS: Final = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "console-getty.service",
    "dev-hugepages.mount",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty-static.service",
    "getty.target",
    "ifupdown-pre.service",
    "ifupdown-wait-online.service",
    "man-db.timer",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-modules-load.service",
    "systemd-networkd.service",
    "systemd-remount-fs.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "systemd-udevd.service",
    "systemd-udev-trigger.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
)

# Small tree: nobody reads manuals in a node.  Copyright files stay.
DPKG_CONF: Final = """\
force-unsafe-io
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
"""

EXCLUDED_AFTERWARDS: Final = ("usr/share/info", "usr/share/locale", "usr/share/man")

# Each node makes host keys of its own when it boots for the first time.
SSH_DROP_IN: Final = """\
[Service]
ExecStartPre=
ExecStartPre=/usr/bin/ssh-keygen -A
ExecStartPre=/usr/sbin/sshd -t
"""

FILES: Final = {
    "etc/apt/apt.conf.d/90lab": 'APT::Install-Recommends "false";\nAcquire::Languages "none";\n',
    "etc/dpkg/dpkg.cfg.d/lab": DPKG_CONF,
    "etc/fstab": "",
    "etc/resolv.conf": "",
    "etc/ssh/sshd_config.d/lab.conf": "PermitRootLogin prohibit-password\n",
    "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=persistent\n",
    "etc/systemd/system/ssh.service.d/host-keys.conf": SSH_DROP_IN,
}


def key(suite: str) -> str:
    """The name of the base tree in the cache: changes whenever its content would."""
    everything = [VERSION, suite, PACKAGES, MASKED_UNITS, EXCLUDED_AFTERWARDS, FILES]
    digest = hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()
    return f"{suite}-{digest[:16]}"
