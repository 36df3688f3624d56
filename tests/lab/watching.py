"""What all observers share: they watch between start and stop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Watching(ABC):
    """As a context manager, an observer watches for as long as the block runs."""

    @abstractmethod
    def start(self) -> None:
        """Begin; returns when everything is being watched."""

    @abstractmethod
    def stop(self) -> None:
        """End; what was seen stays."""

    def __enter__(self) -> Self:
        """Begin."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End, however the block ended."""
        self.stop()
