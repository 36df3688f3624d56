"""Mode ``replace``: from whatever is on the interface, small moves lead to the exchange and back, and the own address is never absent."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcat_ha.testing import _ip
from xcat_ha.testing.machine import Address
from xcat_ha_drivers.linux.addresses import Held, Link, why_not_held
from xcat_ha_drivers.linux.replacement import (
    Case,
    Move,
    case_of,
    next_to_replace,
    next_to_restore,
    routes_wanted,
    strangers,
    why_not_replaced,
    why_not_restored,
)

SERVICE = IPv4Interface("10.77.0.11/16")
OWN = "10.77.0.21"
CASE = Case(SERVICE, IPv4Address(OWN), (SERVICE,))


def held(text: str, *flags: str, scope: str = "global", broadcast: str = "") -> Held:
    return Held("en1", ip_interface(text), scope, frozenset(flags), broadcast)


def link(*addresses: Held) -> Link:
    return Link("en1", frozenset({"UP", "LOWER_UP"}), "ether", "02:77:00:00:00:21", addresses)


def after(now: Link, move: Move) -> Link:
    """What Linux makes of a move, with promote_secondaries set, as the driver sets it while it deletes."""
    there = [Address(str(each.address), each.scope, set(each.flags)) for each in now.addresses]
    if move.add:
        words = move.add[4:]
        scope = words[words.index("scope") + 1] if "scope" in words else "global"
        answer = _ip._insert(there, Address(words[0], scope, {"noprefixroute"} & set(words)), replacing=False)
        assert answer.returncode == 0, f"the kernel refuses {move.add}: {answer.stderr}"
    if move.delete:
        gone = next(each for each in there if each.interface == str(move.delete.address))
        there.remove(gone)
        network = move.delete.address.network
        mates = [each for each in there if "secondary" in each.flags and ip_interface(each.interface).network == network]
        if mates and "secondary" not in gone.flags:
            there.remove(mates[0])
            mates[0].flags.discard("secondary")
            _ip._insert(there, mates[0], replacing=False)
    return link(*(held(each.interface, *each.flags, scope=each.scope) for each in there))


def walk(now: Link, *, back: bool = False, before: Held | None = None) -> list[Link]:
    """All states on the way, the first and the last included."""
    states = [now]
    for _ in range(12):
        move = next_to_restore(states[-1], CASE, before) if back else next_to_replace(states[-1], CASE)
        if move is None:
            return states
        states.append(after(states[-1], move))
    pytest.fail(f"no end: {[list(map(str, state.addresses)) for state in states]}")


def texts(state: Link) -> list[str]:
    return [str(each.address) for each in state.addresses]


@pytest.mark.parametrize(
    "addresses",
    [
        [held("10.77.0.21/16")],
        [held("10.77.0.11/16"), held("10.77.0.21/16", "secondary")],
        [held("10.77.0.11/16", "noprefixroute"), held("10.77.0.21/16", "secondary")],
        [held("10.77.0.21/16"), held("10.77.0.11/16", "secondary")],
        [held("10.77.0.21/32"), held("10.77.0.11/16")],
        [held("10.77.0.11/16"), held("10.77.0.21/32"), held("10.77.0.21/16", "secondary")],
        [held("10.77.0.21/31", "noprefixroute", scope="link"), held("10.77.0.11/16")],
        [held("10.77.0.21/31", "noprefixroute", scope="link"), held("10.77.0.21/16")],
        [held("10.77.0.11/16"), held("10.77.0.21/32")],
    ],
)
def test_every_beginning_ends_with_the_service_address_first_and_the_own_one_without_a_network(addresses: list[Held]) -> None:
    states = walk(link(*addresses))
    assert texts(states[-1]) == ["10.77.0.11/16", "10.77.0.21/32"]
    assert why_not_held([states[-1]], "en1", OWN, [SERVICE], replace=True) == ""
    assert why_not_replaced([states[-1]], "en1", OWN, [SERVICE]) == ""


def test_the_service_address_of_the_other_mode_ends_the_same_once_that_form_is_dropped() -> None:
    last = walk(link(held("10.77.0.11/15", "noprefixroute", scope="link"), held("10.77.0.21/16")))[-1]
    assert texts(last) == ["10.77.0.11/15", "10.77.0.11/16", "10.77.0.21/32"]


def test_killed_after_any_move_there_or_back_the_own_address_is_there_and_both_ways_are_open() -> None:
    before = held("10.77.0.21/16", broadcast="10.77.255.255")
    there = walk(link(held("10.77.0.21/16")))
    back = walk(there[-1], back=True, before=before)
    assert len(there) > 4
    assert texts(back[-1]) == ["10.77.0.21/16"]
    for state in (*there, *back):
        assert any(text.startswith("10.77.0.21/") for text in texts(state))
        assert any(each.address.network == SERVICE.network and "noprefixroute" not in each.flags for each in state.addresses)
        assert texts(walk(state)[-1]) == ["10.77.0.11/16", "10.77.0.21/32"]
        assert texts(walk(state, back=True, before=before)[-1]) == ["10.77.0.21/16"]


_FORMS = [
    held("10.77.0.21/16"), held("10.77.0.21/32"), held("10.77.0.21/31", "noprefixroute", scope="link"),
    held("10.77.0.11/16"), held("10.77.0.11/15", "noprefixroute", scope="link"), held("192.168.9.9/24"),
]  # fmt: skip


@given(st.permutations(_FORMS), st.integers(1, len(_FORMS)))
def test_in_whatever_order_they_were_added(order: list[Held], number: int) -> None:
    now = link()
    for each in order[:number]:
        form = ("scope", "link", "noprefixroute") if each.scope == "link" else ()
        now = after(now, Move(add=("ip", "-4", "address", "add", str(each.address), "dev", "en1", *form)))
    if not any(each.address.ip == CASE.own for each in now.addresses):
        return
    ours = [text for text in texts(walk(now)[-1]) if not text.startswith("192.") and text != "10.77.0.11/15"]
    assert ours == ["10.77.0.11/16", "10.77.0.21/32"]
    for state in walk(now):
        assert any(text.startswith("10.77.0.21/") for text in texts(state))


def test_the_own_address_comes_back_as_it_was() -> None:
    exchanged = link(held("10.77.0.11/16"), held("10.77.0.21/32"))
    before = Held("en1", ip_interface("10.77.0.21/16"), "global", frozenset({"noprefixroute"}), "10.77.255.255", 100)
    first = next_to_restore(exchanged, CASE, before)
    assert first is not None
    assert first.add == (
        "ip", "-4", "address", "add", "10.77.0.21/16", "broadcast", "10.77.255.255", "dev", "en1", "noprefixroute", "metric", "100",
    )  # fmt: skip
    unremembered = next_to_restore(exchanged, CASE, None)
    assert unremembered is not None
    assert unremembered.add == ("ip", "-4", "address", "add", "10.77.0.21/16", "broadcast", "+", "dev", "en1")


def test_an_own_address_that_somebody_took_away_comes_back_if_it_is_remembered() -> None:
    gone = link(held("10.77.0.11/16"))
    assert texts(walk(gone, back=True, before=held("10.77.0.21/16"))[-1]) == ["10.77.0.21/16"]
    assert next_to_restore(gone, CASE, None) is None


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [
        ([held("10.77.0.11/16"), held("10.77.0.21/16", "secondary")], "still has the network's mask"),
        ([held("10.77.0.11/16"), held("10.77.0.21/32"), held("10.77.9.9/15")], "xCAT could take 10.77.9.9/15"),
        ([held("10.77.0.11/16"), held("10.77.0.21/32"), held("10.77.0.21/31", "noprefixroute", scope="link")], "not a host address"),
        ([held("10.77.0.11/16"), held("10.77.0.21/32"), held("10.77.9.9/32"), held("192.168.1.1/24")], ""),
    ],
)
def test_what_is_left_to_do(addresses: list[Held], reason: str) -> None:
    said = why_not_replaced([link(*addresses)], "en1", OWN, [SERVICE])
    assert reason in said
    assert bool(said) == bool(reason)


def test_a_node_that_gave_the_address_back_has_its_network_again() -> None:
    assert "without its network" in why_not_restored([link(held("10.77.0.21/32"))], "en1", OWN, [SERVICE])
    bridge = held("10.77.0.21/31", "noprefixroute", scope="link")
    assert "10.77.0.21/31 is still" in why_not_restored([link(bridge, held("10.77.0.21/16"))], "en1", OWN, [SERVICE])
    assert why_not_restored([link(held("10.77.0.21/16"))], "en1", OWN, [SERVICE]) == ""


def test_with_the_own_address_on_another_network_there_is_nothing_to_exchange() -> None:
    assert case_of(link(), "192.168.9.21", [SERVICE]) is None
    assert case_of(link(held("10.77.0.22/16")), OWN, [SERVICE]) is None
    assert case_of(link(held("10.77.0.21/16")), OWN, [SERVICE]) == CASE


def test_who_is_a_stranger_and_who_needs_a_route() -> None:
    here = link(held("10.77.0.21/16"), held("10.77.3.3/24"), held("10.77.3.4/32"), held("10.76.0.1/15"), held("10.78.0.1/16"))
    assert texts(link(*strangers(here, OWN, [SERVICE]))) == ["10.77.3.3/24", "10.76.0.1/15"]
    assert [str(peer) for peer in routes_wanted(["10.77.0.22", "192.168.1.1", "fd77::22", OWN], CASE)] == ["10.77.0.22"]
