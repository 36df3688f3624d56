"""The driver ``systemd`` without a node: what ``systemctl show`` says, processes, choice of units, the shape of its steps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.test_linux_driver import MNA, PAIR, done
from xcat_ha.errors import UnknownStateError
from xcat_ha.interfaces import ROLE_SERVICES, Service, ServiceStates, UnitState
from xcat_ha.steps import Completed, Trouble
from xcat_ha_drivers.systemd import Systemd, choice
from xcat_ha_drivers.systemd.processes import Process, end_processes, find_processes, udp_port_taken
from xcat_ha_drivers.systemd.units import Unit, parse_show, rc_started

# Captured from systemd 252 (Debian 12); bind9 is an alias of named there, isc-dhcp-server a SysV script.
CAPTURED = """\
Id=xcatd.service
RequiredBy=
WantedBy=
LoadState=not-found
ActiveState=inactive
SubState=dead
UnitFileState=

Id=isc-dhcp-server.service
RequiredBy=
WantedBy=multi-user.target graphical.target
LoadState=loaded
ActiveState=failed
SubState=failed
UnitFileState=generated

Id=named.service
RequiredBy=
WantedBy=multi-user.target
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled

Id=named.service
RequiredBy=
WantedBy=multi-user.target
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled

Id=tftpd-hpa.service
RequiredBy=
WantedBy=multi-user.target graphical.target
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=generated
"""
BESIDE = "rc tftpd-hpa\nrc ssh\ntftpd installed\ntftpd running\nend\n"


def unit(
    active: str = "active", sub: str = "running", *, file_state: str = "enabled", wanted: tuple[str, ...] = (), load: str = "loaded"
) -> Unit:
    return Unit("x.service", load, active, sub, file_state, wanted)


def test_captured_output_is_understood() -> None:
    states = Systemd(PAIR, {}).interpret(MNA, (done(CAPTURED), done(BESIDE)))
    assert states == ServiceStates(
        known=True,
        services={
            Service.DHCP: (UnitState("isc-dhcp-server.service", running=False, enabled=False),),
            Service.DNS: (UnitState("named.service", running=True, enabled=True),),
            Service.TFTP: (UnitState("tftpd-hpa.service", running=True, enabled=True), UnitState("", running=True, enabled=False)),
        },
    )


@pytest.mark.parametrize("bad", [done("", 1), done("Id=x\n"), Completed(("x",), None, trouble=Trouble.TIMED_OUT)])
def test_silence_and_nonsense_are_unknown(bad: Completed) -> None:
    driver = Systemd(PAIR, {})
    states = driver.interpret(MNA, (bad, done(BESIDE)))
    assert not states.known
    assert states.running(Service.DNS) is None
    assert not driver.interpret(MNA, (done(CAPTURED), done("rc x\n"))).known
    with pytest.raises(UnknownStateError):
        driver.steps_to_stop(MNA, ROLE_SERVICES, states)


@pytest.mark.parametrize(
    ("state", "running", "settled"),
    [
        (unit(), True, True),
        (unit("activating", "start"), True, False),
        (unit("activating", "auto-restart"), False, False),
        (unit("deactivating", "stop-sigterm"), True, False),
        (unit("active", "exited"), False, False),
        (unit("active", "listening"), True, True),
        (unit("failed", "failed"), False, False),
        (unit("inactive", "dead"), False, False),
    ],
)
def test_running(state: Unit, running: bool, settled: bool) -> None:
    assert (state.running, state.settled) == (running, settled)


@pytest.mark.parametrize(
    ("state", "boots"),
    [
        (unit(file_state="enabled"), True),
        (unit(file_state="disabled"), False),
        (unit(file_state="masked", wanted=("multi-user.target",)), False),
        (unit(file_state="masked-runtime", wanted=("multi-user.target",)), True),
        (unit(file_state="enabled-runtime", wanted=("multi-user.target",)), False),
        (unit(file_state="static"), False),
        (unit(file_state="static", wanted=("xcatd.service",)), False),
        (unit(file_state="static", wanted=("multi-user.target",)), True),
        (unit(file_state="indirect"), False),
        (unit(file_state="generated", wanted=("multi-user.target",)), False),
        (unit(file_state="", load="not-found"), False),
    ],
)
def test_starts_at_boot(state: Unit, boots: bool) -> None:
    assert state.starts_at_boot(()) is boots


def test_sysv_scripts_start_by_their_links() -> None:
    assert unit(file_state="generated").starts_at_boot(rc_started("rc x\nrc y\n"))
    assert rc_started("tftpd installed\nend\n") == frozenset()
    assert [u.id for u in parse_show(CAPTURED)].count("named.service") == 1


def test_one_step_for_what_may_go_together() -> None:
    driver = Systemd(PAIR, {})
    xcatd = CAPTURED.replace("not-found", "loaded")
    states = driver.interpret(MNA, (done(xcatd), done(BESIDE)))
    stop = driver.steps_to_stop(MNA, ROLE_SERVICES, states)
    assert [step.name for step in stop] == ["stop-xcatd", "stop-dhcp-dns-tftp"]
    words = stop[1].commands[0].argv
    assert {"isc-dhcp-server.service", "named.service", "tftpd-hpa.service", "in.tftpd", "named", "dhcpd"} <= set(words)
    start = driver.steps_to_start(MNA, (Service.DNS, Service.XCATD, Service.DHCP), states)
    assert [step.name for step in start] == ["start-dns", "start-xcatd", "start-dhcp"]
    assert start[1].commands[0].timeout_s > 600
    (disable,) = driver.steps_to_disable(MNA, ROLE_SERVICES, states)
    assert disable.commands[0].argv[:2] == ("systemctl", "disable")
    assert "" not in disable.commands[0].argv
    assert driver.steps_to_disable(MNA, (Service.CONSOLE,), states) == ()


def process(tree: Path, pid: int, comm: str, cmdline: str, net: str = "net:[1]") -> None:
    directory = tree / "proc" / str(pid)
    (directory / "ns").mkdir(parents=True)
    (directory / "comm").write_text(f"{comm}\n")
    (directory / "cmdline").write_text(cmdline.replace(" ", "\0"))
    (directory / "ns/net").symlink_to(net)


def test_processes_of_this_network_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XCAT_HA_ROOT", str(tmp_path))
    (tmp_path / "proc/self/ns").mkdir(parents=True)
    (tmp_path / "proc/self/ns/net").symlink_to("net:[1]")
    process(tmp_path, 10, "in.tftpd", "/usr/sbin/in.tftpd -l")
    process(tmp_path, 11, "in.tftpd", "/usr/sbin/in.tftpd -l", net="net:[2]")
    process(tmp_path, 12, "in.tftpd", "")
    process(tmp_path, 13, "xcatd: SSL list", "xcatd: SSL listener")
    process(tmp_path, 14, "vi", "vi xcatd: notes")
    process(tmp_path, os.getpid(), "named", "named")
    assert find_processes(["in.tftpd"]) == (Process(10, "in.tftpd"),)
    assert [found.pid for found in find_processes(["xcatd"])] == [13]
    end_processes(["named"])  # this very process's number: nothing of a test's tree is ever sent a signal


def test_udp_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XCAT_HA_ROOT", str(tmp_path))
    assert not udp_port_taken(69)
    (tmp_path / "proc/net").mkdir(parents=True)
    line = "  sl  local_address rem_address\n 74: 00000000:0045 00000000:0000 07 0:0\n"
    (tmp_path / "proc/net/udp").write_text(line)
    assert udp_port_taken(69)
    assert not udp_port_taken(0x4500)


def test_the_unit_that_xcat_configured_last_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XCAT_HA_ROOT", str(tmp_path))
    units = ["goconserver.service", "conserver.service"]
    assert choice.in_order_of_choice("console", units) == []
    assert choice.in_order_of_choice("dhcp", ["dhcpd.service", "kea-dhcp4.service"]) == ["dhcpd.service", "kea-dhcp4.service"]
    (tmp_path / "etc/goconserver").mkdir(parents=True)
    (tmp_path / "etc/goconserver/server.conf").write_text("#generated by xcat Version 2.19\n")
    (tmp_path / "etc/conserver.cf").write_text("#xCAT BEGIN cn1 CONS\n")
    os.utime(tmp_path / "etc/goconserver/server.conf", (1, 1))
    assert choice.in_order_of_choice("console", units) == ["conserver.service", "goconserver.service"]


def test_debians_conserver_is_pointed_at_xcats_file_unless_the_site_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XCAT_HA_ROOT", str(tmp_path))
    assert not choice.prepare("conserver-server.service")
    (tmp_path / "etc/conserver").mkdir(parents=True)
    (tmp_path / "etc/conserver.cf").write_text("#xCAT BEGIN cn1 CONS\n")
    (tmp_path / "etc/conserver/server.conf").write_text("OPTS='-p 3109 '\n")
    assert not choice.prepare("conserver.service")
    assert choice.prepare("conserver-server.service")
    assert not choice.prepare("conserver-server.service")
    assert "-C /etc/conserver.cf" in (tmp_path / choice.CONSERVER_DROP_IN).read_text()
    (tmp_path / choice.CONSERVER_DROP_IN).unlink()
    (tmp_path / "etc/conserver/server.conf").write_text("OPTS='-C /etc/mine.cf'\n")
    assert not choice.prepare("conserver-server.service")
