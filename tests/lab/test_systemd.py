"""The drivers ``systemd`` and ``systemd-timer`` on real nodes with the distribution's own units."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from tests.lab import Lab
from tests.lab.in_nodes import MNA, LabRunner, install_programs, pair_of
from tests.lab.lab_site import IDENTITY
from tests.simulators.xcat.install import install as install_xcat
from tests.simulators.xcat.install import provision
from xcat_ha.errors import StepFailedError
from xcat_ha.execution import execute_steps
from xcat_ha.interfaces import ROLE_SERVICES, Job, Schedule, ScheduleState, Service, ServiceStates
from xcat_ha.runners.recording import RecordingRunner
from xcat_ha.steps import Command, Steps, Verdict, reads
from xcat_ha.xcat.services import xcatd_is_stopped
from xcat_ha_drivers.systemd import Systemd
from xcat_ha_drivers.systemd_timer import SystemdTimer

DHCPD_CONF = "#xCAT generated dhcp configuration\nsubnet 10.77.0.0 netmask 255.255.0.0 { }\n"
CONSERVER_CF = """\
config * {{
  sslrequired yes;
  sslcacertificatefile /etc/xcat/cert/ca.pem;
  sslcredentials /etc/xcat/cert/server-cred.pem;
}}
access * {{ trusted 127.0.0.1; }}
#xCAT BEGIN cn1 CONS
console cn1 {{ type exec; exec {command}; master localhost; rw *; }}
#xCAT END cn1 CONS
default * {{ logfile /var/log/consoles/&; }}
"""


class Stage:
    """A node with xCAT's stand-in, the driver, and a runner that remembers."""

    def __init__(self, lab: Lab) -> None:
        install_programs(lab)
        node = lab.node("mna")
        install_xcat(node.root)
        provision(node.root, primary=True)
        self.lab = lab
        self.runner = RecordingRunner(LabRunner(lab))
        self.driver = Systemd(pair_of(IDENTITY), {})
        self.sh("systemctl daemon-reload")

    def sh(self, script: str, *, check: bool = True) -> str:
        return self.lab.node("mna").run(["sh", "-c", script], check=check).stdout.strip()

    def observe(self) -> ServiceStates:
        return self.driver.observe(MNA, self.runner)

    def do(self, make: Callable[..., Steps], *services: Service) -> float:
        start = time.monotonic()
        execute_steps(make(MNA, services, self.observe()), self.runner)
        return time.monotonic() - start

    def pgrep(self, name: str) -> list[str]:
        return self.sh(f"pgrep -x {name}", check=False).split()


@pytest.fixture
def stage(fresh_pair: Lab) -> Stage:
    return Stage(fresh_pair)


def test_units_are_found_under_their_real_names(stage: Stage) -> None:
    states = stage.observe()
    assert states.known
    names = {service: [state.unit for state in found] for service, found in states.services.items()}
    assert names == {
        Service.XCATD: ["xcatd.service"],
        Service.DHCP: ["isc-dhcp-server.service"],
        Service.DNS: ["named.service"],
        Service.CONSOLE: ["conserver-server.service"],
        Service.TFTP: ["tftpd-hpa.service", ""],
        Service.HTTP: ["apache2.service"],
    }
    assert [states.running(service) for service in (Service.XCATD, Service.DHCP, Service.DNS, Service.TFTP)] == [False, False, True, True]
    assert [states.enabled(s) for s in (Service.XCATD, Service.DHCP, Service.DNS, Service.CONSOLE)] == [False, True, True, False]


def test_disabled_is_read_back_and_survives_a_reboot(stage: Stage) -> None:
    stage.sh("systemctl enable xcatd")
    stage.do(stage.driver.steps_to_disable, *ROLE_SERVICES)
    states = stage.observe()
    assert [states.enabled(service) for service in ROLE_SERVICES] == [False] * 5
    assert states.running(Service.DNS)
    count = len(stage.runner.changes)
    stage.do(stage.driver.steps_to_disable, *ROLE_SERVICES)
    assert len(stage.runner.changes) == count
    stage.sh("systemctl enable named")  # as makedhcp does with Kea's units
    stage.do(stage.driver.steps_to_disable, *ROLE_SERVICES)
    assert not stage.observe().enabled(Service.DNS)
    stage.lab.node("mna").reboot()
    states = stage.observe()
    assert [states.running(service) for service in ROLE_SERVICES] == [False] * 5


