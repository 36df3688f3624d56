"""``config validate`` and ``config show``: every key, who says so, and the reason why a file cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.product import PAIR_TOML
from tests.unit.test_cli import program
from xcat_ha.config import parse_pair
from xcat_ha.effective import Origin, Setting, effective_settings
from xcat_ha.errors import ConfigError, ExitCode

OWN_SET = '\n[files.own.scripts]\npaths = ["/srv/scripts"]\ndelete = false\n'
WITNESS = '\n[witness]\nfile = "/shared/term.json"\n'


def settings(text: str) -> dict[str, Setting]:
    return {setting.key: setting for setting in effective_settings(text, "pair.toml")}


@pytest.mark.parametrize(
    ("key", "value", "origin"),
    [
        ("pair.name", "lab", Origin.FILE),
        ("pair.max_loss_s", 900, Origin.DEFAULT),
        ("nodes.mna.address", "10.77.0.21", Origin.FILE),
        ("nodes.mnb.ssh_port", 22, Origin.DEFAULT),
        ("service.addresses", ["10.77.0.11/16", "fd77::11/64"], Origin.FILE),
        ("service.mode", "service-address", Origin.DEFAULT),
        ("witness.file", "/shared/term.json", Origin.FILE),
        ("witness.host", "", Origin.DEFAULT),
        ("database.driver", "sqlite-copy", Origin.FILE),
        ("database.keep", 3, Origin.FILE),
        ("database.lock_wait_s", 30, Origin.DRIVER),
        ("files.driver", "rsync", Origin.DEFAULT),
        ("files.bandwidth_kib_s", None, Origin.DRIVER),
        ("files.own.scripts.delete", False, Origin.FILE),
        ("files.own.scripts.max_delete_pct", 10.0, Origin.DEFAULT),
        ("fencing.driver", "manual", Origin.DEFAULT),
    ],
)
def test_every_key_is_there_with_who_says_so(key: str, value: object, origin: Origin) -> None:
    text = PAIR_TOML + "keep = 3\n" + WITNESS + OWN_SET
    assert settings(text)[key] == Setting(key, value, origin)


def test_the_defaults_shown_are_those_that_hold() -> None:
    pair, found = parse_pair(PAIR_TOML), settings(PAIR_TOML)
    for key in ("xcat_dir", "min_free_mib", "max_clock_skew_s", "sync_database_every_s", "sync_files_every_s", "guard_interval_s"):
        assert found[f"pair.{key}"].value == getattr(pair, key)


def test_a_driver_that_is_not_installed_is_shown_with_its_options() -> None:
    found = settings(PAIR_TOML.replace('"sqlite-copy"', '"no-such"\nsomething = 2026-01-01\npassword = "s3cret"\npassword_file = "/etc/x"'))
    assert "no driver called 'no-such'" in found["database.driver"].note
    assert [found[f"database.{option}"].value for option in ("something", "password", "password_file")] == [
        "2026-01-01",
        "(not shown)",
        "/etc/x",
    ]


def test_an_option_the_driver_does_not_know_is_an_error() -> None:
    with pytest.raises(ConfigError, match="kept"):
        settings(PAIR_TOML + "kept = 3\n")


# The verb


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "pair.toml"
    path.write_text(PAIR_TOML)
    return path


def test_a_configuration_that_can_be_used(place: Path) -> None:
    done = program("config", "validate", "--config", str(place))
    assert (done.code, done.err) == (ExitCode.DONE, "")
    assert "pair lab of mna and mnb" in done.out
    config = program("config", "validate", "--json", "--config", str(place)).json["config"]
    assert (config["nodes"], config["drivers"]["database"]) == (["mna", "mnb"], "sqlite-copy")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[pair]", "[pair", "is not TOML"),
        ('"sqlite-copy"', '"sqlite-copi"', "no driver called 'sqlite-copi'"),
        ('"sqlite-copy"', '"sqlite-copy"\nkeep = 0', "option 'keep' must be a whole number above zero"),
        ("10.77.0.11/16", "10.77.0.21/16", "two machines need three addresses"),
        ("10.77.0.11/16", "10.77.0.11/31", "does not name the cluster's network"),  # the driver linux says so
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_with_the_reason(place: Path, old: str, new: str, words: str) -> None:
    place.write_text(PAIR_TOML.replace(old, new, 1))
    done = program("config", "validate", "--config", str(place))
    assert (done.code, done.out) == (ExitCode.REFUSED, "")
    assert words in done.err
    assert "hint: " in done.err


def test_show_tells_what_the_file_says_and_with_effective_everything(place: Path) -> None:
    shown = program("config", "show", "--config", str(place)).out
    assert 'pair.preferred  "mna"  file\n' in shown
    assert "default" not in shown
    every = program("config", "show", "--effective", "--config", str(place)).out
    assert "pair.max_loss_s  900  default\n" in every
    assert "database.keep  7  driver\n" in every
    keys = {
        setting["key"] for setting in program("config", "show", "--effective", "--json", "--config", str(place)).json["config"]["settings"]
    }
    assert keys == set(settings(PAIR_TOML))


def test_a_word_that_is_neither_is_a_usage_error(place: Path) -> None:
    assert program("config", "improve", "--config", str(place)).code == ExitCode.USAGE
    assert program("config", "--config", str(place)).code == ExitCode.USAGE
