"""Program of the driver ``rsync`` on the nodes. Standard library only.

On the source, with the words of :func:`~xcat_ha_drivers.rsync.spec.to_words`: ``check`` prints a verdict and changes nothing, ``push``
makes the target equal. The other verbs are the target's part; the source calls them over ssh with a request on stdin.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from xcat_ha_drivers.rsync.refusal import Refusal


def _on_source(verb: str, words: Sequence[str]) -> int:
    from xcat_ha_drivers.rsync.push import check, push, say, share_connection  # noqa: PLC0415 - the target does not need it
    from xcat_ha_drivers.rsync.spec import from_words  # noqa: PLC0415

    spec = share_connection(from_words(words))
    if spec.keep_lines:
        from xcat_ha_drivers.rsync.text_files import check_text, push_text  # noqa: PLC0415

        say(check_text(spec) if verb == "check" else push_text(spec))
    else:
        say(check(spec) if verb == "check" else push(spec))
    return 0


def _on_target(verb: str, name: str, target: str) -> int:
    from xcat_ha_drivers.rsync import receive, text_files  # noqa: PLC0415

    verbs = {
        "prepare": receive.prepare,
        "make-parents": receive.make_parents,
        "record": receive.record,
        "compare": text_files.compare,
        "merge": text_files.merge_here,
    }
    try:
        answer = verbs[verb](name, target, json.load(sys.stdin))
    except Refusal as refusal:
        answer = {"refused": refusal.what, "hint": refusal.hint, "state": refusal.state}
    print(json.dumps(answer))
    return 0


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)  # the context managers end rsync


def main(words: Sequence[str]) -> int:
    """Exit status 0: done, or a verdict was printed; 1: refused or failed, with what, state and hint on stderr."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    verb, *rest = words
    try:
        return _on_source(verb, rest) if verb in {"check", "push"} else _on_target(verb, *rest)
    except Refusal as refusal:
        sys.stderr.buffer.write(refusal.lines().encode("utf-8", "surrogateescape"))
    except OSError as error:
        print(f"{error}\nstate: this step of the sync was not completed\nhint: mend the cause, then sync again", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