def test_the_whole_role_starts_and_stops(stage: Stage) -> None:
    stage.sh(f"printf '%s' '{DHCPD_CONF}' > /etc/dhcp/dhcpd.conf; echo INTERFACESv4=en1 > /etc/default/isc-dhcp-server")
    stage.sh(f"mkdir -p /etc/xcat/cert /var/log/consoles; cat > /etc/conserver.cf <<'X'\n{conserver_cf('/bin/cat')}X")
    stage.sh("systemctl stop tftpd-hpa named")
    stage.do(stage.driver.steps_to_start, *ROLE_SERVICES)
    states = stage.observe()
    assert [states.running(service) for service in ROLE_SERVICES] == [True] * 5
    assert stage.pgrep("dhcpd")
    assert stage.pgrep("conserver")
    assert "/etc/conserver.cf" in stage.sh("tr '\\0' ' ' < /proc/$(pgrep -xo conserver)/cmdline")
    assert stage.pgrep("in.tftpd")
    count = len(stage.runner.changes)
    stage.do(stage.driver.steps_to_start, *ROLE_SERVICES)
    assert len(stage.runner.changes) == count
    took_s = stage.do(stage.driver.steps_to_stop, *ROLE_SERVICES)
    states = stage.observe()
    assert [states.running(service) for service in ROLE_SERVICES] == [False] * 5
    assert [stage.pgrep(name) for name in ("dhcpd", "named", "conserver", "in.tftpd")] == [[]] * 4
    assert ":69 " not in stage.sh("ss -Hlun")
    assert took_s < 20
    count = len(stage.runner.changes)
    stage.do(stage.driver.steps_to_stop, *ROLE_SERVICES)
    assert len(stage.runner.changes) == count


def conserver_cf(command: str) -> str:
    return "\n".join(line for line in CONSERVER_CF.format(command=command).splitlines() if "ssl" not in line) + "\n"


def test_in_tftpd_of_xcatd_ends_although_no_unit_owns_it(stage: Stage) -> None:
    stage.sh("systemctl stop tftpd-hpa; systemctl start xcatd")
    stage.sh("pgrep -x in.tftpd || /usr/sbin/in.tftpd -l -s /tftpboot")
    stage.do(stage.driver.steps_to_stop, Service.XCATD)
    stage.sh("pgrep -x in.tftpd || /usr/sbin/in.tftpd -l -s /tftpboot")
    assert stage.observe().running(Service.TFTP)
    stage.do(stage.driver.steps_to_stop, Service.TFTP)
    assert stage.pgrep("in.tftpd") == []


def test_something_else_on_the_tftp_port_is_not_taken_for_stopped(stage: Stage) -> None:
    stage.do(stage.driver.steps_to_stop, Service.TFTP)
    stage.lab.node("mna").popen(
        ["python3", "-c", "import socket,time;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.bind(('',69));time.sleep(60)"]
    )
    time.sleep(0.5)
    with pytest.raises(StepFailedError, match="UDP port 69"):
        stage.do(stage.driver.steps_to_stop, Service.TFTP)


def test_xcatd_outside_its_unit_is_ended_too(stage: Stage) -> None:
    stage.sh("setsid bash -c 'exec -a \"xcatd: SSL listener\" sleep 300' >/dev/null 2>&1 &")
    time.sleep(0.3)
    stage.do(stage.driver.steps_to_stop, Service.XCATD)
    (judgement,) = [xcatd_is_stopped(MNA).judge([stage.runner.run("mna", xcatd_is_stopped(MNA).probes[0].command)])]
    assert judgement.verdict is Verdict.HOLDS


def test_a_unit_that_fails_says_why(stage: Stage) -> None:
    stage.sh("echo 'nonsense;' > /etc/bind/named.conf; systemctl stop named")
    with pytest.raises(StepFailedError) as caught:
        stage.do(stage.driver.steps_to_start, Service.DNS)
    assert "named" in str(caught.value)
    assert any("nonsense" in run.completed.stderr for run in stage.runner.changes)


def test_a_console_server_without_xcats_configuration_is_not_started(stage: Stage) -> None:
    stage.sh("rm -f /etc/conserver.cf")
    with pytest.raises(StepFailedError, match="makeconservercf"):
        stage.do(stage.driver.steps_to_start, Service.CONSOLE)


