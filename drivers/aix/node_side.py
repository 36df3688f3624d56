"""Program of the driver ``aix`` on the node. Standard library only, and of AIX only what every AIX has.

Verbs ``free``, ``held``, ``released``, ``hostname-restored``, ``own-present``, ``stored-clean``, ``hostname-stored-clean`` and ``named``
only read (asking who answers makes the node forget and learn ARP entries), and print a verdict; the others change what their name says.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface

from xcat_ha_drivers.aix.reading import Stored, interfaces, neighbours, short, stored
from xcat_ha_drivers.node_commands import Trouble, root, run, said

PING_WAIT_S = 2
REPLACE = "replace"
"""The identity mode's word (``xcat_ha.models`` is not imported here: it would need more than the standard library)."""


def answer(reason: str) -> int:
    """Print a verdict."""
    print(f"FAILS: {reason}" if reason else "HOLDS")
    return 0


def present() -> dict[IPv4Address, str]:
    """Every address that runs here, and its interface."""
    return {one.ip: name for name, addresses in interfaces(said("ifconfig", "-a")).items() for one in addresses}


def odm() -> dict[str, Stored]:
    """What each Ethernet interface gets at a boot."""
    names = [name for name in said("ifconfig", "-l").split() if name.startswith(("en", "et"))]
    return {name: stored([_attribute(name, "netaddr").strip(), *_attribute(name, "alias4").splitlines()]) for name in names}


def _attribute(device: str, name: str) -> str:
    return said("lsattr", "-E", "-l", device, "-a", name, "-F", "value")


def stored_hostname() -> str:
    """The name inet0 gets at a boot."""
    return _attribute("inet0", "hostname").strip()


