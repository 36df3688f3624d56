"""db2start, db2stop, db2gcf, db2set, db2pd, db2_kill, db2iauto."""

from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import signal
import subprocess
import sys
import time

from . import paths, wire
from .disk import Instance
from .messages import SqlError, text, wrapped
from .wire import Message

GONE_S = 30


def say(message: str) -> None:
    sys.stdout.write(wrapped(message) + "\n")


def ask_engine(instance: Instance, message: Message) -> Message | None:
    """The engine's answer; None: it does not run."""
    try:
        channel = wire.connect_to(instance.ipc)
    except OSError:
        return None
    try:
        channel.send(message)
        return channel.receive()
    except OSError:
        return None
    finally:
        channel.close()


def is_up(instance: Instance) -> bool:
    return ask_engine(instance, {"op": "ping"}) is not None


def _stamped(message: str) -> str:
    return time.strftime("%m/%d/%Y %H:%M:%S") + f"     0   0   {message}"


def check_nodes_file(instance: Instance) -> None:
    """db2nodes.cfg must name this host. Raises SQL6031N, SQL6048N."""
    try:
        lines = (instance.sqllib / "db2nodes.cfg").read_text().splitlines()
    except OSError:
        lines = []
    words = lines[0].split() if lines else []
    if len(words) not in {2, 3} or not words[0].isdigit() or (len(words) == 3 and not words[2].isdigit()):
        raise SqlError("SQL6031N", line=1, rc=4)
    if words[1].lower() != paths.hostname().lower():
        raise SqlError("SQL6048N")


def start(instance: Instance) -> str:
    """Raises SQL1026N, SQL6031N, SQL6036N, SQL6048N; SQL5043N when it runs without TCP/IP."""
    with instance.starting_or_stopping():
        if is_up(instance):
            raise SqlError("SQL1026N")
        check_nodes_file(instance)
        owner = instance.home.stat()
        drop = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 and owner.st_uid else {}
        with (instance.run / "db2sysc.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-SE", str(instance.sqllib / "adm/db2sysc"), instance.name],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                cwd="/",
                **drop,  # type: ignore[call-overload]
            )
        said = process.stdout.readline().decode().strip()
        if said == "SQL5043N":
            raise SqlError("SQL5043N")
        if said != "ok":
            raise SqlError("SQL0901N", why="the engine did not start, see db2sysc.log")
    return text("SQL1063N")


def stop(instance: Instance, *, force: bool) -> str:
    """Raises SQL1025N, SQL1032N, SQL6048N."""
    with instance.starting_or_stopping():
        if not is_up(instance):
            raise SqlError("SQL1032N")
        check_nodes_file(instance)
        pid = engine_pid(instance)
        answer = ask_engine(instance, {"op": "stop", "force": force})
        if answer is not None and "code" in answer:
            raise SqlError(answer["code"], words=str(answer["error"]).split("  ", 1)[1])
        deadline = time.monotonic() + GONE_S
        while pid and _is_engine(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
    return text("SQL1064N")


def engine_pid(instance: Instance) -> int:
    """0 if none runs."""
    try:
        pid = int((instance.run / "db2sysc.pid").read_text())
    except (OSError, ValueError):
        return 0
    return pid if _is_engine(pid) else 0


def _is_engine(pid: int) -> bool:
    try:
        return b"db2sysc" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def kill(instance: Instance) -> None:
    pid = engine_pid(instance)
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + GONE_S
        while _is_engine(pid) and time.monotonic() < deadline:
            time.sleep(0.02)


# --- as programs


def db2start(_words: list[str]) -> int:
    instance = Instance.of_environment()
    try:
        message = start(instance)
    except SqlError as error:
        if error.code == "SQL5043N":
            say(_stamped(error.line))
            return 2
        say(_stamped(error.line) if error.code == "SQL6048N" else error.line)
        return 1
    say(_stamped(message))
    say(message)
    return 0


def db2stop(words: list[str]) -> int:
    instance = Instance.of_environment()
    try:
        message = stop(instance, force=[word.lower() for word in words] == ["force"])
    except SqlError as error:
        if error.code in {"SQL1025N", "SQL6048N"}:
            say(_stamped(error.line))
        say(error.line)
        return 1
    say(_stamped(message))
    say(message)
    return 0


def db2_kill(_words: list[str]) -> int:
    kill(Instance.of_environment())
    return 0


def db2iauto(words: list[str]) -> int:
    if len(words) != 2 or words[0] not in {"-on", "-off"}:
        say("Usage: db2iauto [-on|-off] InstName")
        return 1
    _set_variable(Instance.named(words[1]).sqllib / "profile.env", "DB2AUTOSTART", "YES" if words[0] == "-on" else "")
    return 0


def _set_variable(path: pathlib.Path, name: str, value: str) -> None:
    kept = [line for line in path.read_text().splitlines() if not line.startswith(name + "=")] if path.exists() else []
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in [*kept, *([f"{name}={value}"] if value else [])]))


