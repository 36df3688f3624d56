"""ifconfig, netstat, arp, errpt, ping: the running network. Nothing here outlives a boot but the error log."""

from __future__ import annotations

import subprocess

from .. import inet
from ..box import Box, Stop
from ..kernel import ERRLOG, FileKernel, KernelError, Link, find, log_duplicate
from ..store import Store

FLAGS = "BROADCAST,NOTRAILERS,RUNNING,SIMPLEX,MULTICAST,GROUPRT,64BIT,CHECKSUM_OFFLOAD(ACTIVE),LARGESEND,CHAIN"
LOOPBACK = (
    "lo0: flags=e08084b,c0<UP,BROADCAST,LOOPBACK,RUNNING,SIMPLEX,MULTICAST,GROUPRT,64BIT,LARGESEND,CHAIN>\n"
    "\tinet 127.0.0.1 netmask 0xff000000 broadcast 127.255.255.255"
)


def ifconfig(box: Box) -> int:
    """Show or change what runs."""
    words = list(box.words)
    if words in (["-a"], ["-au"], ["-ad"], ["-l"]):
        return _show_all(box, words[0])
    if not words:
        raise box.fail("usage: ifconfig interface [ address_family ] [ address ] [ parameters ]")
    name = words.pop(0)
    if words and words[0] == "inet":
        words.pop(0)
    link = find(box.kernel, name)
    if link is None:
        if name == "lo0":
            box.out(LOOPBACK)
            return 0
        raise box.fail(f"ifconfig: 0821-555 ioctl (SIOCGIFFLAGS).: {name}: The specified interface does not exist.")
    if not words:
        box.out(_shown(link))
        return 0
    try:
        _change(box, link, words)
    except KernelError as error:
        raise box.fail(f"ifconfig: 0821-555 ioctl ({name}): {error}") from error
    return 0


def _show_all(box: Box, flag: str) -> int:
    links = [link for link in box.kernel.links() if link.attached or flag == "-l"]
    if flag == "-l":
        box.out(" ".join([*(link.name for link in links), "lo0"]))
        return 0
    for link in links:
        if flag == "-a" or link.up == (flag == "-au"):
            box.out(_shown(link))
    if flag != "-ad":
        box.out(LOOPBACK)
    return 0


def _shown(link: Link) -> str:
    flags = f"1e084863,104c0<UP,{FLAGS}>" if link.up else f"1e084862,104c0<{FLAGS}>"
    lines = [f"{link.name}: flags={flags}"]
    for address, prefix in link.addresses:
        mask = f" netmask {inet.hex_mask(prefix)} broadcast {inet.broadcast(address, prefix)}" if prefix < 32 else ""
        lines.append(f"\tinet {address}{mask}")
    return "\n".join([*lines, "\t tcp_sendspace 262144 tcp_recvspace 262144 rfc1323 1"])


def _change(box: Box, link: Link, words: list[str]) -> None:
    asked = _Asked(box, words)
    others = [pair for pair in link.addresses if pair[0] != asked.address]
    if asked.verb == "detach":
        box.kernel.detach(link.name)
    elif asked.verb == "delete":
        _delete(box, link, asked.address)
    elif asked.address:
        pair = (asked.address, inet.class_prefix(asked.address) if asked.prefix is None else asked.prefix)
        if asked.verb == "firstalias":
            wanted = [pair, *others]
        elif asked.verb == "alias":
            # An address that is there already keeps its place and gets the new mask.
            wanted = [pair if one[0] == asked.address else one for one in link.addresses]
            wanted += [] if pair in wanted else [pair]
        else:
            wanted = [pair, *(one for one in others if one != next(iter(link.addresses), None))]
        box.kernel.set_up(link.name, up=asked.up is not False)
        box.kernel.set_addresses(link.name, wanted)
    elif asked.up is not None:
        box.kernel.set_up(link.name, up=asked.up)


def _delete(box: Box, link: Link, address: str) -> None:
    gone = address or next((one for one, _ in link.addresses), "")
    left = [pair for pair in link.addresses if pair[0] != gone]
    if len(left) == len(link.addresses):
        raise box.fail("ifconfig: 0821-555 ioctl (SIOCDIFADDR).: Can't assign requested address")
    box.kernel.set_addresses(link.name, left)


VERBS = {"alias": "alias", "firstalias": "firstalias", "delete": "delete", "-alias": "delete", "detach": "detach"}


class _Asked:
    """The words of a change: an address, what is to be done with it, its mask, up or down."""

    def __init__(self, box: Box, words: list[str]) -> None:
        self.address = self.verb = ""
        self.prefix: int | None = None
        self.up: bool | None = None
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word in VERBS:
                self.verb = VERBS[word]
            elif word in {"up", "down"}:
                self.up = word == "up"
            elif word == "netmask":
                self.prefix = inet.prefix_of(rest.pop(0)) if rest else None
                if self.prefix is None:
                    raise box.fail("ifconfig: 0821-557 bad value for netmask")
            elif word in {"broadcast", "metric", "mtu"}:
                del rest[:1]
            elif inet.is_address(word) and not self.address:
                self.address = word
            else:
                raise box.fail(f"ifconfig: 0821-554 {word}: bad value or the host name is not known")


