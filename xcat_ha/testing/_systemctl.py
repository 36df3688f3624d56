"""``systemctl`` on a simulated host. Units come from the test (``machine.units``) or from unit files in the host's tree."""

from __future__ import annotations

import configparser
import fnmatch
import json
import shlex
import time
from collections.abc import Callable, Sequence

from attrs import define, field

from xcat_ha.steps import changes
from xcat_ha.testing.host import Answer, Call, SimulatedHost
from xcat_ha.testing.machine import Unit

_DIRECTORIES = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
_TAKING = frozenset({"-p", "--property", "-t", "--type", "-o", "--output", "-s", "--signal", "--state", "-n", "--lines"})


@define
class _Asked:
    """How systemctl was called."""

    host: SimulatedHost
    verb: str = ""
    names: list[str] = field(factory=list)
    properties: list[str] = field(factory=list)
    flags: set[str] = field(factory=set)
    kinds: list[str] = field(factory=list)
    output: str = ""


def systemctl(host: SimulatedHost, call: Call) -> Answer:
    """Dispatch on the verb."""
    asked = _parse(host, call.words)
    act = _VERBS.get(asked.verb)
    if act is None:
        return Answer(1, stderr=f"Unknown command verb {asked.verb}.\n")
    return act(asked)


def _parse(host: SimulatedHost, words: Sequence[str]) -> _Asked:
    asked = _Asked(host)
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if word.startswith("-p") and not word.startswith("--") and len(word) > 2:
            word = f"-p={word[2:]}"
        name, separator, value = word.partition("=") if word.startswith("-") else (word, "", "")
        if name in _TAKING and not separator and waiting:
            value = waiting.pop(0)
        if name in {"-p", "--property"}:
            asked.properties += value.split(",")
        elif name in {"-t", "--type"}:
            asked.kinds += value.split(",")
        elif name in {"-o", "--output"}:
            asked.output = value
        elif word.startswith("-"):
            asked.flags.add(name)
        elif not asked.verb:
            asked.verb = word
        else:
            asked.names.append(word)
    return asked


def _full(name: str) -> str:
    return name if name.rsplit(".", 1)[-1] in {"service", "timer", "socket", "target", "mount"} else f"{name}.service"


def find_unit(host: SimulatedHost, name: str) -> Unit | None:
    """The unit of that name: known already, or loaded from its unit file."""
    name = _full(name)
    unit = host.machine.units.get(name)
    fragment = next((f"{where}/{name}" for where in _DIRECTORIES if host.path(f"{where}/{name}").is_file()), "")
    if unit is not None and (fragment or not unit.fragment or unit.running):
        return unit
    if unit is not None:
        del host.machine.units[name]  # its file is gone
    if not fragment:
        return None
    options = _read_unit_file(host, fragment)
    install = "Install" in options
    return Unit(
        name,
        enabled="disabled" if install else "static",
        fragment=fragment,
        properties={"Description": options["Unit"].get("Description", "") if "Unit" in options else ""},
    )


def _keep(host: SimulatedHost, unit: Unit) -> Unit:
    """Make the unit part of the machine: from now on it has a state."""
    return host.machine.units.setdefault(unit.name, unit)


