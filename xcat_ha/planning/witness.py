"""The witness: a third place that remembers the term, a host over ssh or a file on storage that both nodes see.

It is written at every change of primary, before anybody serves in the new term: a witness that lags behind would name the wrong node.
"""

from __future__ import annotations

from attrs import frozen

from xcat_ha.models import Node, Pair
from xcat_ha.steps import Check, Command, Prints, Probe, Step, Steps, changes, reads
from xcat_ha.term import TERM_FILE, StoredTerm

WITNESS = "witness"
"""Its name as a host."""

_SHOW = '[ -e "$1" ] || { echo none; exit 0; }; cat "$1"'
# Never lowered, never another holder of the same counter; a witness host needs nothing but a shell.
_STORE = """\
umask 077; mkdir -p "${1%/*}" || exit 1
exec 9>>"$1.lock" && flock -w 10 9 || exit 1
had=$(sed -n 's/^{"counter": \\([0-9]*\\), .*/\\1/p' "$1" 2>/dev/null); who=$(sed -n 's/.*"holder": "\\([^"]*\\)".*/\\1/p' "$1" 2>/dev/null)
if [ "${had:-0}" -gt "$2" ] || { [ "${had:-0}" -eq "$2" ] && [ "$who" != "$3" ]; }; then
  echo "the witness has term $had of $who" >&2; exit 1
fi
printf '%s\\n' "$4" > "$1.new" && sync -f "$1.new" && mv "$1.new" "$1" && sync -f "$1"
"""


@frozen
class Asked:
    """Where the witness's term is read."""

    host: str
    command: Command


def question_for_witness(pair: Pair, local: str) -> Asked | None:
    """How to read it from the node ``local``; None if no witness is configured."""
    if pair.witness.host:
        return Asked(WITNESS, reads("sh", "-c", _SHOW, "sh", _path(pair), timeout_s=10))
    return Asked(local, reads("sh", "-c", _SHOW, "sh", pair.witness.file, timeout_s=10)) if pair.witness.file else None


def steps_to_inform(pair: Pair, by: Node, term: StoredTerm) -> Steps:
    """Store ``term`` with the witness, acting from ``by`` if it is a file. None if there is no witness."""
    if not pair.witness.host and not pair.witness.file:
        return ()
    host, path = (WITNESS, _path(pair)) if pair.witness.host else (by.id, pair.witness.file)
    return (
        Step(
            name="inform-witness",
            why=f"The witness must not name another than {term.holder} any more.",
            host=host,
            done_when=Check(
                question=f"the witness has term {term.counter} of {term.holder}",
                probes=(Probe(host, reads("sh", "-c", _SHOW, "sh", path, timeout_s=20)),),
                rule=Prints(term.text()),
                hint="bring the witness back, or take [witness] out of the configuration on both nodes",
            ),
            commands=(changes("sh", "-c", _STORE, "sh", path, str(term.counter), term.holder, term.text()),),
        ),
    )


def _path(pair: Pair) -> str:
    return TERM_FILE.replace("term.json", f"witness-{pair.name}.json")
