"""Values that a node takes from its group's row, and values that are regular expressions."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable

OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.floordiv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def _calculate(tree: ast.expr) -> int:
    if isinstance(tree, ast.BinOp):
        left, right = _calculate(tree.left), _calculate(tree.right)
        return OPERATORS[type(tree.op)](left, right)
    if isinstance(tree, ast.Constant):
        return int(str(tree.value))
    raise ValueError(ast.dump(tree))


def _sums(text: str) -> str:
    """Every innermost (arithmetic) replaced by its value."""
    while True:
        match = re.search(r"\(([0-9+\-*/% ]+)\)", text)
        if not match:
            return text
        words = re.sub(r"\b0+(\d)", r"\1", match[1])
        value = _calculate(ast.parse(words.strip(), mode="eval").body)
        text = text[: match.start()] + str(value) + text[match.end() :]


def expand(value: str, node: str) -> str | None:
    """|regex|replacement| or |replacement| applied to a node's name; None: no match."""
    if len(value) < 2 or value[0] not in "|^" or value[-1] not in "|/":
        return value
    parts = value.strip("|").split("|")
    if value[0] != "|":
        return value
    if len(parts) == 1:
        numbers = re.findall(r"\d+", node)
        replacement = parts[0]
        pattern = r"\D*" + r"\D*".join(r"(\d+)" for _ in numbers) + r".*"
    else:
        pattern, replacement = parts[0], parts[1]
    match = re.match(pattern, node)
    if not match:
        return None
    groups = match.groups()

    def group(found: re.Match[str]) -> str:
        index = int(found[1])
        return groups[index - 1] or "" if 0 < index <= len(groups) else ""

    return _sums(re.sub(r"\$\{?(\d+)\}?", group, replacement))
