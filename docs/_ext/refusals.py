# ruff: noqa: INP001 - a Sphinx extension, found by its path
"""Directive ``refusals``: all that stops xcat-ha or that it complains of, with what to do, read from the sources: so none is missing.

``.. refusals:: RefusedError UnfinishedError`` lists the places that raise these. Besides error classes: ``Check`` (what must hold),
``Problem`` (what ``status`` shows), ``Decision`` (what a guard says), ``Refusal`` (programs on a node). < > is filled in at run time.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple, TypeGuard

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("xcat_ha", "drivers")
LEFT_OUT = ("testing",)
# Where the words are in calls that do not name them: (position of what, position of hint).
_PLACES = {"Problem": (0, 1), "Decision": (1, 2), "Refusal": (0, None)}


class Refusal(NamedTuple):
    """One place in the sources."""

    kind: str
    what: str
    hint: str


def found() -> list[Refusal]:
    """All of them, sorted, each once."""
    every = {one for name, call, known in _calls() if (one := _refusal(name, call, known)) is not None and one.what.strip("<…>: ")}
    return sorted(every)


def _calls() -> Iterator[tuple[str, ast.Call, Mapping[str, ast.expr]]]:
    """(function called, the call, what local names stand for) of all sources."""
    for folder in FOLDERS:
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            if path.relative_to(REPOSITORY / folder).parts[0] in LEFT_OUT:
                continue
            for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(function, ast.FunctionDef):
                    yield from _calls_in(function)


def _calls_in(function: ast.FunctionDef) -> Iterator[tuple[str, ast.Call, Mapping[str, ast.expr]]]:
    assigned = [(ast.unparse(node.targets[0]), node.value) for node in ast.walk(function) if _names_one(node)]
    names = [name for name, _ in assigned]
    known = {name: value for name, value in assigned if names.count(name) == 1}
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, node, known
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "error" and len(node.args) == 3:
            yield "ConfigError", node, known


def _names_one(node: ast.AST) -> TypeGuard[ast.Assign]:
    return isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)


def _refusal(name: str, call: ast.Call, known: Mapping[str, ast.expr]) -> Refusal | None:
    words = {word.arg: word.value for word in call.keywords if word.arg}
    arguments = [value for value in call.args if not isinstance(value, ast.Starred)]
    hint = words.get("hint")
    if name == "Check":
        return Refusal(name, _text(words["question"], known), _text(hint, known)) if "question" in words and hint else None
    if name == "ConfigError" and len(arguments) == 3:
        key, what, hint = arguments
        return Refusal(name, f"{_text(key, known)}: {_text(what, known)}", _text(hint, known))
    if name in _PLACES:
        what_at, hint_at = _PLACES[name]
        if hint is None and hint_at is not None and len(arguments) > hint_at:
            hint = arguments[hint_at]
        what_only = arguments[what_at] if len(arguments) > what_at else None
        return Refusal(name, _text(what_only, known), _text(hint, known)) if what_only and (hint or name == "Refusal") else None
    if name.endswith("Error") and arguments and hint:
        return Refusal(name, _text(arguments[0], known), _text(hint, known))
    return None


def _text(value: ast.expr | None, known: Mapping[str, ast.expr]) -> str:  # noqa: PLR0911 - one return a kind of expression
    """What an administrator reads, with what is filled in as <its name>."""
    if value is None:
        return ""
    if isinstance(value, ast.Constant):
        return str(value.value)
    if isinstance(value, ast.JoinedStr):
        return "".join(_text(part, {}) for part in value.values)
    if isinstance(value, ast.FormattedValue):
        return _text(value.value, {}) if isinstance(value.value, ast.Name | ast.Attribute) else "<…>"
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        return _text(value.left, known) + _text(value.right, known)
    if isinstance(value, ast.BoolOp):
        return _text(value.values[-1], known)
    if isinstance(value, ast.IfExp):
        return " / ".join(filter(None, (_text(value.body, known), _text(value.orelse, known))))
    if isinstance(value, ast.Name) and value.id in known:
        return _text(known[value.id], {})
    return f"<{ast.unparse(value)}>" if isinstance(value, ast.Name | ast.Attribute) else "<…>"


class RefusalsDirective(SphinxDirective):
    """``.. refusals:: KIND …``."""

    required_arguments: ClassVar[int] = 1
    optional_arguments: ClassVar[int] = 20

    def run(self) -> list[nodes.Node]:
        """One definition list."""
        items = [_item(one) for one in found() if one.kind in self.arguments]
        if not items:
            raise self.error(f"no place in the sources says {', '.join(self.arguments)}")
        return [nodes.definition_list("", *items)]


def _item(one: Refusal) -> nodes.definition_list_item:
    what, hint = (" ".join(text.split()) for text in (one.what, one.hint))
    said = nodes.paragraph("", hint or "(the message says it)")
    return nodes.definition_list_item("", nodes.term("", what), nodes.definition("", said))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("refusals", RefusalsDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
