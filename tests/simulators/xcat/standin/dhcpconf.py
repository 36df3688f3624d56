"""dhcpd.conf as xCAT writes it for ISC dhcpd."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import Protocol

from . import master, net
from .database import Database
from .engine import Row
from .noderange import NodeRange
from .omapi import omapi_key

CONF = "/etc/dhcp/dhcpd.conf"
BACKUP = CONF + ".xcatbak"
DEFAULTS = "/etc/default/isc-dhcp-server"

HEAD = """\
#xCAT generated dhcp configuration

option conf-file code 209 = text;
option space isan;
option isan-encap-opts code 43 = encapsulate isan;
option isan.iqn code 203 = string;
option isan.root-path code 201 = string;
option space gpxe;
option gpxe-encap-opts code 175 = encapsulate gpxe;
option gpxe.bus-id code 177 = string;
option user-class-identifier code 77 = string;
option gpxe.no-pxedhcp code 176 = unsigned integer 8;
option tcode code 101 = text;
option iscsi-initiator-iqn code 203 = string;
ddns-update-style interim;
ignore client-updates;
option client-architecture code 93 = unsigned integer 16;
option tcode "{timezone}";
option gpxe.no-pxedhcp 1;
option www-server code 114 = string;
option cumulus-provision-url code 239 = text;

omapi-port 7911;
key xcat_key {{
  algorithm hmac-md5;
  secret "{key}";
}};
omapi-key xcat_key;
class "pxe" {{
   match if substring (option vendor-class-identifier, 0, 9) = "PXEClient";
   ddns-updates off;
    max-lease-time 600;
}}
"""

BOOT = """\
    if option user-class-identifier = "xNBA" and option client-architecture = 00:00 \
{{ #x86, xCAT Network Boot Agent
        always-broadcast on;
        filename = "http://{tftp}/tftpboot/xcat/xnba/nets/{net}";
    }} else if option user-class-identifier = "xNBA" and option client-architecture = 00:09 \
{{ #x86, xCAT Network Boot Agent
        filename = "http://{tftp}/tftpboot/xcat/xnba/nets/{net}.uefi";
    }} else if option user-class-identifier = "xNBA" and option client-architecture = 00:07 \
{{ #x86-64 UEFI, xCAT Network Boot Agent
        filename = "http://{tftp}/tftpboot/xcat/xnba/nets/{net}.uefi";
    }} else if option client-architecture = 00:00  {{ #x86
        filename "xcat/xnba.kpxe";
    }} else if option vendor-class-identifier = "Etherboot-5.4"  {{ #x86
        filename "xcat/xnba.kpxe";
    }} else if option client-architecture = 00:07 {{ #x86_64 uefi
         filename "xcat/xnba.efi";
    }} else if option client-architecture = 00:09 {{ #x86_64 uefi alternative id
         filename "xcat/xnba.efi";
    }} else if option client-architecture = 00:02 {{ #ia64
         filename "elilo.efi";
    }} else if option client-architecture = 00:0b {{ #aaarch64
       filename "boot/grub2/grub2.aarch64";
    }} else if option client-architecture = 00:0e {{ #OPAL-v3
         option conf-file = "http://{tftp}/tftpboot/pxelinux.cfg/p/{net}";
    }} else if substring (option vendor-class-identifier,0,11) = "onie_vendor" \
{{ #for onie on cumulus switch
        option www-server = "http://{tftp}/install/onie/onie-installer";
    }} else if substring(filename,0,1) = null \
{{ #otherwise, provide yaboot if the client isn't specific
         filename "/yaboot";
    }}
