"""Units as ``systemctl show`` describes them. Pure, standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

PROPERTIES = "Id,LoadState,ActiveState,SubState,UnitFileState,WantedBy,RequiredBy"

# Prints "rc NAME" for every SysV script that is started at boot; systemd's generator decides by these links.
RC_LINKS_SCRIPT = """\
for link in "$root/etc/rc"[2-5].d/S[0-9][0-9]* "$root/etc/rc.d/rc"[2-5].d/S[0-9][0-9]*; do
  [ -e "$link" ] || [ -h "$link" ] || continue
  printf 'rc %s\\n' "${link##*/S[0-9][0-9]}"
done
"""


class Unit(NamedTuple):
    """One unit. ``id`` is its real name; what was asked for may have been an alias (``bind9`` of ``named``)."""

    id: str
    load: str
    active: str
    sub: str
    file_state: str
    wanted_by: tuple[str, ...]

    @property
    def installed(self) -> bool:
        """Whether there is such a unit (a masked one is there)."""
        return self.load != "not-found"

    @property
    def running(self) -> bool:
        """Whether something runs. A SysV script whose processes are gone is "active (exited)" and does not run."""
        return self.active in {"active", "reloading", "activating", "deactivating"} and self.sub not in {"exited", "auto-restart"}

    @property
    def settled(self) -> bool:
        """Whether it runs, and is not merely on its way up or down."""
        return self.active == "active" and self.sub != "exited"

    def starts_at_boot(self, sysv_started: Iterable[str]) -> bool:
        """Whether a boot starts it without being asked.

        ``static`` and ``indirect`` units have no switch of their own, and start if some target wants them all the same.
        """
        if self.file_state == "enabled":
            return True
        if self.file_state in {"masked", "enabled-runtime"} or not self.installed:
            return False
        if self.file_state == "generated":
            return self.id.removesuffix(".service") in set(sysv_started)
        return any(name.endswith(".target") for name in self.wanted_by)


def parse_show(text: str) -> tuple[Unit, ...]:
    """Read ``systemctl show -p …`` for several units; one unit named twice (by an alias) appears once.

    Raises:
        ValueError: it is not what that program prints.
    """
    units = [_unit(block) for block in _blocks(text)]
    return tuple({unit.id: unit for unit in units}.values())


def _blocks(text: str) -> Iterator[dict[str, str]]:
    for block in text.strip().split("\n\n"):
        if block.strip():
            yield dict(line.split("=", 1) for line in block.splitlines() if "=" in line)


def _unit(block: dict[str, str]) -> Unit:
    try:
        wanted = (block.get("WantedBy", "") + " " + block.get("RequiredBy", "")).split()
        return Unit(block["Id"], block["LoadState"], block["ActiveState"], block["SubState"], block.get("UnitFileState", ""), tuple(wanted))
    except KeyError as error:
        raise ValueError(f"no {error} in the description of a unit") from error


def rc_started(text: str) -> frozenset[str]:
    """The names in the output of :data:`RC_LINKS_SCRIPT`."""
    return frozenset(line.removeprefix("rc ") for line in text.splitlines() if line.startswith("rc "))
