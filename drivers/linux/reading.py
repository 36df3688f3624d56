"""From the answers of a node to a :class:`~xcat_ha.interfaces.Holding`. Pure."""

from __future__ import annotations

from ipaddress import ip_address

from xcat_ha.interfaces import Holding
from xcat_ha.models import ServiceIdentity
from xcat_ha.steps import Completed
from xcat_ha_drivers.linux.addresses import every, find_link, has_own, parse_links
from xcat_ha_drivers.linux.boot_files import read_listing, shell_words

# Lines that cannot set an address are not even printed: these files hold keys and passwords too.
IDENTITY_SCRIPT = f"""\
root=${{XCAT_HA_ROOT:-}}
root=${{root%/}}
read -r running < "$root/proc/sys/kernel/hostname" || exit 3
printf 'running\\t%s\\n' "$running"
stored=
[ ! -e "$root/etc/hostname" ] || stored=$(sed -n '/^[[:space:]]*[^#[:space:]]/{{p;q;}}' "$root/etc/hostname") || exit 3
printf 'stored\\t%s\\n' "$stored"
for file in {shell_words()}; do
  [ -f "$file" ] || continue
  grep -aE '([0-9]{{1,3}}\\.){{3}}[0-9]{{1,3}}|[0-9A-Fa-f]*:[0-9A-Fa-f]*:' "$file" | grep -aviE 'psk|passw|secret|key|token|identity' |
    while IFS= read -r line; do printf '%s\\t%s\\n' "${{file#"$root"/}}" "$line"; done
done
echo end
"""
"""Prints ``running<TAB>name``, ``stored<TAB>name``, then ``path<TAB>line`` for lines with an address, then ``end``."""


def holding(identity: ServiceIdentity, own: str, interface: str, links_answer: Completed, identity_answer: Completed) -> Holding:
    """What the two answers say; whatever one of them does not say is None."""
    holding = _addresses(identity, own, interface, links_answer)
    text = identity_answer.stdout.splitlines() if identity_answer.ok else []
    if len(text) < 3 or text[-1] != "end" or not text[0].startswith("running\t") or not text[1].startswith("stored\t"):
        return holding
    running, stored = (line.partition("\t")[2].strip() for line in text[:2])
    listing = "\n".join(text[2:-1])
    return Holding(
        service_addresses=holding.service_addresses,
        own_address=holding.own_address,
        interface_exists=holding.interface_exists,
        hostname=_short(running) or None,
        stored_hostname=_short(stored) or None,
        persistent=read_listing(listing, [address.ip for address in identity.addresses]),
    )


def _addresses(identity: ServiceIdentity, own: str, interface: str, answer: Completed) -> Holding:
    if not answer.ok:
        return Holding(service_addresses=None)
    try:
        links = parse_links(answer.stdout)
    except ValueError:
        return Holding(service_addresses=None)
    present = {held.address.ip for held in every(links)}
    return Holding(
        service_addresses=tuple(address.ip for address in identity.addresses if address.ip in present),
        own_address=has_own(links, own) if _is_address(own) else None,
        interface_exists=find_link(links, interface) is not None,
    )


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _short(name: str) -> str:
    return name.split(".", maxsplit=1)[0]