"""


@dataclasses.dataclass(frozen=True)
class Served:
    """One subnet on one interface."""

    interface: str
    network: ipaddress.IPv4Network
    row: Row


class Say(Protocol):
    """Where warnings and errors go."""

    def warning(self, text: str) -> None: ...
    def error(self, text: str) -> None: ...


def interfaces(database: Database) -> list[str] | None:
    """The NICs that site.dhcpinterfaces gives to this host; None: not set."""
    text = database.site("dhcpinterfaces")
    if not text:
        return None
    names: list[str] = []
    for part in text.replace(" ", "").split(";"):
        host, bar, nics = part.rpartition("|")
        if not bar or host == net.short_hostname() or net.is_mine(host) or _in_group(database, host):
            names += [n for n in nics.split(",") if n and n != "noboot"]
    return names


def _in_group(database: Database, group: str) -> bool:
    return any(net.is_mine(node) for node in NodeRange(database).groups.get(group, []))


def served_subnets(database: Database) -> list[Served]:
    """Networks of the table that a local address is in, on the NICs to serve.

    A NIC that this host lacks serves nothing, and nobody says so.
    """
    wanted = interfaces(database)
    found = []
    for address in net.local_addresses():
        if wanted is not None and address.interface not in wanted:
            continue
        for row in database.rows("networks"):
            if not row["net"] or not row["mask"] or ":" in row["net"]:
                continue
            own = Served(
                address.interface,
                ipaddress.IPv4Network(f"{row['net']}/{row['mask']}", strict=False),
                row,
            )
            if own.network == address.network and own not in found:
                found.append(own)
    return found


def write(database: Database, say: Say) -> tuple[str, list[str]]:
    """(text of dhcpd.conf, names of the NICs it serves)."""
    timezone = database.site("timezone", "UTC")
    text = HEAD.format(timezone=timezone, key=omapi_key(database))
    addresses = net.local_addresses()
    nics: dict[str, list[Served]] = {}
    for own in served_subnets(database):
        nics.setdefault(own.interface, []).append(own)
    for nic, subnets in nics.items():
        text += f"shared-network {nic} {{\n"
        for own in subnets:
            text += _subnet(database, own, addresses, say)
        text += f"}} # {nic} nic_end\n"
    return text, list(nics)


def _subnet(database: Database, own: Served, addresses: list[net.Address], say: Say) -> str:
    row, network = own.row, str(own.network.network_address)

    def servers(text: str) -> list[str]:
        return _own_first(master.resolve_list(database, text, network, addresses), addresses)

    facing = master.facing_or_master(database, network, addresses)
    tftp = (servers(row["tftpserver"] or "") or [facing])[0]
    lease = database.site("dhcplease", "43200")
    domain = row["domain"] or database.site("domain")
    names = servers(row["nameservers"] or database.site("nameservers")) or [facing]
    lines = ["authoritative;", f"max-lease-time {lease};", f"min-lease-time {lease};"]
    lines.append(f"default-lease-time {lease};")
    gateway = _gateway(row["gateway"] or "", facing)
    if gateway and ipaddress.IPv4Address(gateway) in own.network:
        lines.append(f"option routers  {gateway};")
    elif gateway:
        say.error(f"Specified gateway {gateway} is not valid for {network}/{own.network.netmask}, must be on same network")
    lines.append(f"next-server  {tftp};")
    logs = servers(row["logservers"] or "") or [facing]
    lines.append(f"option log-servers {', '.join(logs)};")
    times = servers(row["ntpservers"] or database.site("ntpservers")) or [facing]
    lines.append(f"option ntp-servers {', '.join(times)};")
    if domain:
        lines.append(f'option domain-name "{domain}";')
    lines.append(f"option domain-name-servers  {', '.join(names)};")
    if row["mtu"]:
        lines.append(f"option interface-mtu {row['mtu']};")
    if domain:
        lines.append(f'option domain-search  "{domain}";')
    url = f"http://{tftp}/install/postscripts/cumulusztp"
    lines.append(f'option cumulus-provision-url "{url}";')
    text = f"  subnet {network} netmask {own.network.netmask} {{\n"
    text += "".join(f"    {line}\n" for line in lines)
    for zone in ([f"{domain}."] if domain else []) + [_reverse_zone(own.network)]:
        text += f"    zone {zone} {{\n       primary {names[0]}; key xcat_key; \n    }}\n"
    text += BOOT.format(tftp=tftp, net=f"{network}_{own.network.prefixlen}")
    text += _ranges(row, network, say)
    return text + f"  }} # {network}/{own.network.netmask} subnet_end\n"


def _ranges(row: Row, network: str, say: Say) -> str:
    if not row["dynamicrange"]:
        say.warning(f"No dynamic range specified for {network}. If hardware discovery is being used, a dynamic range is required.")
        return ""
    # Only the host that is the network's dhcpserver gives out its range.
    if row["dhcpserver"] and not net.is_mine(row["dhcpserver"]):
        return ""
    parts = row["dynamicrange"].replace(" ", "").replace(",", "-").split(";")
    return "".join(f"    range dynamic-bootp {p.replace('-', ' ')};\n" for p in parts)


def _gateway(text: str, facing: str) -> str:
    """`<xcatmaster>` is this node, if it forwards."""
    if text != master.XCATMASTER:
        return net.resolve(text) or text
    return facing if net.forwards() else ""


def _own_first(found: list[str], addresses: list[net.Address]) -> list[str]:
    own = {a.address for a in addresses}
    return sorted(found, key=lambda address: address not in own)


def _reverse_zone(network: ipaddress.IPv4Network) -> str:
    octets = max(1, min(3, network.prefixlen // 8))
    labels = str(network.network_address).split(".")[:octets]
    return ".".join(reversed(labels)) + ".IN-ADDR.ARPA."
