"""Commands and checks as text for ``sh``: every word quoted, every comment nothing but a comment. Pure.

The functions that the text calls (``ask``, ``judge``, ``must``, ``change`` …) are in ``runbook.sh``.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence

from attrs import frozen

from xcat_ha.errors import RefusedError
from xcat_ha.steps import Check, Command, ExitStatus, Matches, Prints, Ref, Rule, SamePrinted


@frozen
class Wording:
    """How a runbook words commands.

    Attributes:
        pythons: the Pythons of an installed xcat-ha, as commands name them.
        carried_python: what takes their place: the one that the runbook sets up.
        refs: name of a captured output -> its number.
    """

    pythons: frozenset[str]
    carried_python: str
    refs: Mapping[str, int]

    def required(self, check: Check) -> str:
        """Go on only if it holds."""
        return f"{self.check(check)}must {line(check.question, check.hint or 'xcat-ha check tells more')}"

    def check(self, check: Check) -> str:
        """Ask, and judge the answers."""
        asked = ""
        for number, probe in enumerate(check.probes, start=1):
            asked += f"{_fed(probe.command)}ask {number} {_where(probe.host, probe.command)} {self._words(probe.command)}\n"
        return f"{asked}judge {len(check.probes)} {line(*rule_words(check.rule))}"

    def change(self, command: Command, host: str) -> str:
        """Run it; the step fails if it does.

        Raises:
            RefusedError: it needs the output of a command that captures none.
        """
        needed = ""
        for word in command.argv:
            if isinstance(word, Ref) and word.name not in self.refs:
                raise RefusedError(
                    f"no step of this plan prints {word.name}", state="nothing was written", hint="tell the driver's authors"
                )
            if isinstance(word, Ref):
                needed += f"kept {self.refs[word.name]} {quoted(word.name)} || return\n"
        codes = quoted(" ".join(map(str, command.ok_codes)))
        kept = f"keep {self.refs[command.capture]} {quoted(command.capture)}\n" if command.capture else ""
        return f"{needed}{_fed(command)}change {_where(host, command)} {codes} {self._words(command)} || return\n{kept}"

    def clean(self, command: Command, host: str) -> str:
        """Run it, whatever comes of it."""
        return f"{_fed(command)}clean {_where(host, command)} {self._words(command)}\n"

    def _words(self, command: Command) -> str:
        user = f"runuser -u {quoted(command.user)} -- " if command.user else ""
        source = '"$WORK/in"' if command.stdin else "/dev/null"
        return f"{user}{' '.join(map(self._word, command.argv))} <{source}"

    def _word(self, word: str | Ref) -> str:
        if isinstance(word, Ref):
            return f'"$(cat "$WORK/kept.{self.refs.get(word.name, 0)}" 2>/dev/null)"'
        for python in self.pythons:
            word = re.sub(rf"(?<![\w./-]){re.escape(python)}(?![\w./-])", lambda _found: self.carried_python, word)
        return '"$PYTHON"' if word == self.carried_python else quoted(word)


def _fed(command: Command) -> str:
    """Text for stdin goes through a file: a here-document would add a line's end."""
    return f"feed {quoted(command.stdin)}\n" if command.stdin else ""


def _where(host: str, command: Command) -> str:
    return f"{quoted(host)} {max(int(command.timeout_s), 1)}"


def rule_words(rule: Rule) -> Sequence[str]:
    """The rule as words for :mod:`xcat_ha.judge`."""
    if isinstance(rule, ExitStatus):
        return ("exit-status", ",".join(map(str, rule.holds)), ",".join(map(str, rule.fails)))
    if isinstance(rule, Prints):
        return ("prints", rule.text)
    if isinstance(rule, Matches):
        return ("lacks" if rule.absent else "matches", rule.pattern)
    if isinstance(rule, SamePrinted):
        return ("same",)
    return ("says", rule.names) if rule.names else ("says",)


def function(name: str, body: str, said: str = "") -> str:
    """A shell function; ``said``: comments at its head."""
    return f"{name}() {{\n{said}{_indented(body)}}}\n" if body else f"{name}() {{ :; }}\n"


def comment(text: str, indent: str = "") -> str:
    """Never anything but a comment, whatever it holds."""
    return "".join(f"{indent}# {part}".rstrip() + "\n" for part in re.split(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", text))


def members(value: Mapping[str, object]) -> str:
    """``, "key": value …``: what follows the first members of a JSON object."""
    return f", {json.dumps(value, ensure_ascii=True)[1:-1]}"


def here_document(path: str, text: str) -> str:
    """Write ``text`` to a path below ``$1``."""
    lines, end = set(text.splitlines()), "END_OF_FILE"
    while end in lines:
        end += "_"
    return f"  cat >\"$1\"/{quoted(path)} <<'{end}' || return 1\n{text}{end}\n"


def line(*words: str) -> str:
    """Words of a command, with the line's end."""
    return " ".join(map(quoted, words)) + "\n"


def quoted(word: str) -> str:
    """One word for the shell.

    Raises:
        RefusedError: no word can hold that.
    """
    if "\0" in word:
        raise RefusedError(f"a word of the plan holds a NUL byte: {word[:80]!r}", state="nothing was written", hint="mend that name")
    return shlex.quote(word)


def _indented(text: str) -> str:
    """Only the first line of each command: a quoted word may go over several lines, and must stay what it is."""
    lines = re.findall(r"(?:'[^']*'|\"[^\"]*\"|[^'\n\"])*\n", text)
    return "".join(f"  {part}" for part in lines) if "".join(lines) == text else text
