"""System services by xCAT's generic names; below a temporary root only noted in a file."""

from __future__ import annotations

import subprocess

from . import paths

UNIT_PATHS = ("/usr/lib/systemd/system", "/lib/systemd/system")

# The first unit file that exists wins; then /etc/init.d.
CANDIDATES = {
    "dhcp": ("dhcp3-server", "dhcpd", "isc-dhcp-server"),
    "named": ("named", "bind9"),
    "conserver": ("conserver",),
    "goconserver": ("goconserver",),
}
NOTES = "/run/standin-units"


def unit(name: str) -> str | None:
    """The unit that does the job here."""
    for folder in UNIT_PATHS:
        for candidate in CANDIDATES[name]:
            if paths.at(f"{folder}/{candidate}.service").exists():
                return candidate
    for candidate in CANDIDATES[name]:
        if paths.at(f"/etc/init.d/{candidate}").exists():
            return candidate
    return None


def _systemctl(*words: str) -> bool:
    done = subprocess.run(["systemctl", *words], capture_output=True, stdin=subprocess.DEVNULL, check=False)
    return done.returncode == 0


def _note(name: str, state: str) -> bool:
    place = paths.at(NOTES)
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(state)
    return True


def start(name: str) -> bool:
    return _run("start", name)


def restart(name: str) -> bool:
    found = unit(name)
    if found and paths.is_whole_machine():
        _systemctl("reset-failed", found)
    return _run("restart", name)


def stop(name: str) -> bool:
    return _run("stop", name)


def _run(verb: str, name: str) -> bool:
    if not paths.is_whole_machine():
        return _note(name, "inactive" if verb == "stop" else "active")
    found = unit(name)
    return found is not None and _systemctl(verb, found)


def enable(name: str) -> bool:
    found = unit(name)
    if not paths.is_whole_machine():
        return _note(f"{name}.enabled", "enabled")
    return found is not None and _systemctl("enable", found)


def is_active(name: str) -> bool:
    if not paths.is_whole_machine():
        note = paths.at(NOTES) / name
        return note.exists() and note.read_text() == "active"
    found = unit(name)
    return found is not None and _systemctl("--quiet", "is-active", found)
