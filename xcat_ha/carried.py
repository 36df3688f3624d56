"""The sources of programs that run on a node, gathered so that a runbook can carry them. They may use the standard library only."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from xcat_ha._version import own_version
from xcat_ha.errors import RefusedError

FIND_PYTHON = """\
for name in "${1:-}" python3 python3.14 python3.13 python3.12 python3.11; do
  [ -n "$name" ] && path=$(command -v "$name") || continue
  "$path" -c 'import sys, sqlite3; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$path"; exit 0; }
done
exit 1
"""
"""Prints a node's Python that can run what a runbook carries: 3.11 or newer, with sqlite3."""


def shell_functions() -> str:
    """The part of every runbook that never changes."""
    return Path(__file__).with_name("runbook.sh").read_text(encoding="ascii")


def carried_sources(programs: Iterable[str]) -> Mapping[str, str]:
    """Path below a directory for PYTHONPATH -> text, for all that ``python3 -m PROGRAM`` imports, now or later, of its own package.

    Raises:
        RefusedError: a program is not found, or imports something that is neither in the standard library nor xcat-ha's or its own.
    """
    found: dict[str, str] = {}
    for program in sorted(set(programs)):
        _gather(program, program, found)
    return dict(sorted(found.items())) | _metadata()


def _metadata() -> dict[str, str]:
    """What makes ``importlib.metadata`` name the version of the code that is carried."""
    own = own_version("0")
    return {f"xcat_ha-{own}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: xcat-ha\nVersion: {own}\n"}


def _gather(module: str, program: str, found: dict[str, str]) -> None:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise _cannot(program, f"there is no source of {module}")
    place = module.replace(".", "/") + ("/__init__.py" if spec.submodule_search_locations is not None else ".py")
    if place in found:
        return
    text = Path(spec.origin).read_text(encoding="utf-8")
    found[place] = text if text.endswith("\n") else f"{text}\n"
    if "." in module:
        _gather(module.rpartition(".")[0], program, found)
    package = module if spec.submodule_search_locations is not None else module.rpartition(".")[0]
    for imported in _imports(ast.parse(text).body, package):
        top = imported.partition(".")[0]
        if top in sys.stdlib_module_names:
            continue
        if top not in {"xcat_ha", program.partition(".")[0]}:
            raise _cannot(program, f"{module} needs {top}, which is not in Python's standard library")
        if _is_module(imported):
            _gather(imported, program, found)


def _is_module(name: str) -> bool:
    """``from package import name`` may name a module, or something in one."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ModuleNotFoundError, AttributeError):
        return False


def _imports(body: Iterable[ast.stmt], package: str) -> Iterator[str]:
    """Names that may be modules. What only type checkers see, and what a package imports when asked for its driver, is left out."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join((*parents[: len(parents) - node.level + 1], *filter(None, (base,))))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imports(node.orelse, package)
        elif not (isinstance(node, ast.FunctionDef) and node.name == "__getattr__"):
            for field in ("body", "orelse", "finalbody"):
                yield from _imports(getattr(node, field, ()), package)
            for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
                yield from _imports(part.body, package)


def _cannot(program: str, why: str) -> RefusedError:
    return RefusedError(
        f"a runbook cannot carry the program {program}: {why}",
        state="nothing was written",
        hint="this plan can be run by xcat-ha only; xcat-ha failover --dry-run shows its commands",
    )
