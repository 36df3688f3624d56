"""Which unit tests are too long for the daily loop."""

from __future__ import annotations

import pytest

_SLOW = {"test_sqlite_copy_crash.py", "test_testing_kit.py", "test_rsync_contract.py", "test_rsync_push.py", "test_cli.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them ``slow``: they start hundreds of processes."""
    for item in items:
        if item.path.name in _SLOW:
            item.add_marker(pytest.mark.slow)
