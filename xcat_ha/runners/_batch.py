"""Many reads in one exchange: a POSIX shell script that runs them side by side and frames their answers."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Sequence

from xcat_ha.steps import Completed, Trouble

_HEAD = """\
d=$(mktemp -d /run/xcat-ha-read.XXXXXX 2>/dev/null || mktemp -d) || exit 1
trap 'rm -rf "$d"' EXIT
one() {
  i=$1; limit=$2; shift 2
  timeout -k 2 "$limit" "$@" <"$d/i$i" >"$d/o$i" 2>"$d/e$i"
  echo $? >"$d/r$i"
}
"""

_TAIL = """\
wait
i=0
while [ "$i" -lt "$count" ]; do
  printf '%s %s %s\\n' "$(cat "$d/r$i")" "$(base64 <"$d/o$i" | tr -d '\\n')." "$(base64 <"$d/e$i" | tr -d '\\n')."
  i=$((i + 1))
done
echo end
"""

_TIMED_OUT = {124, 137}


def batch_script(commands: Sequence[tuple[Sequence[str], str, float]]) -> str:
    """The script for (argv, stdin, timeout_s) triples. Every word is quoted; stdin travels as base64."""
    lines = [_HEAD]
    for number, (argv, stdin, timeout_s) in enumerate(commands):
        encoded = base64.b64encode(stdin.encode("utf-8", "surrogateescape")).decode("ascii")
        feed = f"printf %s {encoded} | base64 -d" if encoded else ":"
        lines.append(f'{feed} >"$d/i{number}"\none {number} {max(int(timeout_s), 1)} {shlex.join(argv)} &\n')
    lines.append(f"count={len(commands)}\n{_TAIL}")
    return "".join(lines)


def parse_batch(output: str, argvs: Sequence[tuple[str, ...]]) -> tuple[Completed, ...] | None:
    """The answers in the script's output, None if it is not complete."""
    lines = output.splitlines()[-len(argvs) - 1 :]  # whatever a login shell's start-up files print comes before
    if len(lines) != len(argvs) + 1 or lines[-1] != "end":
        return None
    answers: list[Completed] = []
    for argv, line in zip(argvs, lines, strict=False):
        fields = line.split(" ")
        try:
            code, out, err = int(fields[0]), *(_decoded(field) for field in fields[1:])
        except ValueError:
            return None
        if code in _TIMED_OUT:
            answers.append(Completed(argv, None, out, err, trouble=Trouble.TIMED_OUT))
        else:
            answers.append(Completed(argv, code, out, err))
    return tuple(answers)


def _decoded(field: str) -> str:
    """The text of a frame: base64 and a full stop."""
    if not field.endswith("."):
        raise ValueError("cut off")
    return base64.b64decode(field[:-1], validate=True).decode("utf-8", "surrogateescape")