def test_masked_units_count_as_disabled(stage: Stage) -> None:
    stage.sh("systemctl mask --now named")
    states = stage.observe()
    assert (states.running(Service.DNS), states.enabled(Service.DNS)) == (False, False)
    stage.do(stage.driver.steps_to_disable, Service.DNS)


class Timers:
    """The schedule driver on a node."""

    def __init__(self, lab: Lab, options: dict[str, object]) -> None:
        self.lab = lab
        self.runner = RecordingRunner(LabRunner(lab))
        self.driver: Schedule = SystemdTimer(pair_of(IDENTITY), options)

    def observe(self) -> ScheduleState:
        return self.driver.observe(MNA, self.runner)

    def start(self, *jobs: Job) -> None:
        execute_steps(self.driver.steps_to_start(MNA, jobs), self.runner)

    def stop(self) -> None:
        execute_steps(self.driver.steps_to_stop(MNA), self.runner)

    def run(self, *argv: str) -> str:
        return self.runner.run("mna", Command(argv)).stdout


@pytest.fixture
def timers(fresh_pair: Lab) -> Timers:
    install_programs(fresh_pair)
    return Timers(fresh_pair, {"stop_wait_s": 5})


ODD_WORDS = ("a b", "%i $HOME ${HOME}", '"quoted"', "it's", "back\\slash", "tab\tnew\nline", "", "ü", ";", "--")


def test_jobs_run_with_their_exact_words_and_are_gone_after_a_reboot(timers: Timers) -> None:
    script = 'import sys,json;json.dump(sys.argv[1:],open("/run/seen","w"))'
    jobs = (
        Job("sync-files", ("/usr/bin/python3", "-c", script, *ODD_WORDS), 1, "a 100 % odd job"),
        Job("sync-database", ("/bin/false",), 3600, "fails"),
    )
    timers.start(*jobs)
    time.sleep(13)
    text = timers.run("python3", "-c", "import json;print(json.dumps(json.load(open('/run/seen'))))")
    assert json.loads(text) == list(ODD_WORDS)
    deadline = time.monotonic() + 5
    while (state := timers.observe()).jobs["sync-files"].last_exit is None and time.monotonic() < deadline:
        time.sleep(0.2)  # it may be at work just now
    assert set(state.jobs) == {"sync-files", "sync-database"}
    assert (state.jobs["sync-files"].active, state.jobs["sync-files"].last_exit) == (True, 0)
    assert abs((state.jobs["sync-files"].last_run or 0) - time.time()) < 6
    count = len(timers.runner.changes)
    timers.start(*jobs)
    assert len(timers.runner.changes) == count
    timers.start(jobs[0])
    assert set(timers.observe().jobs) == {"sync-files"}
    timers.lab.node("mna").reboot()
    assert timers.observe() == ScheduleState(known=True, jobs={})


def test_a_failed_run_is_seen(timers: Timers) -> None:
    timers.start(Job("sync-database", ("/bin/sh", "-c", "exit 7"), 1, "fails"))
    time.sleep(4)
    assert timers.observe().jobs["sync-database"].last_exit == 7


def test_a_job_at_work_is_waited_for_not_cut_off(timers: Timers) -> None:
    timers.start(Job("sync-files", ("/bin/sh", "-c", "touch /run/began; sleep 4; touch /run/ended"), 1, "slow"))
    deadline = time.monotonic() + 15
    while not timers.run("sh", "-c", "ls /run/began 2>/dev/null") and time.monotonic() < deadline:
        time.sleep(0.1)
    timers.stop()
    assert timers.run("ls", "/run/ended")
    assert timers.observe().jobs == {}
    count = len(timers.runner.changes)
    timers.stop()
    assert len(timers.runner.changes) == count


def test_a_job_that_never_ends_is_reported_and_left_alone(timers: Timers) -> None:
    timers.start(Job("sync-files", ("/bin/sleep", "60"), 1, "endless"))
    time.sleep(3)
    with pytest.raises(StepFailedError, match="did not end"):
        timers.stop()
    assert timers.run("pgrep", "-x", "sleep")
    assert "xcat-ha-sync-files.timer" not in timers.run("systemctl", "list-timers", "--no-legend")


def test_questions_change_nothing(timers: Timers) -> None:
    commands = (*timers.driver.questions(MNA), reads("true"))
    assert all(command.effect == "reads" for command in commands)
