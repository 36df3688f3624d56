"""Wrong inputs and bad moments on a real pair: a clear message, the right exit code, nothing changed.

One pair for the module; every test leaves it as it found it, and the last one proves that it still hands over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.lab import Completed, Lab, Node
from tests.lab.product import (
    CONFIG,
    PAIR_TOML,
    REPOSITORY,
    SERVICE_ADDRESS,
    write_config,
    xcat_ha,
)

pytestmark = pytest.mark.lab

DONE, FAILED, USAGE, REFUSED, UNKNOWN, INTERRUPTED = range(6)
# servicenode.sqlite: a test writes a row there itself and removes it again.
_FILES = "find /etc/xcat /install /tftpboot /root/.xcat -type f ! -name servicenode.sqlite -print0"
_XCAT = ("-c", f"{_FILES} | sort -z | xargs -0 sha256sum | sha256sum")


def digest(node: Node) -> str:
    """A word for all files of the role on a node."""
    return str(node.run(("sh", *_XCAT), timeout_s=120).stdout)


@pytest.fixture(autouse=True)
def unchanged(site: Lab) -> Iterator[None]:
    """Whatever a test refuses must have changed nothing: files of the role, holder of the address."""
    before = [(digest(node), _holds(node)) for node in site.nodes.values()]
    yield
    assert [(digest(node), _holds(node)) for node in site.nodes.values()] == before


def _holds(node: Node) -> bool:
    return f" {SERVICE_ADDRESS}/" in node.run(("ip", "-o", "addr")).stdout


def said(done: Completed, code: int, *words: str) -> None:
    """The exit code, every word in the message, a hint, no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "hint:" in done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[pair\n", ("line 1",)),
        (PAIR_TOML.replace('interface = "en1"', "interface = 1", 1), ("nodes.mna.interface", "string")),
        (PAIR_TOML.replace('driver = "sqlite-copy"', 'driver = "no-such"'), ("no-such", "sqlite-copy")),
        (PAIR_TOML.replace("10.77.0.11/16", "10.77.0.11"), ("service.addresses", "prefix")),
        (PAIR_TOML.replace('"sqlite-copy"', '"sqlite-copy"\nkeep = "many"'), ("keep", CONFIG)),
        (PAIR_TOML.replace("10.77.0.11/16", "10.77.0.21/16"), ("three addresses",)),
    ],
)
def test_wrong_configuration(mna: Node, text: str, words: tuple[str, ...]) -> None:
    write_config(mna, text)
    try:
        for verb in ("status", "check", "sync", "failover"):
            said(xcat_ha(mna, verb, *([] if verb in {"status", "check"} else ["--yes"]), check=False), REFUSED, *words)
    finally:
        write_config(mna)


def test_configuration_that_is_not_there(mna: Node) -> None:
    said(xcat_ha(mna, "status", "--config", "/nosuch.toml", check=False), REFUSED, "/nosuch.toml")


def test_cfgloc_of_another_database(mna: Node) -> None:
    mna.run(("sh", "-c", "umask 077; echo 'Pg:dbname=xcatdb;host=10.77.0.11|xcatadm|s3cretword' > /etc/xcat/cfgloc"))
    try:
        done = xcat_ha(mna, "failover", "--yes", check=False)
        said(done, REFUSED, "cfgloc")
        assert "s3cretword" not in done.stderr + done.stdout
        assert xcat_ha(mna, "check", check=False).returncode == FAILED
    finally:
        mna.run(("rm", "/etc/xcat/cfgloc"))


def test_sshd_of_the_standby_is_stopped(mna: Node, mnb: Node) -> None:
    mnb.run(("systemctl", "stop", "ssh.socket", "ssh"), check=False)
    try:
        status = xcat_ha(mna, "status", check=False)
        assert status.returncode == UNKNOWN, status.stdout
        assert "mnb does not answer" in status.stdout
        assert "silence does not prove" in status.stdout
        for verb in ("sync", "failover", "verify"):
            said(xcat_ha(mna, verb, "--yes", check=False), UNKNOWN, "mnb")
    finally:
        mnb.run(("systemctl", "start", "ssh"))


