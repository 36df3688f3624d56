"""xCAT's site table, as ``lsdef -t site -c`` prints it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from xcat_ha.steps import Command, Completed, reads
from xcat_ha.xcat.commands import LSDEF, XCATD_PORT

WANTED = ("master", "nameservers", "domain", "installdir", "tftpdir", "xcatdport", "externaldns", "externaldhcpservers")
"""Keys that count here."""


@frozen
class Site:
    """The rows of the site table that matter here. ``known`` is False when xcatd could not be asked; then these are xCAT's defaults."""

    known: bool
    master: str = ""
    nameservers: str = ""
    domain: str = ""
    installdir: str = "/install"
    tftpdir: str = "/tftpboot"
    xcatdport: int = XCATD_PORT
    external_dns: bool = False
    external_dhcp: bool = False
    detail: str = ""


def site_question() -> Command:
    """Asks the running xcatd of the node."""
    return reads(LSDEF, "-t", "site", "-i", ",".join(WANTED), "-c", timeout_s=120)


def offline_site_question() -> Command:
    """Asks the tables themselves, on a node whose xcatd does not run; about a second (facts: xCAT 2.4). Rows count, not its status."""
    return reads("env", "XCATBYPASS=1", LSDEF, "-t", "site", "-i", ",".join(WANTED), "-c", timeout_s=120)


def interpret_site(answer: Completed) -> Site:
    """The answer of :func:`site_question`. Exit status 0 with no ``master`` counts as not known: xcatd without its database says so too."""
    values = _values(answer.stdout) if answer.ok else {}
    if not values.get("master"):
        return Site(known=False, detail=answer.summary)
    port = values.get("xcatdport", "")
    return Site(
        known=True,
        master=values["master"],
        nameservers=values.get("nameservers", ""),
        domain=values.get("domain", ""),
        installdir=values.get("installdir") or "/install",
        tftpdir=values.get("tftpdir") or "/tftpboot",
        xcatdport=int(port) if port.isdecimal() else XCATD_PORT,
        external_dns=bool(values.get("externaldns")),
        external_dhcp=bool(values.get("externaldhcpservers")),
    )


def _values(text: str) -> Mapping[str, str]:
    """``clustersite: key=value`` lines; anything else is skipped."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, separator, assignment = line.partition(": ")
        key, equals, value = assignment.partition("=")
        if separator and equals:
            found[key.strip()] = value.strip()
    return found
