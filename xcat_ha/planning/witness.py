"""The witness: a third place that remembers the term, a host over ssh or a file on storage that both nodes see.

It is written at every change of primary, before anybody serves in the new term: a witness that lags behind would name the wrong node. So a
change of primary is refused while it does not answer.

A file counts only on a mounted file system: what lies below a mount point on which nothing is mounted is one node's own, and may be old.
"""

from __future__ import annotations

import hashlib
import re

from attrs import frozen

from xcat_ha.kept import SHOW_SCRIPT
from xcat_ha.models import Node, Pair
from xcat_ha.ssh_command import ssh_argv
from xcat_ha.steps import Check, ExitStatus, Prints, Probe, Step, Steps, changes, reads
from xcat_ha.term import TERM_FILE, StoredTerm

WITNESS = "witness"
"""Its name as a host."""
THE_WITNESS = "the witness"
"""Its name in sentences."""

_TIMEOUT_S = 10.0

_MOUNTED = """\
dir=${1%/*}
while [ -n "$dir" ] && [ ! -d "$dir" ]; do dir=${dir%/*}; done
at=$(df -P "${dir:-/}" 2>/dev/null | awk 'NR == 2 {print $NF}')
case $at in ""|/) echo "no storage of its own is mounted where $1 should be" >&2; exit 1;; esac
"""
# The directory of a file that a change of primary updates is there already; only setup makes one ($5).
_EXISTS = """\
[ -e "$1" ] || [ "$5" = create ] || { echo "$1 is not there: is it the right storage that is mounted?" >&2; exit 1; }
"""
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
class WitnessWord:
    """What a configured witness said. ``term`` None: it did not answer, or not in a way that can be understood; ``trouble`` says why."""

    term: StoredTerm | None
    trouble: str = ""

    @property
    def words(self) -> str:
        """One line for the administrator."""
        if self.term is None:
            return f"does not answer: {self.trouble}"
        return f"term {self.term.words()}" if self.term.counter else "remembers no term"


def is_configured(pair: Pair) -> bool:
    """Whether there is a witness."""
    return bool(pair.witness.host or pair.witness.file)


def witness_node(pair: Pair) -> Node | None:
    """The host, as ssh reaches it; None if the witness is no host."""
    witness = pair.witness
    return Node(WITNESS, WITNESS, witness.host, "", ssh_port=witness.ssh_port, user=witness.user) if witness.host else None


def question_for_witness(pair: Pair, local: str) -> Probe | None:
    """How its term is read from the node ``local``; None if no witness is configured."""
    return _probe(pair, local) if is_configured(pair) else None


def steps_to_inform(pair: Pair, by: Node, term: StoredTerm, *, create: bool = False) -> Steps:
    """Store ``term`` with the witness, acting from ``by`` if it is a file. None if there is no witness.

    ``create``: a file that is not there is made; else it is taken for a sign that its storage is not mounted.
    """
    if not is_configured(pair):
        return ()
    host, path = _host(pair, by.id), _path(pair)
    script = _STORE if pair.witness.host else _MOUNTED + _EXISTS + _STORE
    mode = "create" if create else "update"
    return (
        Step(
            name="inform-witness",
            why=f"The witness must not name another than {term.holder} any more.",
            host=host,
            done_when=witness_has(pair, by, term),
            commands=(changes("sh", "-c", script, "sh", path, str(term.counter), term.holder, term.text(), mode),),
        ),
    )


def steps_to_see(pair: Pair, node: Node, term: StoredTerm) -> Steps:
    """Prove that ``node`` sees the file that the other node has just written. None if the witness is no file."""
    if not pair.witness.file:
        return ()
    why = "A file that only one node sees would name the wrong node one day."
    return (Step(name="see-witness", why=why, host=node.id, done_when=witness_has(pair, node, term), commands=(), settle_s=10.0),)


def witness_has(pair: Pair, by: Node, term: StoredTerm) -> Check:
    """The witness remembers exactly this term, as seen from ``by``."""
    seen = f", as {by.id} sees it" if pair.witness.file else ""
    return Check(
        question=f"the witness has term {term.counter} of {term.holder}{seen}",
        probes=(_probe(pair, by.id),),
        rule=Prints(term.text()),
        hint=_hint(pair),
    )


def checks_that_it_answers(pair: Pair, by: Node) -> tuple[Check, ...]:
    """Asked before a change of primary, while nothing is changed yet. None if there is no witness."""
    if not is_configured(pair):
        return ()
    return (Check("the witness answers", (_probe(pair, by.id),), ExitStatus(), hint=_hint(pair)),)


def checks_of_reach(pair: Pair) -> tuple[Check, ...]:
    """Both nodes reach the witness by themselves. None if there is no witness."""
    host = witness_node(pair)
    if host is not None:
        argv, rule = (*ssh_argv(host), "true"), ExitStatus(fails=(255, 127))
        hint = "xcat-ha setup lets both nodes in; then look at sshd on the witness"
    elif is_configured(pair):
        argv, rule = ("sh", "-c", _MOUNTED, "sh", _path(pair)), ExitStatus()
        hint = f"mount the storage that both nodes see where {pair.witness.file} is"
    else:
        return ()
    return tuple(Check(f"{node.id} reaches the witness", (Probe(node.id, reads(*argv)),), rule, hint) for node in pair.nodes)


def _host(pair: Pair, local: str) -> str:
    """Where it is reached: a file on the node that wants to know."""
    return WITNESS if pair.witness.host else local


def _probe(pair: Pair, local: str) -> Probe:
    """Prints its term, or ``none``."""
    script = SHOW_SCRIPT if pair.witness.host else _MOUNTED + SHOW_SCRIPT
    return Probe(_host(pair, local), reads("sh", "-c", script, "sh", _path(pair), timeout_s=_TIMEOUT_S))


def _hint(pair: Pair) -> str:
    first, second = pair.nodes
    return (
        f"bring the witness back; if it is lost for good, take [witness] out of {pair.source} on {first.id} and on {second.id}, "
        "on one that is down before it boots with a network"
    )


def _path(pair: Pair) -> str:
    """Where the term is. On a host the name tells pairs apart that happen to be called the same."""
    if pair.witness.file:
        return pair.witness.file
    nodes = " ".join(f"{node.id}={node.address}" for node in pair.nodes)
    name = f"witness-{re.sub('[^A-Za-z0-9_-]', '_', pair.name)}-{hashlib.sha256(nodes.encode()).hexdigest()[:8]}.json"
    return TERM_FILE.replace("term.json", name) if pair.witness.user == "root" else f".xcat-ha/{name}"
