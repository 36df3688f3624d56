"""Where the service address sits among a node's addresses, from what ``ip -j address`` really prints."""

from __future__ import annotations

import json
from ipaddress import IPv4Interface, ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcat_ha_drivers.linux.addresses import (
    Held,
    Link,
    argv_to_add,
    argv_to_convert,
    argv_to_delete,
    has_own,
    in_service_form,
    other_forms,
    parse_links,
    secondaries_of,
    service_prefix,
    why_not_fitting,
    why_not_held,
    why_not_released,
)

SERVICE = ip_interface("10.77.0.11/16")
SIX = ip_interface("fd77::11/64")
OWN = "10.77.0.21"

# Captured from iproute2 6.1 on Linux 6.18: node with own addresses and both service addresses in the service form.
CAPTURED = """[{"ifindex":1,"ifname":"lo","flags":["LOOPBACK","UP","LOWER_UP"],"mtu":65536,"qdisc":"noqueue","operstate":"UNKNOWN",
"group":"default","txqlen":1000,"link_type":"loopback","address":"00:00:00:00:00:00","broadcast":"00:00:00:00:00:00","addr_info":
[{"family":"inet","local":"127.0.0.1","prefixlen":8,"scope":"host","label":"lo","valid_life_time":4294967295,
"preferred_life_time":4294967295}]},{"ifindex":2,"link_index":4,"ifname":"en1","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"mtu":1500,
"qdisc":"noqueue","operstate":"UP","group":"default","txqlen":1000,"link_type":"ether","address":"02:77:00:00:00:21",
"broadcast":"ff:ff:ff:ff:ff:ff","link_netnsid":0,"addr_info":[{"family":"inet","local":"10.77.0.11","prefixlen":15,"scope":"link",
"noprefixroute":true,"label":"en1","valid_life_time":4294967295,"preferred_life_time":4294967295},{"family":"inet","local":"10.77.0.21",
"prefixlen":16,"broadcast":"10.77.255.255","scope":"global","label":"en1","valid_life_time":4294967295,"preferred_life_time":4294967295},
{"family":"inet6","local":"fd77::11","prefixlen":128,"scope":"global","deprecated":true,"noprefixroute":true,"valid_life_time":4294967295,
"preferred_life_time":0},{"family":"inet6","local":"fd77::21","prefixlen":64,"scope":"global","valid_life_time":4294967295,
"preferred_life_time":4294967295},{"family":"inet6","local":"fe80::77:ff:fe00:21","prefixlen":64,"scope":"link",
"valid_life_time":4294967295,"preferred_life_time":4294967295}]}]"""


def held(text: str, *flags: str, scope: str = "global", device: str = "en1") -> Held:
    return Held(device, ip_interface(text), scope, frozenset(flags))


def ours(text: str = "10.77.0.11/15") -> Held:
    return held(text, "noprefixroute", scope="link")


def machine(*addresses: Held) -> tuple[Link, ...]:
    return (Link("en1", frozenset({"UP", "LOWER_UP"}), "ether", "02:77:00:00:00:21", addresses),)


def test_captured_output_is_understood() -> None:
    links = parse_links(CAPTURED)
    assert [link.name for link in links] == ["lo", "en1"]
    assert links[1].has_carrier
    assert links[1].mac == "02:77:00:00:00:21"
    assert why_not_held(links, "en1", OWN, [SERVICE, SIX]) == ""
    assert "10.77.0.11/15 is still on en1" in why_not_released(links, OWN, [SERVICE])


@pytest.mark.parametrize("text", ["", "{}", "[]", "[1]", "[{}]x", '[{"ifname":"en1","addr_info":[{"local":"x","prefixlen":1}]}]', '["a"]'])
def test_what_is_no_list_of_interfaces_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - from json, ipaddress or ours: only the type is promised
        parse_links(text)


def test_empty_entries_of_old_iproute2_are_skipped() -> None:
    assert parse_links(json.dumps([{}, {"ifname": "en1", "addr_info": [{}]}]))[0].addresses == ()


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [
        ([ours(), held("10.77.0.21/16")], ""),
        ([held("10.77.0.21/16")], "10.77.0.11 is not on en1"),
        ([held("10.77.0.11/16"), held("10.77.0.21/16", "secondary")], "not on en1 in the form"),
        ([ours(), held("10.77.0.11/16"), held("10.77.0.21/16", "secondary")], "in a form that is not ours"),
        ([ours()], "own address 10.77.0.21 is not there"),
        ([held("10.77.0.5/14", scope="link"), ours(), held("10.77.0.21/16")], "xCAT would take 10.77.0.5"),
        ([held("10.78.0.5/16", scope="link"), ours(), held("10.77.0.21/16")], ""),
        ([held("10.77.0.21/16"), ours()], "xCAT would take 10.77.0.21"),
        ([held("10.77.0.11/15", scope="link"), held("10.77.0.21/16")], "not on en1 in the form"),
        ([ours(), held("10.77.0.21/16", "tentative")], "own address 10.77.0.21 is not there"),
    ],
)
def test_what_is_missing_to_hold_the_service_address(addresses: list[Held], reason: str) -> None:
    said = why_not_held(machine(*addresses), "en1", OWN, [SERVICE])
    assert reason in said
    assert bool(said) == bool(reason)


