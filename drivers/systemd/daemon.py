"""The unit of a program of xcat-ha that runs from boot to shutdown."""

from __future__ import annotations

import hashlib
import re

from xcat_ha.errors import ConfigError
from xcat_ha.interfaces import Daemon
from xcat_ha.models import Node
from xcat_ha.steps import Check, ExitStatus, Probe, Step, changes, reads
from xcat_ha.xcat.services import UNIT_CANDIDATES

UNIT_DIR = "/etc/systemd/system"
_PLAIN = re.compile(r"[A-Za-z0-9/._=:@+-]+")

_KEPT = """\
[ -e "$1" ] || { echo "$1 is not there"; exit 1; }
[ "$(sha256sum < "$1" 2>/dev/null | cut -d " " -f 1)" = "$3" ] || { echo "$1 is not as setup writes it"; exit 1; }
systemctl is-enabled -q "$2" || { echo "it would not start at boot"; exit 1; }
systemctl is-active -q "$2" || { echo "it does not run"; exit 1; }
"""
_KEEP = """\
umask 022
cat > "$1.new" && sync -f "$1.new" && mv "$1.new" "$1" || exit 1
systemctl daemon-reload && systemctl enable "$2" && systemctl restart "$2"
"""


def unit_text(daemon: Daemon) -> str:
    """The unit. It comes before every service of the role, should one of them be enabled against all rules.

    Raises:
        ConfigError: a word of the command could be misread by systemd.
    """
    for word in daemon.argv:
        if not _PLAIN.fullmatch(word):
            raise ConfigError(f"systemd may misread {word!r}", where=f"daemon {daemon.name}", hint="use paths of plain letters and digits")
    role = " ".join(f"{name}.service" for names in UNIT_CANDIDATES.values() for name in names)
    return f"""\
# Written by xcat-ha (driver systemd).
[Unit]
Description=xcat-ha: {daemon.why}
Wants=network-online.target
After=network-online.target
Before={role}
StartLimitIntervalSec=0

[Service]
ExecStart={" ".join(daemon.argv)}
Restart=always
RestartSec=3

[Install]
WantedBy=multi-user.target
"""


def step_to_keep(node: Node, daemon: Daemon) -> Step:
    """Write, enable and (re)start it; done when the file is right and the unit is enabled and active."""
    unit, text = f"xcat-ha-{daemon.name}.service", unit_text(daemon)
    path = f"{UNIT_DIR}/{unit}"
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Step(
        name=f"keep-{daemon.name}-running",
        why=f"From boot to shutdown it {daemon.why}.",
        host=node.id,
        done_when=Check(
            question=f"{unit} is installed, enabled and running on {node.id}",
            probes=(Probe(node.id, reads("sh", "-c", _KEPT, "sh", path, unit, digest)),),
            rule=ExitStatus(),
            hint=f"look at systemctl status {unit} on {node.id}; xcat-ha setup installs, enables and starts it",
        ),
        commands=(changes("sh", "-c", _KEEP, "sh", path, unit, stdin=text),),
        settle_s=10.0,
    )
