"""The driver ``linux`` without a node: configuration, questions, interpretation, the shape of its steps."""

from __future__ import annotations

import subprocess
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest
from attrs import evolve

from tests.unit.test_linux_addresses import CAPTURED
from xcat_ha.errors import ConfigError
from xcat_ha.interfaces import Holding
from xcat_ha.models import DriverChoice, Node, Pair, ServiceIdentity
from xcat_ha.steps import Completed, Effect, Trouble
from xcat_ha_drivers.linux import LinuxIdentity

MNA = Node(id="mna", name="mna", address="10.77.0.21", interface="en1")
MNB = Node(id="mnb", name="mnb", address="10.77.0.22", interface="en1")
IDENTITY = ServiceIdentity("mn1", (ip_interface("10.77.0.11/16"), ip_interface("fd77::11/64")))
ANY = DriverChoice("any")
PAIR = Pair("lab", (MNA, MNB), "mna", IDENTITY, ANY, ANY, ANY, ANY, ANY)
STORED = "running\tmn1.lab.example\nstored\tmna\netc/network/interfaces\t    address 10.77.0.11/16\nend\n"


def done(text: str, code: int = 0) -> Completed:
    return Completed(("x",), code, text)


def test_what_a_node_says() -> None:
    state = LinuxIdentity(PAIR, {}).interpret(MNA, (done(CAPTURED), done(STORED)))
    addresses = tuple(address.ip for address in IDENTITY.addresses)
    assert state == Holding(
        addresses, own_address=True, hostname="mn1", stored_hostname="mna", interface_exists=True, persistent=(ip_address("10.77.0.11"),)
    )


@pytest.mark.parametrize("bad", [done("", 1), done("not json"), Completed(("x",), None, trouble=Trouble.UNREACHABLE), done("running\tx\n")])
def test_silence_and_nonsense_are_unknown(bad: Completed) -> None:
    state = LinuxIdentity(PAIR, {}).interpret(MNA, (bad, bad))
    assert state == Holding(service_addresses=None)
    assert state.holds_all(IDENTITY) is None


def test_the_question_reads_a_tree(tmp_path: Path) -> None:
    for name, text in {
        "proc/sys/kernel/hostname": "mn1\n",
        "etc/hostname": "# comment\n\nmna\n",
        "etc/network/interfaces": "iface en1\n  address 10.77.0.11/16\n",
        "etc/NetworkManager/system-connections/a b.nmconnection": "psk=10.77.0.11/16\naddress1=fd77::11/64\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    driver = LinuxIdentity(PAIR, {})
    _, command = driver.questions(MNA)
    argv, env = [str(word) for word in command.argv], {"XCAT_HA_ROOT": str(tmp_path), "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(argv, capture_output=True, text=True, check=True, env=env)
    assert "psk" not in ran.stdout
    state = driver.interpret(MNA, (done(CAPTURED), done(ran.stdout)))
    assert (state.hostname, state.stored_hostname) == ("mn1", "mna")
    assert state.persistent == (ip_address("10.77.0.11"), ip_address("fd77::11"))


@pytest.mark.parametrize(
    ("pair", "options", "reason"),
    [
        (evolve(PAIR, identity=ServiceIdentity("mn1", (ip_interface("10.77.0.11/32"),))), {}, "network"),
        (evolve(PAIR, nodes=(evolve(MNA, address="mna.lab.example"), MNB)), {}, "not an IP address"),
        (PAIR, {"speed": 1}, "not known"),
    ],
)
def test_what_it_cannot_do_is_refused_with_a_hint(pair: Pair, options: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        LinuxIdentity(pair, options)
    assert caught.value.hint


def test_steps_are_ordered_and_ask_by_reading() -> None:
    driver = LinuxIdentity(PAIR, {})
    acquire, release = driver.steps_to_acquire(MNA, IDENTITY), driver.steps_to_release(MNA, IDENTITY)
    own = driver.steps_to_make_own(MNA, IDENTITY)
    assert [step.name for step in acquire] == ["take-service-address", "take-service-hostname"]
    assert [step.name for step in release] == ["drop-service-address", "restore-own-hostname"]
    assert [step.name for step in own] == [
        "add-own-address", "store-own-address", "store-own-hostname", "name-own-address-in-hosts", "convert-service-address",
    ]  # fmt: skip
    for step in (*acquire, *release, *own):
        checks = (step.done_when, *step.only_if)
        assert all(probe.command.effect is Effect.READS for check in checks for probe in check.probes)
        assert all(command.effect is Effect.CHANGES for command in step.commands)