def _read_unit_file(host: SimulatedHost, fragment: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#", ";"))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(host.path(fragment).read_text())
    return parser


def _matching(asked: _Asked) -> list[Unit]:
    """Units by name or glob, of the kinds asked for; those with unit files included."""
    names = set(asked.host.machine.units)
    for where in _DIRECTORIES:
        directory = asked.host.path(where)
        if directory.is_dir():
            names |= {path.name for path in directory.iterdir() if path.is_file()}
    units = [unit for name in sorted(names) if (unit := find_unit(asked.host, name)) is not None]
    if asked.names:
        patterns = [_full(name) if not any(sign in name for sign in "*?[") else name for name in asked.names]
        units = [unit for unit in units if any(fnmatch.fnmatchcase(unit.name, pattern) for pattern in patterns)]
    return [unit for unit in units if not asked.kinds or unit.name.rsplit(".", 1)[1] in asked.kinds]


def _each(asked: _Asked, act: Callable[[Unit], bool], *, missing_code: int = 5) -> Answer:
    """Do something to every unit named; the first one that is not there ends it, as systemctl refuses such a call."""
    globbed = [name for name in asked.names if any(sign in name for sign in "*?[")]
    units: list[Unit] = []
    for name in asked.names:
        if name in globbed:
            units += [unit for unit in asked.host.machine.units.values() if fnmatch.fnmatchcase(unit.name, name)]
            continue
        unit = find_unit(asked.host, name)
        if unit is None:
            return Answer(missing_code, stderr=f"Failed to {asked.verb} {_full(name)}: Unit {_full(name)} not found.\n")
        units.append(_keep(asked.host, unit))
    failed = [unit.name for unit in units if not act(unit)]
    return Answer(1 if failed else 0, stderr="".join(f"Job for {name} failed.\n" for name in failed))


def _start(asked: _Asked) -> Answer:
    def act(unit: Unit) -> bool:
        if unit.fragment and unit.name.endswith(".service"):
            return _run_service(asked.host, unit)
        return asked.host.machine.start(unit.name)

    return _each(asked, act)


def _run_service(host: SimulatedHost, unit: Unit) -> bool:
    """Run the ExecStart of a unit file once (every service of a driver's own unit files is treated as a one-shot)."""
    if unit.enabled == "masked":
        return False
    service = _read_unit_file(host, unit.fragment)["Service"]
    words = [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(service.get("ExecStart", "").lstrip("-+!:@"))]
    began_us = int(host.machine.uptime_s() * 1e6)
    done = host.execute(changes(*words))
    unit.failed = done.returncode != 0
    moment = time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime())
    unit.properties |= {
        "ExecMainStatus": str(done.returncode),
        "ExecMainExitTimestamp": moment,
        "ExecMainStartTimestamp": moment,
        "ExecMainStartTimestampMonotonic": str(began_us),
        "ExecMainExitTimestampMonotonic": str(int(host.machine.uptime_s() * 1e6)),
        "ExecMainCode": "1",
        "Result": "exit-code" if unit.failed else "success",
    }
    timer = host.machine.units.get(unit.name.removesuffix(".service") + ".timer")
    if timer is not None:
        timer.properties["LastTriggerUSec"] = moment
    if not unit.failed:
        host.machine.units.pop(unit.name, None)  # systemd forgets an inactive unit nobody refers to, and with it how it ended
    return not unit.failed


def _stop(asked: _Asked) -> Answer:
    def act(unit: Unit) -> bool:
        asked.host.machine.stop(unit.name)
        return True

    return _each(asked, act)


def _restart(asked: _Asked) -> Answer:
    stopped = _stop(asked)
    return _start(asked) if stopped.returncode == 0 else stopped


def _set_enabled(state: str) -> Callable[[_Asked], Answer]:
    def run(asked: _Asked) -> Answer:
        def act(unit: Unit) -> bool:
            if unit.enabled == "static" and state in {"enabled", "disabled"}:
                return True
            unit.enabled = state
            if "--now" in asked.flags:
                if state == "enabled":
                    return asked.host.machine.start(unit.name)
                asked.host.machine.stop(unit.name)
            return True

        return _each(asked, act, missing_code=1)

    return run


def _is_active(asked: _Asked) -> Answer:
    states = [_active_state(find_unit(asked.host, name)) for name in asked.names]
    out = "" if asked.flags & {"-q", "--quiet"} else "".join(f"{state}\n" for state in states)
    return Answer(0 if "active" in states else 3, out)


def _active_state(unit: Unit | None) -> str:
    if unit is None:
        return "inactive"
    return "active" if unit.running else "failed" if unit.failed else "inactive"


def _is_enabled(asked: _Asked) -> Answer:
    units = [find_unit(asked.host, name) for name in asked.names]
    out = "" if asked.flags & {"-q", "--quiet"} else "".join(f"{unit.enabled}\n" for unit in units if unit)
    missing = [name for name, unit in zip(asked.names, units, strict=True) if unit is None]
    err = "".join(f"Failed to get unit file state for {_full(name)}: No such file or directory\n" for name in missing)
    return Answer(0 if any(unit and unit.enabled in {"enabled", "static"} for unit in units) else 1, out, err)


