"""Clients of the service address that judge an interruption: one writes numbered records, one keeps asking."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Self

from tests.lab import Lab
from tests.lab.errors import CommandTimedOutError
from tests.lab.product import ask_service

_ANSWER_LIMIT_S = 20.0
_PAUSE_S = 0.05


class _Witness:
    """A thread that repeats an act until it is told to stop."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End after the act that is under way."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            # A service that dies with the question in its hands leaves the client hanging: no answer, and the client goes on.
            with contextlib.suppress(CommandTimedOutError):
                self.act()
            self._stop.wait(_PAUSE_S)

    def act(self) -> None:
        """One act."""
        raise NotImplementedError


class Writer(_Witness):
    """Defines nodes ``w00001``, ``w00002`` … and remembers which of them xCAT has acknowledged, and when (epoch seconds)."""

    def __init__(self, lab: Lab, prefix: str = "w") -> None:
        super().__init__(lab)
        self.prefix = prefix
        self.acknowledged: dict[str, float] = {}
        self._next = 1

    def act(self) -> None:
        name = f"{self.prefix}{self._next:05d}"
        self._next += 1
        answer = ask_service(self.lab, "/opt/xcat/bin/mkdef", "-t", "node", "-o", name, f"groups={self.prefix}", timeout_s=_ANSWER_LIMIT_S)
        if answer.returncode == 0 and "1 object definitions have been created or modified" in answer.stdout:
            self.acknowledged[name] = time.time()

    def missing(self) -> set[str]:
        """Acknowledged records that the service address does not know now."""
        answer = ask_service(self.lab, "/opt/xcat/bin/lsdef", "-t", "node", "-s", self.prefix)
        known = {line.split()[0] for line in answer.stdout.splitlines() if line.strip()}
        return set(self.acknowledged) - known


class Reader(_Witness):
    """Asks for ``site.master`` again and again and remembers when the answer was right (epoch seconds)."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.answered: list[float] = []

    def act(self) -> None:
        answer = ask_service(self.lab, "/opt/xcat/bin/lsdef", "-t", "site", "-i", "master", "-c", timeout_s=_ANSWER_LIMIT_S)
        if answer.returncode == 0 and "master=10.77.0.11" in answer.stdout:
            self.answered.append(time.time())

    def longest_silence_s(self) -> float:
        """The longest time between two right answers."""
        pairs = zip(self.answered, self.answered[1:], strict=False)
        return max((later - earlier for earlier, later in pairs), default=0.0)
