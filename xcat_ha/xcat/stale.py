"""What still points at one node and not at the service identity. From the document of :mod:`xcat_ha.xcat.stale_scan`. Pure.

A pointer is stale if a place that means *the management node* names an address or host name of one node's own: after a change of primary
that node does not serve. What legitimately names another machine is left alone: other addresses of a list, rows about the nodes
themselves, NTP servers that are named on both nodes on purpose.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve, frozen

from xcat_ha.interfaces import Mend, StalePointer
from xcat_ha.models import Node, Pair
from xcat_ha.steps import Completed
from xcat_ha.xcat.pointing import HOSTS, SITE_HOSTS, TEXTS, TOGETHER
from xcat_ha.xcat.words import found_word, word_pattern

CERTIFICATE_ADVICE = (
    "clients do not compare this name, so it can wait; xcatconfig -c makes certificates for {service}, "
    "after which service nodes and users need theirs anew"
)


@frozen
class Names:
    """Own words of both nodes, and what belongs in their place.

    Attributes:
        own: node id -> its own address, short and full name.
        address: the service address that xCAT writes (``site.master``).
        name: service hostname, short.
        full_name: with the domain; the short one if no domain is known.
    """

    own: Mapping[str, frozenset[str]]
    address: str
    name: str
    full_name: str

    @property
    def words(self) -> frozenset[str]:
        """All own words of both nodes."""
        return frozenset().union(*self.own.values())

    def right(self, word: str) -> str:
        """What belongs in the place of an own word: an address for an address, a name for a name."""
        if re.fullmatch(r"[0-9.]+|.*:.*", word):
            return self.address
        return self.full_name if "." in word else self.name

    def nodes_in(self, text: str) -> frozenset[str]:
        """Ids of the nodes that ``text`` names."""
        return frozenset(node_id for node_id, words in self.own.items() if word_pattern(words).search(text))


def names_of(pair: Pair, domain: str) -> Names:
    """The words of a pair in a domain (empty: none known)."""
    identity = pair.identity
    short = identity.hostname.partition(".")[0]
    full = identity.hostname if "." in identity.hostname else f"{short}.{domain}" if domain else short
    return Names({node.id: _own(node, domain) for node in pair.nodes}, str(identity.master_address), short, full)


def _own(node: Node, domain: str) -> frozenset[str]:
    short = node.name.partition(".")[0]
    return frozenset({node.address, node.name, short, *((f"{short}.{domain}",) if domain else ())})


@frozen
class StaleReport:
    """What was found on a node, and what could not be looked at.

    Attributes:
        tables / files / certificate / cfgloc: stale pointers in each; None: not known.
        troubles: place -> why it could not be read.
    """

    tables: tuple[StalePointer, ...] | None
    files: tuple[StalePointer, ...] | None
    certificate: tuple[StalePointer, ...] | None
    cfgloc: tuple[StalePointer, ...] | None
    troubles: Mapping[str, str]

    @property
    def pointers(self) -> tuple[StalePointer, ...]:
        """All that are known."""
        return tuple(one for part in (self.tables, self.files, self.certificate, self.cfgloc) for one in part or ())


def report_of(pair: Pair, node: Node, answer: Completed) -> StaleReport:
    """Read the answer of ``stale_scan look`` on ``node``. An answer that cannot be understood makes everything unknown."""
    try:
        data = json.loads(answer.stdout) if answer.ok else None
        if not isinstance(data, dict):
            return StaleReport(None, None, None, None, {node.id: answer.summary})
        names = names_of(pair, str(data["domain"]))
        return _report(names, node, data)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return StaleReport(None, None, None, None, {node.id: f"the answer cannot be understood: {error!r}"})


def cfgloc_of(pair: Pair, node: Node, domain: str, answer: Completed) -> tuple[StalePointer, ...] | None:
    """Read the answer of ``stale_scan cfgloc`` on ``node``; None: not known."""
    try:
        data = json.loads(answer.stdout) if answer.ok else {"trouble": answer.summary}
        return None if "trouble" in data else _in_cfgloc(names_of(pair, domain), node, data)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _report(names: Names, node: Node, data: Mapping[str, Any]) -> StaleReport:
    tables = [found for row in data["rows"] if (found := _in_table(names, node, row))]
    tables += _in_policy(names, node, data["policy"])
    tables += _in_groups(names, node, data["management_nodes"])
    generated = [_in_generated(names, node, one) for one in data["generated"] if not _about_itself(names, one)]
    in_tables = [one for one in generated if one.place.startswith("table ")]
    certificate, cfgloc = data["certificate"], data["cfgloc"]
    single = {one["path"]: one["trouble"] for one in (certificate, cfgloc) if "trouble" in one}
    return StaleReport(
        tables=tuple(tables + in_tables),
        files=tuple(one for one in generated if not one.place.startswith("table ")),
        certificate=None if "trouble" in certificate else _in_certificate(names, node, certificate),
        cfgloc=None if "trouble" in cfgloc else _in_cfgloc(names, node, cfgloc),
        troubles={
            **{f"table {name}": str(why) for name, why in data["table_troubles"].items()},
            **{str(path): str(why) for path, why in data["file_troubles"].items()},
            **single,
        },
    )


def _in_table(names: Names, node: Node, row: Mapping[str, Any]) -> StalePointer | None:
    table, column, value, key = row["table"], row["column"], row["value"], row["key"]
    item = key["key"] if table == "site" else column
    if (table, item) in TOGETHER and names.nodes_in(value) == frozenset(names.own):
        return None
    place = StalePointer(
        node.id, f"table {table}", "" if table == "site" else _words_of(key), item, value, row["word"], Mend.BY_HAND,
        advice=f"write {names.right(row['word'])} in place of {row['word']}",
    )  # fmt: skip
    if table == "servicenode":
        return evolve(place, advice=f"its roles count only while {value} serves: define them for {names.name}, and remove this row")
    if item in {"dhcpinterfaces", "dnsinterfaces"}:
        return evolve(place, advice=f"name {names.name} in place of {row['word']}, or both nodes, each with its interfaces")
    is_host = item in SITE_HOSTS if table == "site" else column in HOSTS.get(table, frozenset())
    if not is_host or column in TEXTS.get(table, frozenset()):
        return place
    if value.startswith("|") or any(not part or re.search(r"[,=\s]", part) for part in key.values()):
        return place  # a regular expression, or a row that chtab cannot name
    return evolve(place, mend=Mend.TABLE, wanted=mended(value, names))


def _words_of(key: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in key.items())


def mended(value: str, names: Names) -> str:
    """A list of hosts with own words replaced; what is in it twice afterwards stays once. Everything else stays as it is."""
    replaced = word_pattern(names.words).sub(lambda found: names.right(found_word(found.group()).lower()), value)
    if "," not in replaced:
        return replaced
    return ",".join(dict.fromkeys(part.strip() for part in replaced.split(",")))


def _in_policy(names: Names, node: Node, rows: Iterable[Mapping[str, str]]) -> list[StalePointer]:
    """A rule for a node's own name needs one like it for the service hostname; the reverse harms nobody."""
    rows = [dict(row) for row in rows]
    found: list[StalePointer] = []
    taken = {row["priority"] for row in rows}
    for row in rows:
        word = row["name"].lower()
        if word not in {each.lower() for each in names.words}:
            continue
        wanted = {**row, "name": names.right(word)}
        if any({**other, "priority": row["priority"]} == wanted for other in rows):
            continue
        wanted["priority"] = _free_priority(row["priority"], taken)
        taken.add(wanted["priority"])
        found.append(
            StalePointer(
                node.id,
                "table policy",
                f"priority={row['priority']}",
                "name",
                row["name"],
                row["name"],
                Mend.POLICY,
                advice=f"add a rule like it for {wanted['name']}",
                row={name: value for name, value in wanted.items() if value},
            )
        )
    return found


