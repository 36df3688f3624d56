"""The other machine, through a program called ``ssh`` that behaves like OpenSSH: what its failures mean is never guessed.

The stand-in keeps one file per fact in its directory: ``mode`` (up, down, strange, unknown, silent, hang, cut), ``calls`` (its argv, one
line each), ``master`` (a connection is open), ``chat`` (what it prints on stderr after the command), ``banner`` (what the remote shell's
start-up files print).
"""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_core_toys import MNB
from xcat_ha.errors import ChangeForbiddenError
from xcat_ha.models import Node
from xcat_ha.runners import SshRunner
from xcat_ha.ssh_command import ssh_argv
from xcat_ha.steps import Command, Completed, Trouble, changes, reads

FAKE = r"""#!/bin/sh
D=__D__
printf '%s' "$*" | tr '\n' ' ' >> "$D/calls"; echo >> "$D/calls"
mux= background= socket=
while [ $# -gt 0 ]; do
  case $1 in
    -O) mux=$2; shift 2;;
    -o) case $2 in ControlPath=*) socket=${2#*=};; esac; shift 2;;
    -F) shift 2;;
    -N) shift;;
    -f) background=yes; shift;;
    *) destination=$1; shift; break;;
  esac
done
case $mux in
  check) [ -e "$D/master" ] && exit 0; echo "Control socket connect($socket): No such file or directory" >&2; exit 255;;
  exit) rm -f "$D/master"; exit 0;;
esac
mode=$(cat "$D/mode")
case $mode in
  down) echo "ssh: connect to host 192.0.2.22 port 22: No route to host" >&2; exit 255;;
  strange)
    echo "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @" >&2
    echo "Host key verification failed." >&2; exit 255;;
  unknown)
    echo "No ED25519 host key is known for mnb and you have requested strict checking." >&2
    echo "Host key verification failed." >&2; exit 255;;
  silent) exit 255;;
  hang) sleep 60;;
esac
if [ -n "$background" ]; then touch "$D/master"; exit 0; fi
cat "$D/banner" 2>/dev/null
if [ "$mode" = cut ]; then
  sh -c "${1%%;*}"
  rm -f "$D/master"; echo down > "$D/mode"
  echo "Connection to 192.0.2.22 closed by remote host." >&2; exit 255
fi
sh -c "$1"
code=$?
cat "$D/chat" >&2 2>/dev/null
exit $code
"""


class Ssh:
    """The stand-in's facts."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        (directory / "ssh").write_text(FAKE.replace("__D__", shlex.quote(str(directory))))
        (directory / "ssh").chmod(0o755)
        (directory / "calls").touch()
        self.set("mode", "up\n")

    def set(self, name: str, text: str) -> None:
        (self._directory / name).write_text(text)

    @property
    def calls(self) -> list[str]:
        return (self._directory / "calls").read_text().splitlines()

    def connected(self) -> bool:
        return (self._directory / "master").exists()


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ssh:
    directory = tmp_path / "ssh"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return Ssh(directory)


@pytest.fixture
def runner(ssh: Ssh) -> SshRunner:
    del ssh  # has to be there first
    return SshRunner(MNB)


def sh(runner: SshRunner, script: str, *words: str, **options: Any) -> Completed:
    return runner.run("mnb", Command(("sh", "-c", script, "sh", *words), **options))


def test_a_command_runs_there_and_its_answer_comes_back(runner: SshRunner) -> None:
    done = sh(runner, "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr, done.trouble) == (3, "out\n", "err\n", None)
    assert done.argv == ("sh", "-c", "echo out; echo err >&2; exit 3", "sh")


def test_words_and_stdin_arrive_as_they_are(runner: SshRunner) -> None:
    words = ("", " ", "a b", "$HOME", "`id`", "'", '"', "\\", "*", "; reboot", "é", "\n", "a\udcffb")
    done = sh(runner, 'for word do printf "%s\\0" "$word"; done', *words)
    assert done.stdout.split("\0")[:-1] == list(words)
    assert sh(runner, "cat", stdin="any\udcff\x00 thing").stdout == "any\udcff\x00 thing"
    assert sh(runner, "cat; echo end").stdout == "end\n"  # without stdin nothing is waited for


def test_one_connection_serves_all_commands_and_is_closed(runner: SshRunner, ssh: Ssh) -> None:
    for _ in range(3):
        sh(runner, "true")
    runner.read_many("mnb", [reads("true")])
    assert ssh.connected()
    assert sum("ControlMaster=yes" in call for call in ssh.calls) == 1
    runner.close()
    assert not ssh.connected()
    runner.close()
    assert sh(runner, "true").trouble is Trouble.NOT_RUN


def test_nobody_is_asked_and_no_other_key_is_believed(runner: SshRunner, ssh: Ssh) -> None:
    """Every call: no prompt, strict host keys under the node's id, xcat-ha's own key, none of the administrator's ssh_config."""
    sh(runner, "true")
    for call in ssh.calls:
        for option in ("-F /dev/null", "BatchMode=yes", "StrictHostKeyChecking=yes", "HostKeyAlias=mnb", "IdentitiesOnly=yes"):
            assert option in call
        assert "root@192.0.2.22" in call
    assert "-o Port=2222" in " ".join(ssh_argv(Node("x", "x", "192.0.2.9", "en1", ssh_port=2222)))


TROUBLES = {
    "down": (Trouble.UNREACHABLE, "No route to host"),
    "silent": (Trouble.UNREACHABLE, "ended without a word"),
    "strange": (Trouble.HOST_KEY, "IDENTIFICATION HAS CHANGED"),
    "unknown": (Trouble.HOST_KEY, "No ED25519 host key is known"),
}


