"""lsdef: show object definitions."""

from __future__ import annotations

import re
from collections.abc import Callable

from .. import VERSION, options
from ..attributes import NIC_ATTRIBUTES, TYPES, is_valid
from ..objects import Attributes, Objects
from ..request import Request

USAGE = (
    "Usage: lsdef [-h|--help|-v|--version]\n"
    "       lsdef [-V|--verbose] [-l|--long] [-s|--short] [-a|--all] [-c|--compress]\n"
    "       [-S] [-t object-types] [-o object-names] [-i attr-list] [-w attr==val]...\n"
    "       [-z|--stanza] [noderange]"
)
LONG = ["help", "version", "verbose", "long", "short", "all", "compress", "stanza", "nics", "osimage"]
OPERATORS = ("==", "!=", "=~", "!~")


def lsdef(request: Request) -> None:
    try:
        chosen, operands = options.parse(request.args, "hvVlsacSzt:o:i:w:", LONG)
    except options.BadOptionError as error:
        request.out(USAGE)
        request.err(f"Unknown option: {error}")
        return
    if "v" in chosen or "version" in chosen:
        request.out(f"lsdef - {VERSION}")
        return
    if "h" in chosen or "help" in chosen:
        request.out(USAGE)
        return
    Listing(request, chosen, operands).show()
    request.pace.wait_until("lsdef")


class Listing:
    def __init__(self, request: Request, chosen: dict[str, list[str]], operands: list[str]) -> None:
        self.request = request
        self.kind = chosen.get("t", ["node"])[-1]
        self.names = ",".join(chosen.get("o", []) + operands)
        self.attributes = [a for text in chosen.get("i", []) for a in text.split(",")]
        self.conditions = chosen.get("w", [])
        self.stanza = "z" in chosen or "stanza" in chosen
        self.compact = "c" in chosen or "compress" in chosen
        self.short = "s" in chosen or "short" in chosen
        self.long = "l" in chosen or "long" in chosen
        self.hidden = "S" in chosen
        self.nics = "nics" in chosen
        self.objects = Objects(request.database)

    def show(self) -> None:
        if self.kind not in TYPES:
            raise self.request.stop(f"\nType '{self.kind}' is not a valid xCAT object type.")
        if self.kind == "site" and not self.objects.site():
            raise self.request.stop("Could not get xCAT object definitions.")
        names, missing = self._chosen_names()
        if self.conditions:
            names = self._matching(names)
        if not names:
            self._say_nothing_found(missing)
        elif self._is_brief():
            self._show_names(names)
        else:
            self._show_definitions(names)
        for name in missing:
            self.request.error(f"Could not find an object named '{name}' of type '{self.kind}'.")

    def _say_nothing_found(self, missing: list[str]) -> None:
        if missing or self.conditions:
            self.request.out("No object definitions have been found")
        else:
            self.request.out("Could not find any object definitions to display.")

    def _is_brief(self) -> bool:
        """Only names: nothing asks for attributes."""
        if self.short:
            return True
        asks = self.long or self.stanza or self.attributes or self.nics
        return not asks and not self.names

    def _chosen_names(self) -> tuple[list[str], list[str]]:
        if not self.names:
            return self._not_hidden(self.objects.names(self.kind)), []
        if self.kind == "node":
            try:
                return self.objects.noderange.expand(self.names)
            except OSError as error:
                raise self.request.stop(str(error)) from error
        known = set(self.objects.names(self.kind))
        wanted = [n for n in self.names.split(",") if n]
        return sorted(n for n in wanted if n in known), [n for n in wanted if n not in known]

    def _not_hidden(self, names: list[str]) -> list[str]:
        if self.kind != "node" or self.hidden:
            return names
        rows = self.request.database.rows("nodelist")
        hidden = {r["node"] for r in rows if r.get("hidden") in ("1", "yes")}
        return [n for n in names if n not in hidden] if hidden else names

    def _matching(self, names: list[str]) -> list[str]:
        tests = [_condition(text) for text in self.conditions]
        wanted = {attribute for attribute, _ in tests}
        found = self.objects.load(self.kind, names, wanted)
        return [n for n in names if all(test(found[n].get(attribute, "")) for attribute, test in tests)]

    def _show_names(self, names: list[str]) -> None:
        ending = "" if self.short else f"  ({self.kind})"
        self.request.raw("".join(f"{name}{ending}\n" for name in names))

    def _wanted(self) -> list[str] | None:
        if self.nics:
            return list(NIC_ATTRIBUTES)
        if not self.attributes:
            return None
        for attribute in self.attributes:
            if not is_valid(self.kind, attribute):
                self.request.error(f"'{attribute}' is not a valid attribute name for an object type of '{self.kind}'.")
        return [a for a in self.attributes if is_valid(self.kind, a)]

    def _show_definitions(self, names: list[str]) -> None:
        wanted = self._wanted()
        bases = None if wanted is None else {a.partition(".")[0] for a in wanted} | set(wanted)
        found = self.objects.load(self.kind, names, bases)
        if self.kind == "node" and not self.stanza:
            _put_defaults_first(found, self.objects.postscript_defaults(), bases)
        text: list[str] = ["# <xCAT data object stanza file>\n"] if self.stanza else []
        for name in names:
            shown = found[name]
            if wanted is not None and not self.nics:
                shown = _picked(shown, wanted, self.kind)
            text += self._definition(name, _expanded(shown) if self.kind == "node" else shown)
        self.request.raw("".join(text))

    def _definition(self, name: str, values: Attributes) -> list[str]:
        if self.compact:
            lines = [f"{name}: {a}={values[a]}\n" for a in sorted(values)]
            return lines or [f"{name}: \n"]
        lines = [f"    {a}={values[a]}\n" for a in sorted(values)]
        if self.stanza:
            return [f"\n{name}:\n", f"    objtype={self.kind}\n", *lines]
        return [f"Object name: {name}\n", *lines]