def _free_priority(near: str, taken: Iterable[str]) -> str:
    """Right behind ``near``: 1.21 after 1.2, 1.22 if that is taken."""
    base = near if "." in near else f"{near}."
    return next(f"{base}{number}" for number in range(1, 10_000) if f"{base}{number}" not in taken)


def _in_groups(names: Names, node: Node, members: Iterable[str]) -> list[StalePointer]:
    """The node definition of *the* management node (group ``__mgmtnode``, made by ``xcatconfig -m``)."""
    members = list(members)
    if {names.name, names.full_name} & set(members):
        return []
    own = {each.lower() for each in names.words}
    return [
        StalePointer(
            node.id,
            "table nodelist",
            f"node={member}",
            "groups",
            "__mgmtnode",
            member,
            Mend.BY_HAND,
            advice=f"chdef -t node -o {member} -n {names.name} gives that definition the name that moves",
        )
        for member in members
        if member.lower() in own
    ]


def _about_itself(names: Names, found: Mapping[str, Any]) -> bool:
    """A boot file of a management node itself may well name it."""
    return bool(found.get("node")) and found["node"].lower() in {each.lower() for each in names.words}


def _in_generated(names: Names, node: Node, found: Mapping[str, Any]) -> StalePointer:
    key = f"line {found['line']}" if "line" in found else f"node={found['node']}"
    place = StalePointer(
        node.id, found["path"], key, found.get("column", ""), found["text"], found["word"], Mend(found["kind"]),
        advice=f"made anew it names {names.address}",
    )  # fmt: skip
    if not found["trouble"]:
        return place
    whose = f"nodeset is not run for {found['node']}" if found["node"] else "xcat-ha does not know what makes it"
    if found["node"]:
        how = f"run nodeset {found['node']} when it is to boot from here again"
    else:
        how = "remove it if nothing needs it, or make it anew"
    return evolve(place, mend=Mend.BY_HAND, advice=f"{whose}: {found['trouble']}; {how}")


def _in_certificate(names: Names, node: Node, found: Mapping[str, Any]) -> tuple[StalePointer, ...]:
    pattern, service = word_pattern(names.words), {names.name.lower(), names.full_name.lower()}
    advice = CERTIFICATE_ADVICE.format(service=names.name)
    pointers = []
    if pattern.fullmatch(found["cn"]):
        pointers.append(StalePointer(node.id, found["path"], "", "CN", found["cn"], found["cn"], Mend.BY_HAND, advice=advice))
    alternatives = [str(name) for name in found["alternatives"]]
    own = [name for name in alternatives if pattern.fullmatch(name)]
    if own and not service & {name.lower() for name in alternatives}:
        listed = ", ".join(alternatives)
        pointers.append(StalePointer(node.id, found["path"], "", "subjectAltName", listed, own[0], Mend.BY_HAND, advice=advice))
    return tuple(pointers)


def _in_cfgloc(names: Names, node: Node, found: Mapping[str, Any]) -> tuple[StalePointer, ...]:
    host = str(found["host"])
    if not host or not word_pattern(names.words).fullmatch(host):
        return ()
    advice = f"write host={names.right(host)} there, and restart xcatd (it reads the file only once)"
    return (StalePointer(node.id, found["path"], "", "host", host, host, Mend.BY_HAND, advice=advice),)