@pytest.mark.parametrize("mode", TROUBLES)
def test_ssh_s_own_failure_says_nothing_about_the_command(mode: str, runner: SshRunner, ssh: Ssh) -> None:
    trouble, said = TROUBLES[mode]
    ssh.set("mode", mode)
    answers = (sh(runner, "true"), *runner.read_many("mnb", [reads("true"), reads("id")]))
    for answer in answers:
        assert (answer.returncode, answer.trouble) == (None, trouble)
        assert said in answer.stderr
    assert [answer.argv for answer in answers[1:]] == [("true",), ("id",)]


def test_a_host_that_takes_the_connection_and_says_nothing_is_unreachable(
    runner: SshRunner, ssh: Ssh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not "timed out": the command was never started."""
    monkeypatch.setattr("xcat_ha.runners.ssh._CONNECT_TIMEOUT_S", 0.25)
    ssh.set("mode", "hang")
    began = time.monotonic()
    answers = (sh(runner, "true"), *runner.read_many("mnb", [reads("true")]))
    assert {answer.trouble for answer in answers} == {Trouble.UNREACHABLE}
    assert {answer.returncode for answer in answers} == {None}
    assert time.monotonic() - began < 5


def test_a_node_that_comes_back_is_reached_again(runner: SshRunner, ssh: Ssh) -> None:
    ssh.set("mode", "down")
    assert sh(runner, "true").trouble is Trouble.UNREACHABLE
    ssh.set("mode", "up")
    assert sh(runner, "true").ok


@pytest.mark.parametrize("code", [0, 1, 124, 126, 127, 137, 255])
def test_the_exit_status_is_the_command_s_own(code: int, runner: SshRunner) -> None:
    done = sh(runner, f"echo ssh: connect to host: No route to host >&2; exit {code}")
    assert (done.returncode, done.trouble) == (code, None)


def test_a_connection_that_breaks_leaves_the_outcome_unknown(runner: SshRunner, ssh: Ssh, tmp_path: Path) -> None:
    sh(runner, "true")
    ssh.set("mode", "cut")
    done = runner.run("mnb", changes("touch", f"{tmp_path}/done"))
    assert (done.returncode, done.trouble) == (None, Trouble.UNREACHABLE)
    assert "closed by remote host" in done.stderr
    assert (tmp_path / "done").exists()  # it was done, but nobody knows


def test_what_ssh_says_after_the_command_does_not_hide_its_status(runner: SshRunner, ssh: Ssh) -> None:
    ssh.set("chat", "mux_client_request_session: session request failed\nShared connection to 192.0.2.22 closed.\n")
    assert sh(runner, "echo err >&2; exit 3").returncode == 3
    assert sh(runner, "true").ok


def test_a_daemon_that_still_talks_does_not_hide_the_status(runner: SshRunner) -> None:
    done = sh(runner, "( sleep 0.1; echo late >&2 ) & exit 3")
    assert (done.returncode, done.trouble) == (3, None)


def test_the_marker_cannot_be_forged_by_the_command(runner: SshRunner) -> None:
    assert sh(runner, "echo xcat-ha-exit:0 >&2; exit 7").returncode == 7
    assert sh(runner, "printf xcat-ha-exit:0 >&2; exit 7").returncode == 7


def test_a_command_that_does_not_end_is_ended_there(runner: SshRunner, tmp_path: Path) -> None:
    began = time.monotonic()
    done = sh(runner, f"sleep 30; touch {tmp_path}/ended", timeout_s=1)
    assert (done.returncode, done.trouble) == (None, Trouble.TIMED_OUT)
    assert time.monotonic() - began < 5


def test_output_is_handed_on_as_it_comes(runner: SshRunner) -> None:
    pieces: list[str] = []
    runner.run("mnb", reads("sh", "-c", "echo one; sleep 0.2; echo two"), on_output=pieces.append)
    assert "".join(pieces) == "one\ntwo\n"
    assert len(pieces) > 1


def test_many_reads_are_one_exchange(runner: SshRunner, ssh: Ssh) -> None:
    sh(runner, "true")
    before = len(ssh.calls)
    commands = [Command(("sh", "-c", f"cat; exit {number}"), stdin=f"text {number}") for number in range(20)]
    answers = runner.read_many("mnb", commands)
    assert [(answer.returncode, answer.stdout) for answer in answers] == [(number, f"text {number}") for number in range(20)]
    exchanges = [call for call in ssh.calls[before:] if "-O check" not in call]
    assert len(exchanges) == 1


def test_many_reads_survive_a_talkative_login_shell(runner: SshRunner, ssh: Ssh) -> None:
    ssh.set("banner", "Welcome to mnb!\nYou have 2 mails.\n")
    answers = runner.read_many("mnb", [reads("echo", "one"), reads("echo", "two")])
    assert [answer.stdout for answer in answers] == ["one\n", "two\n"]


def test_reads_never_change(runner: SshRunner, ssh: Ssh, tmp_path: Path) -> None:
    with pytest.raises(ChangeForbiddenError):
        runner.read_many("mnb", [reads("true"), changes("touch", f"{tmp_path}/x")])
    assert ssh.calls == []
    assert runner.read_many("mnb", []) == ()


def test_another_user_is_switched_to_over_there(runner: SshRunner, ssh: Ssh) -> None:
    runner.run("mnb", Command(("id", "-u"), user="nobody"))
    assert "runuser -u nobody -- id -u" in ssh.calls[-1]


def test_without_ssh_the_node_is_unreachable_not_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = SshRunner(MNB).run("mnb", reads("true"))
    assert (done.returncode, done.trouble) == (None, Trouble.UNREACHABLE)
    assert "ssh: not found" in done.stderr