def who_answers(addresses: Sequence[IPv4Interface]) -> str:
    """Which of the addresses somebody else has. A host that drops echo requests still answers the ARP request that comes before them.

    Raises:
        Trouble: it cannot be told.
    """
    here = present()
    found = []
    for ip in [address.ip for address in addresses if address.ip not in here]:
        run("arp", "-d", str(ip))  # an old entry would speak for a machine that may be gone; that there is none is no failure
        done = run("ping", "-c", "1", "-w", str(PING_WAIT_S), str(ip))
        heard = neighbours(said("arp", "-an")).get(str(ip))
        if done.returncode == 0 or heard:
            found.append(f"{ip} is answered for by {heard or 'somebody'}")
        elif "100% packet loss" not in done.stdout:
            raise Trouble(f"ping {ip}: exit {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return ", ".join(found)


def free(args: argparse.Namespace) -> int:
    """Verdict: nobody else has one of the addresses."""
    return answer(who_answers(args.address))


def held(args: argparse.Namespace) -> int:
    """Verdict: all are on the interface, first if they have to be, with their masks; and so is the node's own."""
    there = interfaces(said("ifconfig", "-a")).get(args.interface, ())
    missing = [str(one) for one in args.address if one not in there]
    if missing:
        return answer(f"{args.interface} does not have {', '.join(missing)}")
    if args.own not in {one.ip for one in there}:
        return answer(f"the node's own address {args.own} is not on {args.interface}")
    if args.mode == REPLACE and there[: len(args.address)] != tuple(args.address):
        return answer(f"{there[0].ip} is listed before the service address, and xCAT would take it")
    return answer("")


def take(args: argparse.Namespace) -> int:
    """Take the addresses, last one first, so that the first one ends at the top; nothing is taken if somebody else has one."""
    here = interfaces(said("ifconfig", "-a"))
    if args.own not in {one.ip for one in here.get(args.interface, ())}:
        raise Trouble(f"the node's own address {args.own} is not on {args.interface}; give it that first (xcat-ha setup does)")
    elsewhere = [f"{one.ip} ({name})" for name, there in here.items() if name != args.interface for one in there if one.ip in _ips(args)]
    if elsewhere:
        raise Trouble(f"a service address is on another interface: {', '.join(elsewhere)}; take it away there (ifconfig … delete)")
    others = who_answers(args.address)
    if others:
        raise Trouble(others)
    verb = "firstalias" if args.mode == REPLACE else "alias"
    for one in reversed(args.address):
        if verb == "firstalias" or one not in here[args.interface]:
            said("ifconfig", args.interface, verb, str(one.ip), "netmask", str(one.netmask), "up")
    return 0


def _ips(args: argparse.Namespace) -> set[IPv4Address]:
    return {one.ip for one in args.address}


def released(args: argparse.Namespace) -> int:
    """Verdict: no service address runs here, the node's own does."""
    here = present()
    left = [f"{ip} is on {here[ip]}" for ip in sorted(_ips(args)) if ip in here]
    if not left and args.own not in here:
        left = [f"the node's own address {args.own} is not here"]
    return answer(", ".join(left))


def drop(args: argparse.Namespace) -> int:
    """Take the addresses away, wherever they are; the node's own is made sure of first: it is how the node is reached."""
    add_own(args)
    here = present()
    for ip in sorted(_ips(args) & here.keys()):
        said("ifconfig", here[ip], "delete", str(ip))
    return 0


def hostname_restored(args: argparse.Namespace) -> int:
    """Verdict: the running name is the node's own."""
    now = said("hostname").strip()
    return answer("" if short(now) == short(args.name) else f"the running hostname is {now}")


def restore_hostname(args: argparse.Namespace) -> int:
    """The name as the ODM has it, if that is the node's own."""
    kept = stored_hostname()
    said("hostname", kept if short(kept) == short(args.name) else args.name)
    return 0


def own_present(args: argparse.Namespace) -> int:
    """Verdict: the node's own address runs here."""
    return answer("" if args.own in present() else f"{args.own} is not here")


def add_own(args: argparse.Namespace) -> int:
    """Add it, with the network's mask, if nobody else has it. An address that is there is never given again: its mask goes wrong."""
    if args.own in present():
        return 0
    others = who_answers([IPv4Interface(f"{args.own}/{args.address[0].netmask}")])
    if others:
        raise Trouble(others)
    said("ifconfig", args.interface, "alias", str(args.own), "netmask", str(args.address[0].netmask), "up")
    return 0


def stored_clean(args: argparse.Namespace) -> int:
    """Verdict: a boot sets the node's own address on the interface, and no service address anywhere."""
    kept = odm()
    bad = [f"{name} gets {ip} at a boot" for name, one in kept.items() for ip in one.addresses if ip in _ips(args)]
    if not bad and (args.interface not in kept or args.own not in kept[args.interface].addresses):
        bad = [f"{args.interface} does not get {args.own} at a boot"]
    return answer(", ".join(bad))


def store_own(args: argparse.Namespace) -> int:
    """The own address in the place of the service address, in the ODM only."""
    mask, own = args.address[0].netmask, str(args.own)
    for name, one in odm().items():
        for alias in one.aliases:
            if IPv4Address(alias.partition(",")[0]) in _ips(args):
                said("chdev", "-l", name, "-a", f"delalias4={alias}", "-P")
        if one.netaddr and IPv4Address(one.netaddr) in _ips(args):
            if name != args.interface:
                raise Trouble(
                    f"{name} gets the service address at a boot, but the node's interface is {args.interface}: change that by hand"
                )
            said("chdev", "-l", name, "-a", f"netaddr={own}", "-a", f"netmask={mask}", "-P")
    if args.own not in odm()[args.interface].addresses:
        raise Trouble(f"{args.interface} does not get {own} at a boot: store it by hand (smit chinet), then try again")
    return 0


def hostname_stored_clean(args: argparse.Namespace) -> int:
    """Verdict: a boot gives the node its own name."""
    kept = stored_hostname()
    return answer("" if short(kept) == short(args.name) else f"the stored hostname is {kept or 'empty'}")


def store_hostname(args: argparse.Namespace) -> int:
    """The own name, in the ODM only."""
    said("chdev", "-l", "inet0", "-a", f"hostname={args.name}", "-P")
    return 0


def named(args: argparse.Namespace) -> int:
    """Verdict: the hosts file gives the node's own name its own address."""
    path = root() / "etc/hosts"
    lines = path.read_text(errors="surrogateescape").splitlines() if path.exists() else []
    entries = [line.partition("#")[0].split() for line in lines]
    good = any(words[:1] == [str(args.own)] and args.name in words[1:] for words in entries)
    return answer("" if good else f"/etc/hosts does not give {args.name} the address {args.own}")


def name_own(args: argparse.Namespace) -> int:
    """One more line of the hosts file."""
    said("hostent", "-a", str(args.own), "-h", " ".join(dict.fromkeys((args.name, short(args.name)))))
    return 0


VERBS = {
    "free": free,
    "held": held,
    "take": take,
    "released": released,
    "drop": drop,
    "hostname-restored": hostname_restored,
    "restore-hostname": restore_hostname,
    "own-present": own_present,
    "add-own": add_own,
    "stored-clean": stored_clean,
    "store-own": store_own,
    "hostname-stored-clean": hostname_stored_clean,
    "store-hostname": store_hostname,
    "named": named,
    "name-own": name_own,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb."""
    parser = argparse.ArgumentParser(prog="xcat_ha_drivers.aix.node_side", description=__doc__)
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("--interface", required=True)
    parser.add_argument("--own", type=IPv4Address, required=True)
    parser.add_argument("--name", required=True, help="the node's own")
    parser.add_argument("--service-name", required=True)
    parser.add_argument("--mode", required=True)
    parser.add_argument("--address", type=IPv4Interface, action="append", required=True)
    args = parser.parse_args(argv)
    try:
        return VERBS[args.verb](args)
    except (Trouble, OSError, ValueError) as error:
        sys.exit(f"xcat-ha: {args.verb}: {error}")


if __name__ == "__main__":
    sys.exit(main())
