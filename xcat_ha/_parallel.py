"""Running independent calls side by side, errors handed on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence


def side_by_side(jobs: Sequence[Callable[[], None]]) -> None:
    """Run all jobs to their ends, then raise the first error in order of the jobs.

    The threads are daemons: a second Ctrl-C must be able to end the program although a remote command still runs.
    """
    if len(jobs) == 1:
        jobs[0]()
        return
    errors: list[BaseException | None] = [None] * len(jobs)

    def guarded(number: int, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread below, not swallowed
            errors[number] = error

    threads = [threading.Thread(target=guarded, args=(number, job), daemon=True) for number, job in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        if error is not None:
            raise error