def test_another_host_key_than_expected(mna: Node) -> None:
    known = "/etc/xcat-ha/ssh/known_hosts"
    saved = mna.run(("cat", known)).stdout
    other = mna.run(("cat", "/etc/ssh/ssh_host_ed25519_key.pub")).stdout.split()
    mna.run(("sh", "-c", f"cat > {known}"), input=f"mnb {other[0]} {other[1]}\n")
    try:
        said(xcat_ha(mna, "failover", "--yes", check=False), UNKNOWN, "mnb")
        assert "host key" in xcat_ha(mna, "status", check=False).stdout.lower()
    finally:
        mna.run(("sh", "-c", f"cat > {known}"), input=saved)


def test_unknown_node_and_unknown_set(mna: Node) -> None:
    said(xcat_ha(mna, "failover", "--to", "mnc", "--yes", check=False), REFUSED, "mnc", "mna, mnb")
    said(xcat_ha(mna, "sync", "no-such-set", "--yes", check=False), REFUSED, "no-such-set", "credentials")


def test_failover_to_the_node_that_is_primary(mna: Node) -> None:
    said(xcat_ha(mna, "failover", "--to", "mna", "--yes", check=False), REFUSED, "primary already")
    said(xcat_ha(mna, "failback", "--yes", check=False), REFUSED, "primary already")


def test_nobody_to_ask(mna: Node) -> None:
    said(xcat_ha(mna, "failover", check=False), REFUSED, "not confirmed", "--yes")


def test_two_operations_at_once(mna: Node, mnb: Node) -> None:
    holder = '{"id": "x", "operation": "failover", "node": "", "host": "elsewhere", "pid": 1, "user": "root", "since": 1e9}'
    mnb.run(("sh", "-c", "cat > /run/xcat-ha/lock.json"), input=holder)
    try:
        said(xcat_ha(mna, "sync", "--yes", check=False), REFUSED, "failover", "elsewhere")
        # A job started by the timer takes that calmly.
        assert xcat_ha(mna, "sync", "--scheduled", "--yes", check=False).returncode == DONE
        assert "lock.json" not in mna.run(("ls", "/run/xcat-ha")).stdout
    finally:
        mnb.run(("rm", "/run/xcat-ha/lock.json"))


def test_dry_run_shows_the_commands_and_changes_nothing(mna: Node) -> None:
    done = xcat_ha(mna, "failover", "--dry-run")
    for word in ("mna: stop-", "mnb: ", "makedns -n", "makedhcp -a", "only if:"):
        assert word in done.stdout
    plan = json.loads(xcat_ha(mna, "failover", "--dry-run", "--json").stdout)
    assert plan["format"] == 1
    assert [phase["name"] for phase in plan["plan"]["phases"]][:3] == ["catch-up", "yield", "stop-xcatd"]


def test_service_nodes_are_refused_with_sqlite(mna: Node) -> None:
    mna.run(("/opt/xcat/sbin/chtab", "node=sn1", "servicenode.nameserver=1"), timeout_s=60)
    try:
        done = xcat_ha(mna, "check", check=False)
        assert done.returncode == FAILED
        assert re.search(r"FAILS .*service nodes", done.stdout)
    finally:
        mna.run(("/opt/xcat/sbin/chtab", "-d", "node=sn1", "servicenode"), timeout_s=60)


def test_status_is_one_json_document(mna: Node, mnb: Node) -> None:
    for node in (mna, mnb):
        answer = json.loads(xcat_ha(node, "status", "--json", check=False).stdout)
        assert (answer["format"], answer["verb"], answer["exit_code"]) == (1, "status", 0), answer
        assert answer["status"]["primary"] == "mna"


def test_the_example_program_of_the_documentation(mna: Node) -> None:
    program = (REPOSITORY / "docs/examples/watch_pair.py").read_text(encoding="utf-8")
    done = mna.run(("/opt/xcat-ha/bin/python3", "-", CONFIG), input=program, check=False)
    assert done.returncode == DONE, done.stderr
    assert "mna" in done.stdout


def test_drivers_lists_what_is_installed(mna: Node) -> None:
    answer = json.loads(xcat_ha(mna, "drivers", "--json").stdout)
    names = {driver["name"] for driver in answer["drivers"]}
    assert {"sqlite-copy", "rsync", "linux", "systemd", "systemd-timer"} <= names
    assert not [driver for driver in answer["drivers"] if driver["problem"]]