@pytest.mark.parametrize(("flag", "reason"), [("tentative", "still being checked"), ("dadfailed", "a duplicate")])
def test_an_ipv6_address_counts_when_the_kernel_has_checked_it(flag: str, reason: str) -> None:
    six = held("fd77::11/128", "noprefixroute", "deprecated", flag)
    links = machine(six, held("fd77::21/64"), held("10.77.0.21/16"))
    assert reason in why_not_held(links, "en1", OWN, [SIX])


def test_alone_in_its_network_the_address_brings_the_route() -> None:
    """The node's own address is on another network: then the plain form is the right one."""
    links = (*machine(held("10.77.0.11/16")), Link("adm0", frozenset(), "ether", "", (held("192.168.9.21/24", device="adm0"),)))
    assert why_not_held(links, "en1", "192.168.9.21", [SERVICE]) == ""
    assert argv_to_add(SERVICE, machine()[0], [SERVICE]) == ("ip", "-4", "address", "add", "10.77.0.11/16", "broadcast", "+", "dev", "en1")
    assert "fd77::11/64" in argv_to_add(SIX, machine()[0], [SIX])


def test_the_commands() -> None:
    (link,) = machine(held("10.77.0.21/16"), held("fd77::21/64"))
    assert argv_to_add(SERVICE, link, [SERVICE]) == (
        "ip", "-4", "address", "add", "10.77.0.11/15", "dev", "en1", "scope", "link", "noprefixroute",
    )  # fmt: skip
    assert argv_to_add(SIX, link, [SIX], known_unique=True) == (
        "ip", "-6", "address", "add", "fd77::11/128", "dev", "en1", "noprefixroute", "preferred_lft", "0", "nodad",
    )  # fmt: skip
    assert argv_to_convert(held("fd77::11/64")) == (
        "ip", "-6", "address", "change", "fd77::11/64", "dev", "en1", "noprefixroute", "preferred_lft", "0",
    )  # fmt: skip
    assert argv_to_delete(ours()) == ("ip", "-4", "address", "del", "10.77.0.11/15", "dev", "en1")


def test_secondaries_would_go_with_the_first() -> None:
    first, second, other = held("10.77.0.11/16"), held("10.77.0.21/16", "secondary"), held("10.78.0.1/16", "secondary")
    links = machine(first, second, other)
    assert secondaries_of(links, first) == (second,)
    assert secondaries_of(links, second) == ()
    assert other_forms(links, [SERVICE], links[0]) == (first,)
    assert has_own(links, OWN)


def v4_interfaces(prefixes: st.SearchStrategy[int]) -> st.SearchStrategy[IPv4Interface]:
    return st.builds(lambda number, prefix: IPv4Interface((number, prefix)), st.integers(0x01000000, 0xDFFFFFFF), prefixes)


@given(v4_interfaces(st.integers(8, 30)), st.lists(v4_interfaces(st.integers(1, 30)), max_size=6))
def test_the_mask_contains_the_network_and_is_nobody_elses(service: IPv4Interface, others: list[IPv4Interface]) -> None:
    prefix = service_prefix(service, others)
    wide = IPv4Interface((int(service.ip), prefix)).network
    assert prefix < service.network.prefixlen
    assert service.network.subnet_of(wide)
    assert all(other.network != wide for other in others)  # the same mask there would be EINVAL, or a secondary


@given(v4_interfaces(st.integers(8, 30)), st.integers(1, 1000))
def test_what_is_added_is_recognised_as_ours(service: IPv4Interface, offset: int) -> None:
    own = service.network[offset % service.network.num_addresses]
    if own == service.ip:
        return
    (link,) = machine(held(f"{own}/{service.network.prefixlen}"))
    argv = argv_to_add(service, link, [service])
    (after,) = machine(held(argv[4], "noprefixroute", scope="link"), *link.addresses)
    assert in_service_form(after, service, [service]) is not None
    assert why_not_held((after,), "en1", str(own), [service]) == ""


def test_when_every_mask_is_in_use_it_says_so() -> None:
    with pytest.raises(ValueError, match="no prefix length"):
        service_prefix(IPv4Interface("10.0.0.1/3"), [IPv4Interface("10.0.0.2/2"), IPv4Interface("10.0.0.2/1")])


@pytest.mark.parametrize(
    ("elsewhere", "reason"),
    [
        ("10.76.3.1/16", "10.76.3.1/16 is on bmc0: xCAT would take 10.77.0.11/15"),
        ("10.76.3.1/24", "10.76.3.1/24 is on bmc0"),
        ("10.78.3.1/16", ""),
        ("10.77.200.1/24", ""),
        ("192.168.1.1/24", ""),
    ],
)
def test_a_network_beside_the_clusters_that_the_wider_mask_contains_is_named(elsewhere: str, reason: str) -> None:
    other = Link("bmc0", frozenset(), "ether", "", (held(elsewhere, device="bmc0"), held("fd78::1/64", device="bmc0")))
    for addresses in ([held("10.77.0.21/16")], [ours(), held("10.77.0.21/16")]):
        said = why_not_fitting((*machine(*addresses), other), "en1", [SERVICE, SIX])
        assert reason in said
        assert bool(said) == bool(reason)


def test_a_mask_of_the_ordinary_length_contains_no_neighbour() -> None:
    other = Link("bmc0", frozenset(), "ether", "", (held("10.76.3.1/16", device="bmc0"),))
    assert why_not_fitting((*machine(held("10.77.0.11/16")), other), "en1", [SERVICE]) == ""
    assert "no interface en9" in why_not_fitting(machine(held("10.77.0.11/16")), "en9", [SERVICE])