def netstat(box: Box) -> int:
    """-in: interfaces, a line per address; -rn: routes."""
    letters = {flag for flag, _ in box.options("inrvaI:f:", "usage: netstat [-in] [-rn]")[0]}
    if "i" in letters:
        box.out("Name  Mtu   Network     Address            Ipkts Ierrs    Opkts Oerrs  Coll")
        for number, link in enumerate([one for one in box.kernel.links() if one.attached], start=2):
            name = link.name if link.up else f"{link.name}*"
            box.out(f"{name:<5} 1500  {f'link#{number}':<11} {inet.short_mac(link.mac, '.'):<17} 81979866     0 34796223     0     0")
            for address, prefix in link.addresses:
                box.out(f"{name:<5} 1500  {inet.network_text(address, prefix):<11} {address:<17} 81979866     0 34796223     0     0")
        box.out("lo0   16896 127         127.0.0.1              1000     0     1000     0     0")
    elif "r" in letters:
        box.out("Routing tables\nDestination        Gateway           Flags   Refs     Use  If   Exp  Groups")
        box.out("\nRoute Tree for Protocol Family 2 (Internet):")
        for gateway, interface in box.kernel.default_routes():
            box.out(f"{'default':<18} {gateway:<17} UG        2    121789 {interface:<5}    -      -")
        for link in box.kernel.links():
            for address, prefix in link.addresses:
                box.out(
                    f"{inet.network_text(address, prefix)}/{prefix}".ljust(19)
                    + f"{address:<17} U         9    181789 {link.name:<5}    -      -"
                )
    return 0


def arp(box: Box) -> int:
    """-a, -an: who is known; -d: forget one."""
    if box.words and box.words[0] in {"-a", "-an", "-na"}:
        known = box.kernel.neighbours()
        for number, (address, mac) in enumerate(sorted(known.items())):
            box.out(f"  ? ({address}) at {inet.short_mac(mac, ':')} [ethernet] stored in bucket {number}")
        box.out(f"\nThere are {len(known)} entries in the arp table.")
        return 0
    if len(box.words) == 2 and box.words[0] == "-d":
        address = box.words[1]
        if not inet.is_address(address) or not box.kernel.forget_neighbour(address):
            raise box.fail(f"{address} ({address}) -- no entry")
        box.out(f"{address} ({address}) deleted")
        return 0
    raise box.fail("usage: arp -a | arp -d hostname")


def errpt(box: Box) -> int:
    """The error log: addresses that somebody else has too."""
    entries = Store(ERRLOG).read().get("entries", [])
    if entries and "-a" not in box.words:
        box.out("IDENTIFIER TIMESTAMP  T C RESOURCE_NAME  DESCRIPTION")
    for one in entries:
        if "-a" in box.words:
            box.out("LABEL:\t\tAIXIF_ARP_DUP_ADDR\nDescription\nDUPLICATE IP ADDRESS DETECTED IN THE NETWORK")
            box.out(f"IP Address\n{one['address']}\nMAC\n{one['mac']}\n")
        else:
            box.out("FE2DEE00   1124160026 P S SYSXAIXIF      DUPLICATE IP ADDRESS DETECTED IN THE NETWORK")
    return 0


def ping(box: Box) -> int:
    """Below a temporary root only: a machine of the segment answers, no other."""
    if not isinstance(box.kernel, FileKernel):
        return subprocess.run(["/usr/bin/ping", *box.words], check=False).returncode
    _, rest = box.options("c:w:i:I:nqs:", "usage: ping host")
    target = box.address(rest[0]) if rest else ""
    own = any(target == one for link in box.kernel.links() if link.up for one, _ in link.addresses)
    answers = own or box.kernel.meet(target)
    box.out(f"PING {target}: ({target}): 56 data bytes")
    if answers:
        box.out(f"64 bytes from {target}: icmp_seq=0 ttl=255 time=0 ms")
    box.out(
        f"\n--- {target} ping statistics ---\n1 packets transmitted, {int(answers)} packets received, {0 if answers else 100}% packet loss"
    )
    return 0 if answers else 1


def announce(box: Box) -> int:
    """What the kernel of AIX does by itself when it gets an address: tell the segment, and note who contradicts."""
    if isinstance(box.kernel, FileKernel) or len(box.words) != 2:
        raise Stop(2)
    interface, address = box.words
    subprocess.run(["arping", "-U", "-q", "-c", "3", "-w", "3", "-I", interface, address], check=False, capture_output=True)
    heard = subprocess.run(["arping", "-D", "-c", "2", "-w", "2", "-I", interface, address], check=False, capture_output=True, text=True)
    if heard.returncode == 1:
        log_duplicate(address, heard.stdout.partition("[")[2].partition("]")[0])
    return 0
