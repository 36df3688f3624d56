"""A proposal as TOML with a comment per line. Pure."""

from __future__ import annotations

import json
import textwrap
import time

from xcat_ha.discovery.proposal import Line, Proposal, Table

_WIDTH = 120
_LONGEST = 400


def proposal_text(proposal: Proposal, *, when: float, version: str) -> str:
    """The file. ``when``: seconds since the epoch; ``version``: of xcat-ha."""
    moment = time.strftime("%Y-%m-%d %H:%M", time.localtime(when))
    head = [f"Proposed by xcat-ha init {version} on {moment}. Each line tells where its value came from. docs: configuration."]
    if proposal.missing:
        head.append(f"NOT COMPLETE: fill in what is commented out ({', '.join(proposal.missing)}), then save it as pair.toml.")
    blocks = ["\n".join(_comments(*head))]
    blocks.append("\n".join(_comments("What was found:", *(f"  {sentence}" for sentence in proposal.found))))
    if proposal.warnings:
        blocks.append("\n".join(_comments("Look at this before xcat-ha setup:", *(f"  {sentence}" for sentence in proposal.warnings))))
    blocks += [_table_text(table) for table in proposal.tables]
    return "\n\n".join(blocks) + "\n"


def _table_text(table: Table) -> str:
    lines = [f"[{table.name}]"]
    for line in table.lines:
        lines += _line_text(line)
    return "\n".join(lines)


def _line_text(line: Line) -> list[str]:
    if line.value is None:
        return [*_comments(f"NOT FOUND: {line.origin}. Fill in:"), *_comments(f"{line.key} = {line.example}")]
    return [*_comments(f"from: {line.origin}"), f"{line.key} = {_toml(line.value)}"]


def _toml(value: str | int | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    # What JSON and TOML call a string is the same for printable characters; nothing else comes out of discovery's questions.
    return (
        json.dumps("".join(character for character in value if character.isprintable()), ensure_ascii=False)
        if isinstance(value, str)
        else str(value)
    )


def shown(sentence: str) -> str:
    """What may be shown of words that a machine answered: no control characters, and not without end."""
    clean = "".join(character if character.isprintable() else "?" for character in sentence)
    return clean if len(clean) <= _LONGEST else clean[:_LONGEST] + "…"


def _comments(*sentences: str) -> list[str]:
    """Comment lines, whatever a sentence holds: a line break in it would be configuration."""
    found: list[str] = []
    for sentence in sentences:
        short = shown(sentence)
        indent = " " * (len(short) - len(short.lstrip()))
        wrapped = textwrap.wrap(short.strip(), _WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False)
        found += [f"# {piece}" for piece in wrapped or [""]]
    return found
