"""Unit names per service, and how to tell that xcatd is really stopped.

Source: xCAT's own ``servicemap`` (``Utils.pm``) and the packages of RHEL, SLES, Debian and Ubuntu. Which of the candidates exists is
found out on the node; several of a row may be installed.
"""

from __future__ import annotations

from xcat_ha.interfaces.services import Service
from xcat_ha.models import Node
from xcat_ha.steps import Check, Probe, SaysVerdict, reads

UNIT_CANDIDATES: dict[Service, tuple[str, ...]] = {
    Service.XCATD: ("xcatd",),
    Service.DHCP: (
        "dhcpd",
        "isc-dhcp-server",
        "kea-dhcp4",
        "kea-dhcp6",
        "kea-dhcp-ddns",
        "kea-ctrl-agent",
        "kea-dhcp4-server",
        "kea-dhcp6-server",
        "kea-dhcp-ddns-server",
        "isc-dhcp-server6",
        "dhcpd6",
    ),
    Service.DNS: ("named", "bind9"),
    Service.CONSOLE: ("goconserver", "conserver", "conserver-server"),
    Service.TFTP: ("tftpd-hpa", "tftp"),
    Service.HTTP: ("httpd", "apache2"),
    Service.NFS: ("nfs-server", "nfsserver", "nfs-kernel-server"),
}

_XCATD_STOPPED = """\
state=$(systemctl show -p ActiveState --value xcatd 2>/dev/null) || { echo "UNKNOWN: systemctl does not answer"; exit 0; }
case "$state" in
  active|activating|reloading|deactivating) echo "FAILS: unit xcatd is $state"; exit 0;;
esac
if listeners=$(ss -Hltn "sport = :$1" 2>/dev/null); then
  [ -z "$listeners" ] || { echo "FAILS: something listens on TCP port $1"; exit 0; }
else
  echo "UNKNOWN: ss does not answer"; exit 0
fi
for title in /proc/[0-9]*/cmdline; do
  read -r words < "$title" 2>/dev/null
  case "$words" in "xcatd: "*|"xcatd SSL: "*) echo "FAILS: a process is called $words"; exit 0;; esac
done
echo HOLDS
"""


def xcatd_is_stopped(node: Node) -> Check:
    """The xCAT daemon of ``node`` is stopped: neither unit nor listener nor any process of its own is there, also none that still serves
    a request (``xcatd SSL: …``).

    The listening socket counts, not ``/run/xcatd.pid``, which stays behind after SIGTERM (facts: xCAT 2.2).
    """
    return Check(
        question=f"xcatd is stopped on {node.id}",
        probes=(Probe(node.id, reads("sh", "-c", _XCATD_STOPPED, "sh", "3001")),),
        rule=SaysVerdict(),
        hint=f"stop it: systemctl disable --now xcatd (on {node.id})",
    )
