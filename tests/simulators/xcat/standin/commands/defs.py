"""mkdef, chdef, rmdef: make, change and remove object definitions."""

from __future__ import annotations

import dataclasses

from .. import VERSION, options, stanza
from ..attributes import TYPES, is_valid
from ..engine import DbError
from ..objects import SITE_OBJECT, Attributes, Objects
from ..request import Request
from ..store import RefusedError, Store

FAILED = "One or more errors occured when attempting to create or modify xCAT object definitions."
LONG = ["help", "version", "verbose", "all", "stanza", "force", "plus", "minus", "template="]


@dataclasses.dataclass
class Asked:
    kind: str
    targets: list[tuple[str, Attributes]]
    flags: set[str]
    new_name: str = ""
    missing: list[str] = dataclasses.field(default_factory=list)


def mkdef(request: Request) -> None:
    asked = _asked(request, "mkdef")
    if asked:
        Making(request, asked).make()
        request.pace.wait_until("lsdef")


def chdef(request: Request) -> None:
    asked = _asked(request, "chdef")
    if asked:
        Making(request, asked).change()
        request.pace.wait_until("lsdef")


def rmdef(request: Request) -> None:
    asked = _asked(request, "rmdef")
    if not asked:
        return
    known = set(Objects(request.database).names(asked.kind))
    store = Store(request.database)
    gone = [name for name, _ in asked.targets if name in known]
    for name in gone:
        if asked.kind == "group":
            store.set_members(Objects(request.database), name, [])
        store.remove(asked.kind, name)
    store.save()
    if gone:
        request.out(f"{len(gone)} object definitions have been removed.")
    else:
        request.out("No objects have been removed from the xCAT database.")
    for name in asked.missing + [n for n, _ in asked.targets if n not in known]:
        request.error(f"Could not find an object named '{name}' of type '{asked.kind}'.")
    request.pace.wait_until("lsdef")


def _asked(request: Request, command: str) -> Asked | None:
    """The command line understood; None when it has been answered already."""
    try:
        chosen, operands = options.parse(request.args, "hvVafzpmdt:o:n:w:i:", LONG)
    except options.BadOptionError as error:
        request.out(f"Usage: {command} [-h|--help] [-t object-type] [-o names] [attr=val ...]")
        request.err(f"Unknown option: {error}")
        return None
    if "v" in chosen or "version" in chosen:
        request.out(f"{command} - {VERSION}")
        return None
    flags = set(chosen) | {long[0] for long in chosen if len(long) > 1}
    if "z" in flags:
        return _from_stanza(request, flags, chosen)
    kind = chosen.get("t", ["node"])[-1]
    if kind not in TYPES:
        raise request.stop(f"\nType '{kind}' is not a valid xCAT object type.")
    named = [*chosen.get("o", []), *(w for w in operands if "=" not in w)]
    values = dict(w.split("=", 1) for w in operands if "=" in w)
    names, missing = _names(request, command, kind, ",".join(named))
    new_name = chosen.get("n", [""])[-1]
    if not names and not missing:
        request.out(f"Usage: {command} [-h|--help] [-t object-type] [-o names] [attr=val ...]")
        request.error("No object names were provided.")
        return None
    return Asked(kind, [(name, dict(values)) for name in names], flags, new_name, missing)


def _from_stanza(request: Request, flags: set[str], chosen: dict[str, list[str]]) -> Asked | None:
    entries = stanza.parse(request.stdin or "")
    if not entries:
        request.error("No attributes were found in the input.")
        return None
    kinds = {kind or chosen.get("t", ["node"])[-1] for kind, _, _ in entries}
    if len(kinds) != 1 or not kinds <= set(TYPES):
        raise request.stop(f"\nType '{','.join(sorted(kinds))}' is not a valid xCAT object type.")
    return Asked(kinds.pop(), [(name, values) for _, name, values in entries], flags)


