"""50,000 files: a file set against bare rsync with the same flags."""

from __future__ import annotations

from tests.bench.site import FILES_DIR, PYTHON, Pair, in_turn
from tests.bench.table import Row
from xcat_ha.ssh_command import rsh_words

_FILES = 50_000
_THEIRS = "/srv/theirs"

# 500 directories of 100 files of 0 to 3 kB, as many image trees have them.
_MAKE = """\
import os, sys
top, count = sys.argv[1], int(sys.argv[2])
for number in range(count):
    folder = f"{top}/d{number // 100:04d}"
    if number % 100 == 0:
        os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/f{number:05d}", "wb") as file:
        file.write(b"%08d" % number * (number % 375))
"""


def bench_files(pair: Pair, repeat: int) -> list[Row]:
    """The first copy, and a run with nothing to do."""
    pair.mna.run((PYTHON, "-c", _MAKE, FILES_DIR, str(_FILES)), timeout_s=600)
    bare = (
        "rsync", "-aHAX", "-R", "--no-implied-dirs", "-s", "--modify-window=-1", "--delete",
        "-e", rsh_words(pair.standby), f"/.{FILES_DIR}", f"root@{pair.standby.address}:{_THEIRS}/",
    )  # fmt: skip

    def first_of_ours() -> float:
        pair.mnb.run(("rm", "-rf", FILES_DIR, "/var/lib/xcat-ha/files/bench.json"), timeout_s=300)
        return pair.ours("sync", "bench", "--yes")

    def first_of_theirs() -> float:
        pair.mnb.run(("rm", "-rf", _THEIRS), timeout_s=300)
        pair.mnb.run(("mkdir", "-p", f"{_THEIRS}/srv"))
        return pair.seconds(*bare)

    note = "rsync with the same flags"
    first = in_turn(repeat, first_of_ours, first_of_theirs)
    again = in_turn(repeat, lambda: pair.ours("sync", "bench", "--yes"), lambda: pair.seconds(*bare))
    rows = [
        Row(f"sync of {_FILES:,} files, first", *first, 1.15, note),
        Row(f"sync of {_FILES:,} files, nothing changed", *again, 1.2, note),
    ]
    # The other benches are not about these.
    pair.mna.run(("sh", "-c", f"rm -rf {FILES_DIR}/d*"), timeout_s=300)
    pair.mnb.run(("sh", "-c", f"rm -rf {FILES_DIR}/d* {_THEIRS}"), timeout_s=300)
    return rows
