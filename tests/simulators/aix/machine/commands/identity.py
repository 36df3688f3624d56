"""mktcpip with all it touches, hostname, hostent, host, uname."""

from __future__ import annotations

import io
from collections.abc import Callable

from .. import inet, paths
from ..box import Box, Stop
from ..odm import default_route, gateway_of
from .devices import chdev

HOSTS = "/etc/hosts"
RESOLV = "/etc/resolv.conf"
USAGE = (
    "Usage: mktcpip {-S Interface | -h HostName -a Address -i Interface [-s] [-m SubnetMask] [-r RingSpeed]\n"
    "\t[-t CableType] [-g DefaultGateway] [-n NameServerAddress -d Domain] [-c Subchannel -D Destination]}"
)
CABLES = {"dix", "bnc", "tp", "N/A"}


def mktcpip(box: Box) -> int:
    """The whole identity at once: hosts file, host name, address, route, name server; stored and running."""
    flags, rest = box.options("h:a:i:sm:r:t:g:n:d:c:D:A:S:", USAGE, _without_empty(box.words))
    given = dict(flags)
    if "S" in given:
        return _show(box, given["S"])
    if rest or not all(given.get(flag) for flag in "hai") or ("d" in given and "n" not in given) or given.get("t", "N/A") not in CABLES:
        raise box.fail(USAGE)
    interface = given["i"]
    said = f"{interface}\n{given['h']}"
    if not inet.is_address(given["a"]):
        box.err(interface)
        box.err(f"{given['a']} is an invalid address.")
        raise _problem(box, "hostent", 1)
    if not inet.is_hostname(given["h"]):
        box.err(interface)
        box.err(f"{given['h']} is an invalid host name.")
        raise _problem(box, "hostent", 1)
    for address in (given[flag] for flag in "gn" if given.get(flag)):
        if not inet.is_address(address):
            box.err(interface)
            box.err(f"{address} is an invalid address.")
            raise _problem(box, "chdev", 1)
    box.out(said)
    _write_hosts(given["a"], given["h"])
    _change(box, "inet0", f"hostname={given['h']}")
    mask = given.get("m") or inet.dotted_mask(inet.class_prefix(given["a"]))
    _change(box, interface, f"netaddr={given['a']}", f"netmask={mask}", "state=up")
    _set_route(box, given.get("g", ""))
    if given.get("n"):
        domain = f"domain\t{given['d']}\n" if given.get("d") else ""
        _write(RESOLV, f"nameserver\t{given['n']}\n{domain}")
    return 0


def _set_route(box: Box, gateway: str) -> None:
    """Nothing is replaced: what was there stays beside it."""
    if not gateway or default_route(gateway) in box.odm.values("inet0", "route"):
        return
    if any(known == gateway for known, _ in box.kernel.default_routes()):
        box.odm.add_value("inet0", "route", default_route(gateway))
        return
    _change(box, "inet0", f"route={default_route(gateway)}", quiet=True)


def _change(box: Box, device: str, *changes: str, quiet: bool = False) -> None:
    """Run chdev; its failure is mktcpip's, which stops half way."""
    words = ["-l", device, *(word for change in changes for word in ("-a", change))]
    said, wrong = io.StringIO(), io.StringIO()
    try:
        chdev(Box("chdev", words, said, wrong, box.stdin))
    except Stop as stop:
        box.err(wrong.getvalue().rstrip("\n"))
        raise _problem(box, "chdev", stop.code) from stop
    if not quiet:
        box.out(said.getvalue().rstrip("\n"))


def _problem(box: Box, command: str, code: int) -> Stop:
    return box.fail(f"/usr/sbin/mktcpip: Problem with command: {command}, return code = {code}", code)


def _without_empty(words: list[str]) -> list[str]:
    """SMIT writes -s '' as two words; the empty one means nothing."""
    return [word for at, word in enumerate(words) if word or at == 0 or words[at - 1] != "-s"]