def _names(request: Request, command: str, kind: str, text: str) -> tuple[list[str], list[str]]:
    if kind == "site":
        return [SITE_OBJECT], []
    if kind != "node":
        return [n for n in text.split(",") if n], []
    found, missing = Objects(request.database).noderange.expand(text)
    if command == "rmdef":
        return found, missing
    return found + missing, []


class Making:
    """One mkdef or chdef."""

    def __init__(self, request: Request, asked: Asked) -> None:
        self.request = request
        self.asked = asked
        self.objects = Objects(request.database)
        self.store = Store(request.database)
        self.known_names = set(self.objects.names(asked.kind))
        self.failed = False

    def make(self) -> None:
        done = 0
        for name, values in self.asked.targets:
            if name in self.known_names and self.asked.kind != "site":
                if "f" not in self.asked.flags:
                    self.failed = True
                    self.request.warning(
                        f"A definition for '{name}' already exists. No changes will be made.  Run again with '-f' option to force replace."
                    )
                    continue
                self.store.remove(self.asked.kind, name)
            done += self._put(name, values, {})
        self._finish(done, [], f"{done} object definitions have been created or modified.")

    def change(self) -> None:
        if self.asked.new_name:
            self._rename()
            return
        done = 0
        fresh = []
        known = self._known()
        for name, values in self.asked.targets:
            if not values:
                continue
            is_new = name not in self.known_names and self.asked.kind not in ("site", "group")
            if self._put(name, self._merged(values, known.get(name, {})), known.get(name, {})):
                done += 1
                fresh += [name] if is_new else []
        self._finish(done, fresh, FAILED)

    def _known(self) -> dict[str, Attributes]:
        names = [n for n, _ in self.asked.targets if n in self.known_names]
        return self.objects.load(self.asked.kind, names)

    def _merged(self, values: Attributes, known: Attributes) -> Attributes:
        """-p adds to lists, -m takes away from them."""
        plus, minus = "p" in self.asked.flags, "m" in self.asked.flags
        if not plus and not minus:
            return values
        merged = {}
        for attribute, value in values.items():
            have = [v for v in known.get(attribute, "").split(",") if v]
            change = value.split(",")
            if plus:
                merged[attribute] = ",".join(have + [v for v in change if v not in have])
            else:
                merged[attribute] = ",".join(v for v in have if v not in change)
        return merged

    def _put(self, name: str, values: Attributes, known: Attributes) -> bool:
        kind = self.asked.kind
        for attribute in values:
            if not is_valid(kind, attribute):
                return self._refuse(f"'{attribute}' is not a valid attribute name for an object type of '{kind}'.")
        if kind == "node" and name not in self.known_names and not values.get("groups"):
            return self._refuse(f"Attribute 'groups' is not specified for node '{name}', skipping to the next node.")
        values = dict(values)
        if kind == "group" and "members" in values:
            wanted = self.objects.noderange.expand(values.pop("members"))[0]
            self.store.set_members(self.objects, name, wanted)
        try:
            self.store.set(kind, name, values, known)
        except RefusedError as error:
            return self._refuse(str(error))
        return True

    def _refuse(self, text: str) -> bool:
        self.request.error(text)
        self.failed = True
        return False

    def _rename(self) -> None:
        old, new = self.asked.targets[0][0], self.asked.new_name
        if old not in self.known_names:
            raise self.request.stop(f"Could not find an object named '{old}' of type '{self.asked.kind}'.")
        self.store.rename(self.asked.kind, old, new)
        self.store.save()
        self.request.out(f"Changed the object name from {old} to {new}.")

    def _finish(self, done: int, fresh: list[str], failure: str) -> None:
        try:
            self.store.save()
        except DbError:
            raise self.request.stop(FAILED) from None
        if self.failed:
            self.request.error(failure)
        elif done:
            self.request.out(f"{done} object definitions have been created or modified.")
        else:
            self.request.out("No object definitions have been created or modified.")
        for name in [] if self.failed else fresh:
            self.request.out(f"New object definitions '{name}' have been created.")
