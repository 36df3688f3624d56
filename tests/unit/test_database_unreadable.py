"""What is there and cannot be read is not taken for absent: the programs of the database drivers refuse, and say which file it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from xcat_ha_drivers.database.errors import DatabaseError
from xcat_ha_drivers.database.notes import Notes
from xcat_ha_drivers.postgres.location import require_postgres
from xcat_ha_drivers.postgres_streaming._places import BASE_DIR, Given, read_note
from xcat_ha_drivers.postgres_streaming._settings import required_standby
from xcat_ha_drivers.sqlite_copy._xcat import require_sqlite


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XCAT_HA_ROOT", str(tmp_path))
    return tmp_path


def unreadable(root: Path, name: str) -> None:
    """Root may read any file, but no directory as one."""
    (root / name.lstrip("/")).mkdir(parents=True)


def put(root: Path, name: str, text: str) -> None:
    path = root / name.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("name", ["/etc/xcat/cfgloc", "/etc/sysconfig/xcat"])
def test_sqlite_is_not_assumed_where_the_choice_cannot_be_read(name: str, root: Path) -> None:
    unreadable(root, name)
    with pytest.raises(DatabaseError, match=f"{name}.*hint"):
        require_sqlite("/etc/xcat")


def test_without_a_choice_it_is_sqlite(root: Path) -> None:
    (root / "etc/xcat").mkdir(parents=True)
    require_sqlite("/etc/xcat")


def test_an_environment_that_cannot_be_read_may_overrule_cfgloc(root: Path) -> None:
    put(root, "/etc/xcat/cfgloc", "Pg:dbname=xcatdb;host=10.77.0.11|xcatadm|S3cret\n")
    require_postgres("/etc/xcat")
    unreadable(root, "/etc/sysconfig/xcat")
    with pytest.raises(DatabaseError, match=r"/etc/sysconfig/xcat.*hint"):
        require_postgres("/etc/xcat")


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_note_that_cannot_be_read_does_not_say_that_nobody_is_required(text: str, root: Path) -> None:
    """Else commits would go on without the standby that ``when_standby_gone = "wait"`` promises to wait for."""
    told = Given("mna", peer="mnb", synchronous="wait")
    put(root, f"{BASE_DIR}/standby.json", '{"required": true, "degraded_since": null}')
    assert required_standby(told) == "xcat_ha_mnb"
    put(root, f"{BASE_DIR}/standby.json", text)
    with pytest.raises(DatabaseError, match=r"standby\.json.*hint"):
        required_standby(told)


def test_a_note_that_was_never_written_is_none(root: Path) -> None:
    assert root.is_dir()
    assert read_note("standby") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_no_driver_takes_a_damaged_note_for_an_absent_one(text: str, root: Path) -> None:
    notes = Notes("/var/lib/xcat-ha/any", hint="look at it")
    assert notes.read("proof") is None
    notes.write("proof", gtid="0-1-2")
    assert notes.read("proof") == {"gtid": "0-1-2"}
    put(root, "/var/lib/xcat-ha/any/proof.json", text)
    with pytest.raises(DatabaseError, match=r"proof\.json.*look at it"):
        notes.read("proof")
    notes.forget("proof")
    assert notes.read("proof") is None