def _show(box: Box, interface: str) -> int:
    if not box.odm.exists(interface):
        raise box.fail(f"mktcpip: {interface}: no such interface")
    odm = box.odm
    resolv = dict(line.split(None, 1) for line in _lines(RESOLV) if len(line.split(None, 1)) == 2)
    gateways = [gateway for route in odm.values("inet0", "route") if (gateway := gateway_of(route))]
    fields = [odm.value("inet0", "hostname"), odm.value(interface, "netaddr"), odm.value(interface, "netmask"), interface]
    fields += [resolv.get("nameserver", "").strip(), resolv.get("domain", "").strip(), next(iter(gateways), ""), "N/A", "no"]
    box.out("#host:addr:mask:_rawname:nameserv:domain:gateway:type:start")
    box.out(":".join(fields))
    return 0


def hostname(box: Box) -> int:
    """The running name; the stored one is chdev's."""
    words = [word for word in box.words if word != "-s"]
    if not words:
        name = box.kernel.hostname()
        box.out(name.partition(".")[0] if "-s" in box.words else name)
    elif len(words) == 1 and inet.is_hostname(words[0]):
        box.kernel.set_hostname(words[0])
        box.out(words[0])
    else:
        raise box.fail("usage: hostname [-s] [hostname]")
    return 0


def uname(box: Box) -> int:
    """-n follows hostname."""
    fields = {"s": "AIX", "n": box.kernel.hostname(), "r": "1", "v": "7", "m": "00F6050A4C00", "p": "powerpc"}
    letters = "".join(word.lstrip("-") for word in box.words) or "s"
    letters = "snrvm" if "a" in letters else letters
    if any(letter not in fields for letter in letters):
        raise box.fail("Usage: uname [-amnprsv]")
    box.out(" ".join(fields[letter] for letter in "snrvmp" if letter in letters))
    return 0


def hostent(box: Box) -> int:
    """-a address -h "names": add a line; -d address: drop it; -S: show."""
    flags, rest = box.options("a:h:d:cS", "Usage: hostent {-a IPAddress -h HostName... | -d IPAddress | -S [Host]}")
    given = dict(flags)
    if given.get("a") and given.get("h"):
        address = box.address(given["a"])
        if any(line.split("#")[0].split()[:1] == [address] for line in _lines(HOSTS)):
            raise box.fail(f"Hostname: {address} already exists in /etc/hosts file.")
        if not all(inet.is_hostname(name) for name in given["h"].split()):
            raise box.fail(f"{given['h']} is an invalid host name.")
        _write(HOSTS, "\n".join([*_lines(HOSTS), f"{address}\t{given['h']}"]) + "\n")
    elif given.get("d"):
        _drop_hosts(lambda fields: fields[:1] == [given["d"]])
    elif "S" in given:
        for line in _lines(HOSTS):
            fields = line.split("#")[0].split()
            if fields and (not rest or rest[0] in fields):
                box.out(f"{fields[0]}\t{' '.join(fields[1:])}")
    else:
        raise box.fail("Usage: hostent {-a IPAddress -h HostName... | -d IPAddress | -S [Host]}")
    return 0


def host(box: Box) -> int:
    """A name's address or the other way round, by the hosts file."""
    for line in _lines(HOSTS):
        fields = line.split("#")[0].split()
        if box.words and box.words[0] in fields:
            names = fields[1:]
            aliases = f",  Aliases:   {', '.join(names[1:])}" if len(names) > 1 else ""
            box.out(f"{names[0]} is {fields[0]}{aliases}")
            return 0
    raise box.fail(f"host: 0827-803 Cannot find address {' '.join(box.words)}.")


def _write_hosts(address: str, name: str) -> None:
    """The old line of the same address or name gives way to a new one without its aliases."""
    _drop_hosts(lambda fields: fields[:1] == [address] or name in fields[1:])
    _write(HOSTS, "\n".join([*_lines(HOSTS), f"{address}\t{name}"]) + "\n")


def _drop_hosts(unwanted: Callable[[list[str]], bool]) -> None:
    kept = [line for line in _lines(HOSTS) if not unwanted(line.split("#")[0].split())]
    _write(HOSTS, "".join(f"{line}\n" for line in kept))


def _lines(path: str) -> list[str]:
    place = paths.at(path)
    return place.read_text(encoding="utf-8").splitlines() if place.exists() else []


def _write(path: str, text: str) -> None:
    place = paths.at(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")
