"""Who may connect, from where: lines for both nodes and the service address in marked blocks of postgresql.conf and pg_hba.conf.

A block is ours; nothing else in those files is touched. It begins and ends with a comment, and putting it in again changes nothing.

* postgresql.conf: the block is the last thing in the file, because the last setting of a name counts. An address that the node does not
  have (the service address on a standby) is no error for the server: it says so in its log and listens at the others. It begins to listen
  there when it is restarted (facts: xCAT 1.3), which :func:`~xcat_ha_drivers.postgres.questions.listens` tells.
* pg_hba.conf: the block is the first thing in the file, because the first line that fits counts. Its lines are narrow: one database, one
  role, single addresses.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from xcat_ha_drivers.database.disk import write_durably
from xcat_ha_drivers.postgres.layout import Layout
from xcat_ha_drivers.postgres.settings import quoted, settings_in

PASSWORD_METHOD = "scram-sha-256"  # noqa: S105  # a method's name
LEGACY_METHOD = "md5"
"""For roles whose password is stored as MD5: the only method they can use."""


class Rule(NamedTuple):
    """A line of pg_hba.conf for one address.

    Attributes:
        database: a name, or ``replication``.
        user: a role.
        address: of a single machine, without prefix length.
        method: ``scram-sha-256`` or another one of PostgreSQL's.
        kind: ``host``, or ``hostssl`` for encrypted connections only.
    """

    database: str
    user: str
    address: str
    method: str = PASSWORD_METHOD
    kind: str = "host"

    @property
    def line(self) -> str:
        """As it stands in the file."""
        ip = ipaddress.ip_address(self.address)
        database = self.database if self.database == "replication" else _name(self.database)
        return f"{self.kind} {database} {_name(self.user)} {ip}/{ip.max_prefixlen} {self.method}"


def rules_for(database: str, user: str, addresses: Iterable[str], *, method: str = PASSWORD_METHOD, kind: str = "host") -> tuple[Rule, ...]:
    """A rule for each address, each once, in order."""
    return tuple(Rule(database, user, address, method, kind) for address in dict.fromkeys(addresses))


def with_block(text: str, name: str, lines: Sequence[str], *, first: bool) -> str:
    """``text`` with a marked block of these lines, at the beginning or the end; without lines the block is taken out. Pure, idempotent."""
    begin, end = _marks(name)
    rest = _without(text, begin, end)
    if not lines:
        return rest
    block = "".join(f"{line}\n" for line in (begin, *lines, end))
    if first:
        return block + rest
    return rest + ("" if not rest or rest.endswith("\n") else "\n") + block


def block_of(text: str, name: str) -> tuple[str, ...]:
    """The lines in the marked block; empty if there is none."""
    begin, end = _marks(name)
    lines = text.splitlines()
    if begin not in lines or end not in lines[lines.index(begin) :]:
        return ()
    start = lines.index(begin) + 1
    return tuple(lines[start : lines.index(end, start)])


def put_rules(layout: Layout, name: str, rules: Sequence[Rule]) -> bool:
    """Make the block ``name`` of pg_hba.conf these rules; returns whether the file was changed. The server has to reload it."""
    return _put(Path(layout.hba_file), name, [rule.line for rule in rules], first=True)


def has_rules(layout: Layout, name: str, rules: Sequence[Rule]) -> bool:
    """Whether :func:`put_rules` would change nothing."""
    return _has(Path(layout.hba_file), name, [rule.line for rule in rules], first=True)


def put_settings(layout: Layout, name: str, settings: Mapping[str, str]) -> bool:
    """Make the block ``name`` of postgresql.conf these settings; returns whether the file was changed."""
    return _put(Path(layout.config_file), name, _setting_lines(settings), first=False)


def has_settings(layout: Layout, name: str, settings: Mapping[str, str]) -> bool:
    """Whether :func:`put_settings` would change nothing."""
    return _has(Path(layout.config_file), name, _setting_lines(settings), first=False)


def listen_addresses(layout: Layout, name: str, wanted: Sequence[str]) -> str:
    """The value of ``listen_addresses`` with which the server listens at ``wanted`` beside what its administrator configured.

    What the block ``name`` says itself does not count as configured by him. ``*`` stays ``*``.
    """
    path = Path(layout.config_file)
    text = _without(path.read_text(encoding="utf-8", errors="surrogateescape"), *_marks(name))
    own = settings_in(text, path.parent).get("listen_addresses", "localhost")
    present = [word.strip() for word in own.split(",") if word.strip()]
    if "*" in present or {"0.0.0.0", "::"} <= set(present):  # noqa: S104  # what is there, not what we bind
        return "*"
    return ",".join(dict.fromkeys([*present, *wanted]))


def _setting_lines(settings: Mapping[str, str]) -> list[str]:
    return [f"{key} = {quoted(value)}" for key, value in settings.items()]


def _marks(name: str) -> tuple[str, str]:
    return f"# begin of xcat-ha {name}: written by xcat-ha, changed here it is put right again", f"# end of xcat-ha {name}"


def _without(text: str, begin: str, end: str) -> str:
    """A block without its last line has no end: what follows may be anybody's, and stays."""
    kept: list[str] = []
    block: list[str] | None = None
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\r\n")
        if bare == begin:
            kept += block or ()
            block = []
        elif block is None:
            kept.append(line)
        elif bare == end:
            block = None
        else:
            block.append(line)
    return "".join([*kept, *(block or ())])


def _put(path: Path, name: str, lines: Sequence[str], *, first: bool) -> bool:
    old = path.read_text(encoding="utf-8", errors="surrogateescape")
    new = with_block(old, name, lines, first=first)
    if new != old:
        write_durably(path, new, like=path.stat())
    return new != old


def _has(path: Path, name: str, lines: Sequence[str], *, first: bool) -> bool:
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    return with_block(text, name, lines, first=first) == text


def _name(word: str) -> str:
    """Always quoted: an unquoted ``all`` or ``+group`` means something else."""
    doubled = word.replace('"', '""')
    return f'"{doubled}"'


def changed_at(layout: Layout) -> float:
    """When pg_hba.conf or postgresql.conf was last changed, in seconds since the epoch."""
    return max(Path(layout.hba_file).stat().st_mtime, Path(layout.config_file).stat().st_mtime)