def _facts(unit: Unit | None, name: str, host: SimulatedHost) -> dict[str, str]:
    load = "not-found" if unit is None else "masked" if unit.enabled == "masked" else "loaded"
    state = _active_state(unit)
    waits = name.endswith(".timer")
    sub = {"active": "waiting" if waits else "running", "inactive": "dead", "failed": "failed"}[state]
    pid = next((pid for pid, process in host.machine.processes.items() if process.unit == name), 0)
    facts = {
        "Id": name,
        "Names": name,
        "Description": name,
        "LoadState": load,
        "ActiveState": state,
        "SubState": sub,
        "UnitFileState": unit.enabled if unit else "",
        "FragmentPath": unit.fragment if unit else "",
        "MainPID": str(pid),
        "Result": "success",
        "ExecMainStatus": "0",
        "ExecMainCode": "0",
        "ExecMainExitTimestamp": "",
        "ExecMainStartTimestamp": "",
        "ExecMainStartTimestampMonotonic": "0",
        "ExecMainExitTimestampMonotonic": "0",
        "NeedDaemonReload": "no",
    }
    if waits:
        facts |= {"LastTriggerUSec": "", "NextElapseUSecMonotonic": "1min", "Unit": name.removesuffix(".timer") + ".service"}
    return facts | (unit.properties if unit else {})


def _show(asked: _Asked) -> Answer:
    units: list[tuple[str, Unit | None]] = []
    for name in asked.names:
        if any(sign in name for sign in "*?["):
            pattern = name
            units += [(unit.name, unit) for unit in asked.host.machine.units.values() if fnmatch.fnmatchcase(unit.name, pattern)]
        else:
            units.append((_full(name), find_unit(asked.host, name)))
    blocks = []
    for name, unit in units:
        facts = _facts(unit, name, asked.host)
        # As the real one: in its own order, not in the order asked for; properties it does not know are left out.
        chosen = {key: value for key, value in facts.items() if not asked.properties or key in asked.properties}
        blocks.append("".join(f"{value}\n" if "--value" in asked.flags else f"{key}={value}\n" for key, value in chosen.items()))
    return Answer(0, "\n".join(blocks))


def _list_units(asked: _Asked) -> Answer:
    units = [unit for unit in _matching(asked) if unit.name in asked.host.machine.units]
    units = [unit for unit in units if unit.running or unit.failed or asked.flags & {"-a", "--all"}]
    rows = [(unit.name, _facts(unit, unit.name, asked.host)) for unit in units]
    if asked.output == "json":
        keys = {"load": "LoadState", "active": "ActiveState", "sub": "SubState"}
        shown = [{"unit": name, **{key: facts[fact] for key, fact in keys.items()}} for name, facts in rows]
        return Answer(0, json.dumps(shown) + "\n")
    columns = ("LoadState", "ActiveState", "SubState", "Description")
    return Answer(0, "".join(f"{' '.join([name, *(facts[column] for column in columns)])}\n" for name, facts in rows))


def _list_unit_files(asked: _Asked) -> Answer:
    units = _matching(asked)
    if asked.output == "json":
        return Answer(0, json.dumps([{"unit_file": unit.name, "state": unit.enabled, "preset": "enabled"} for unit in units]) + "\n")
    return Answer(0 if units or not asked.names else 1, "".join(f"{unit.name} {unit.enabled} enabled\n" for unit in units))


def _reload(asked: _Asked) -> Answer:
    for name in list(asked.host.machine.units):
        find_unit(asked.host, name)
    return Answer(0)


def _reset_failed(asked: _Asked) -> Answer:
    for unit in asked.host.machine.units.values():
        if not asked.names or any(fnmatch.fnmatchcase(unit.name, _full(name) if "*" not in name else name) for name in asked.names):
            unit.failed = False
    return Answer(0)


def _is_running(asked: _Asked) -> Answer:
    degraded = any(unit.failed for unit in asked.host.machine.units.values())
    return Answer(1 if degraded else 0, "degraded\n" if degraded else "running\n")


def _cat(asked: _Asked) -> Answer:
    unit = find_unit(asked.host, asked.names[0])
    if unit is None:
        return Answer(1, stderr=f"No files found for {_full(asked.names[0])}.\n")
    return Answer(0, asked.host.path(unit.fragment).read_text() if unit.fragment else f"# {unit.name}\n")


_VERBS: dict[str, Callable[[_Asked], Answer]] = {
    "start": _start,
    "stop": _stop,
    "restart": _restart,
    "enable": _set_enabled("enabled"),
    "disable": _set_enabled("disabled"),
    "mask": _set_enabled("masked"),
    "unmask": _set_enabled("disabled"),
    "is-active": _is_active,
    "is-enabled": _is_enabled,
    "is-failed": _is_active,
    "show": _show,
    "list-units": _list_units,
    "list-unit-files": _list_unit_files,
    "list-timers": _list_units,
    "daemon-reload": _reload,
    "reset-failed": _reset_failed,
    "is-system-running": _is_running,
    "cat": _cat,
}