def db2set(words: list[str]) -> int:
    is_global = "-g" in words
    names = [word for word in words if not word.startswith("-")]
    if is_global:
        path = paths.at("/var/db2/global.reg")
        if os.geteuid() != 0 and paths.is_whole_machine() and any("=" in name for name in names):
            say("DBI1302E  Invalid parameter detected.  (the global profile needs root)")
            return 1
    else:
        path = Instance.of_environment().sqllib / "profile.env"
    if "-all" in words or not names:
        for line in path.read_text().splitlines() if path.exists() else []:
            sys.stdout.write(f"{'[g]' if is_global else '[i]'} {line}\n" if "-all" in words else f"{line}\n")
        return 0
    name, equal, value = names[0].partition("=")
    if equal:
        _set_variable(path, name.upper(), value)
        return 0
    found = [line for line in path.read_text().splitlines() if line.startswith(name.upper() + "=")] if path.exists() else []
    sys.stdout.write("".join(line.partition("=")[2] + "\n" for line in found))
    return 0 if found else 1


def db2pd(words: list[str]) -> int:
    instance = Instance.of_environment()
    names = [after.upper() for word, after in zip(words, [*words[1:], ""], strict=True) if word in {"-d", "-db", "-database"}]
    answer = ask_engine(instance, {"op": "db2pd", "databases": names})
    if answer is None:
        sys.stdout.write("Unable to attach to database manager on partition 0.\n")
        sys.stdout.write("Please ensure the following are true:\n - db2start has been run for the partition.\n")
        return 1
    if "-hadr" in words:
        sys.stdout.write(str(answer["text"]))
    else:
        sys.stdout.write("\nDatabase Member 0 -- Active\n" if instance.flavour != "97" else "\nDatabase Partition 0 -- Active\n")
    return 0


def db2gcf(words: list[str]) -> int:
    flags = [word[1:] for word in words if word in {"-u", "-d", "-k", "-c", "-s", "-o"}]
    name = next((after for word, after in itertools.pairwise(words) if word == "-i"), os.environ.get("DB2INSTANCE", ""))
    if len(flags) != 1:
        say("db2gcf { -u | -d | -k | -c | -s | -o } [-i instance] [-h database] [-p partition] [-t timeout] [-L]")
        return 1
    instance = Instance.named(name)
    failed = False
    try:
        if flags[0] == "u":
            (instance.sqllib / "db2nodes.cfg").write_text(f"0 {paths.hostname()} 0\n")
            start(instance)
        elif flags[0] == "d":
            stop(instance, force=False)
        elif flags[0] in {"k", "c"}:
            kill(instance)
    except SqlError as error:
        failed = error.code not in {"SQL1026N", "SQL1032N", "SQL5043N"}
    state = _gcf_state(instance)
    sys.stdout.write(f"\nInstance  : {name}\nDB2 State : {state}\n")
    wanted_down = flags[0] in {"d", "k", "c"}
    return int(failed or (state == "Available") == wanted_down)


def _gcf_state(instance: Instance) -> str:
    if is_up(instance):
        return "Available"
    try:
        check_nodes_file(instance)
    except SqlError:
        return "Not operable"
    return "Operable"
