"""Command lines as xCAT takes them: bundled short options, long ones, operands anywhere."""

from __future__ import annotations

import getopt
from collections.abc import Sequence


class BadOptionError(Exception):
    pass


def parse(args: Sequence[str], short: str, long: Sequence[str] = ()) -> tuple[dict[str, list[str]], list[str]]:
    """({option without dashes: values}, operands)."""
    try:
        found, operands = getopt.gnu_getopt(list(args), short, list(long))
    except getopt.GetoptError as error:
        raise BadOptionError(error.msg) from error
    options: dict[str, list[str]] = {}
    for name, value in found:
        options.setdefault(name.lstrip("-"), []).append(value)
    return options, operands