def _picked(values: Attributes, wanted: list[str], kind: str) -> Attributes:
    """The wanted attributes; an unset one shows empty, but not of site."""
    shown = {}
    for attribute in wanted:
        base, dot, _ = attribute.partition(".")
        if dot and base in NIC_ATTRIBUTES:
            all_of_it = _expanded({base: values.get(base, "")})
            shown[attribute] = all_of_it.get(attribute, "")
        elif kind != "site" or attribute in values:
            shown[attribute] = values.get(attribute, "")
    return shown


def _expanded(values: Attributes) -> Attributes:
    """nicips=ib0!10.3.0.1,eth0!10.2.0.1 as nicips.ib0=10.3.0.1 and nicips.eth0=10.2.0.1."""
    shown: Attributes = {}
    for attribute, value in values.items():
        if attribute in NIC_ATTRIBUTES and "!" in value:
            for entry in value.split(","):
                nic, _, own = entry.partition("!")
                shown[f"{attribute}.{nic}"] = own
        else:
            shown[attribute] = value
    return shown


def _put_defaults_first(found: dict[str, Attributes], defaults: Attributes, wanted: set[str] | None) -> None:
    for attribute, scripts in defaults.items():
        if wanted is None or attribute in wanted:
            for values in found.values():
                own = values.get(attribute)
                values[attribute] = f"{scripts},{own}" if own else scripts


def _condition(text: str) -> tuple[str, Callable[[str], bool]]:
    for sign in OPERATORS:
        name, found, value = text.partition(sign)
        if found and re.fullmatch(r"[\w.-]+", name):
            break
    else:
        name, sign, value = text.partition("=")[0], "==", text.partition("=")[2]
    if sign == "==":
        return name, lambda v: v == value
    if sign == "!=":
        return name, lambda v: v != value
    pattern = re.compile(value.strip("/"))
    if sign == "=~":
        return name, lambda v: pattern.search(v) is not None
    return name, lambda v: pattern.search(v) is None
