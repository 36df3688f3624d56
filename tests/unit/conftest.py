"""Which unit tests are too long for the daily loop."""

from __future__ import annotations

import os

import pytest

_SLOW = {"test_sqlite_copy_crash.py", "test_testing_kit.py", "test_rsync_contract.py", "test_rsync_push.py", "test_cli.py"}
_SOAK = {"test_postgres_dump.py", "test_postgres_streaming_mishaps.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them ``slow``: they start hundreds of processes; or ``soak``: they start database servers again and again."""
    for item in items:
        if item.path.name in _SLOW:
            item.add_marker(pytest.mark.slow)
        if item.path.name in _SOAK:
            item.add_marker(pytest.mark.soak)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Programs of a node set their process's umask; a test that calls one here must not leave it to the next."""
    del item
    os.umask(0o022)
