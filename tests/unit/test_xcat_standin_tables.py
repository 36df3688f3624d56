"""The xCAT stand-in's raw tables: dumps, restores, and the traps of both."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.simulators.xcat.standin import cfgloc, csvtext, engine
from tests.simulators.xcat.trial import Trial


@pytest.fixture
def site(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def test_tabdump_quotes_all_but_null(site: Trial) -> None:
    site.run("chdef", "-t", "site", 'q1=say "hi"', "nl=l1\nl2")
    text = site.run("tabdump", "site").out
    assert text.startswith('#key,value,comments,disable\n"blademaxp","64",,\n')
    assert '\n"q1","say ""hi""",,\n"nl","l1\nl2",,\n' in text
    assert site.run("tabdump", "-w", "key==master", "site").out.endswith('\n"master","10.77.0.11",,\n')


def test_tabdump_without_and_with_a_wrong_name(site: Trial) -> None:
    assert len(site.run("tabdump").out.split()) == 73
    done = site.run("tabdump", "nosuch")
    assert (done.err, done.code) == ("Error: [mn1]: No such table: nosuch\n", 1)
    assert site.run("tabdump", "vm").out.count("\n") == 1


def test_every_table_survives_dump_and_restore(site: Trial) -> None:
    before = {t: site.run("tabdump", t).out for t in site.run("tabdump").out.split()}
    for table, text in before.items():
        done = site.run("tabrestore", f"/x/{table}.csv", stdin=text)
        assert (done.out, done.err, done.code) == ("", "", 0)
    assert {t: site.run("tabdump", t).out for t in before} == before


def test_restoring_a_wrong_column_leaves_the_table_empty(site: Trial) -> None:
    text = site.run("tabdump", "noderes").out.replace("servicenode", "bad", 1)
    done = site.run("tabrestore", "noderes.csv", stdin=text)
    assert done.err == (
        "Error: [mn1]: The header line indicates that column 'bad' should exist, which is not defined in the schema for 'noderes'\n"
    )
    assert done.code == 1
    assert site.run("tabdump", "noderes").out.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "stdin", "code"), [("tabrestore nosuch.csv", "#a\n", 4), ("tabrestore site.csv", None, 3), ("tabrestore -a vm.csv", "", 0)]
)
def test_tabrestore_exit_codes(site: Trial, words: str, stdin: str | None, code: int) -> None:
    assert site.run(*words.split(), stdin=stdin).code == code


def test_tabprune_empties_any_table(site: Trial) -> None:
    assert site.run("tabprune", "-a", "site").out == "tabprune of site complete.\n"
    assert site.run("tabdump", "site").out == "#key,value,comments,disable\n"


def test_rows_switched_off_do_not_count(site: Trial) -> None:
    site.run("tabrestore", "-a", "site.csv", stdin='#key,value,comments,disable\n"master","10.77.0.11",,"1"\n')
    assert "master" not in site.run("lsdef", "-t", "site", "-l").out
    assert '"master","10.77.0.11",,"1"' in site.run("tabdump", "site").out


def test_csv_keeps_null_apart_from_empty() -> None:
    rows = list(csvtext.records('#a,b,c\n"x",,""\n"multi\nline","q""q","c,c"\n'))
    assert rows == [["#a", "b", "c"], ["x", None, ""], ["multi\nline", 'q"q', "c,c"]]


def test_a_lost_table_file_is_an_empty_table_of_root(site: Trial) -> None:
    (site.root / "etc/xcat/noderes.sqlite").unlink()
    done = site.run("tabdump", "noderes")
    assert (done.out.count("\n"), done.code) == (1, 0)
    assert (site.root / "etc/xcat/noderes.sqlite").stat().st_mode & 0o777 == 0o600


def opened(site: Trial) -> engine.Engine:
    with site.inside():
        return engine.open_engine(cfgloc.resolve())


def test_a_file_replaced_while_open_is_read_as_it_was_and_not_written(site: Trial) -> None:
    held = opened(site)
    before = held.read("site")
    file = site.root / "etc/xcat/site.sqlite"
    replacement = site.root / "etc/xcat/new"
    replacement.write_bytes(file.read_bytes())
    other = engine.Change(engine.SET, {"key": "master"}, {"value": "10.0.0.1"})
    replacement.replace(file)
    opened(site).write("site", [other])
    assert held.read("site") == before
    with pytest.raises(engine.DbError, match="readonly database"):
        held.write("site", [other])
    held.write("policy", [engine.Change(engine.SET, {"priority": "9"}, {"rule": "allow"})])


def test_changes_made_in_place_are_seen_at_once(site: Trial) -> None:
    held = opened(site)
    held.read("site")
    opened(site).write("site", [engine.Change(engine.SET, {"key": "probe"}, {"value": "1"})])
    assert ["probe", "1", None, None] in held.read("site")[1]


def test_missing_columns_are_added(site: Trial) -> None:
    file = site.root / "etc/xcat/vm.sqlite"
    file.unlink()
    old = sqlite3.connect(file)
    old.execute("CREATE TABLE vm (\n  node VARCHAR(128) ,\n  PRIMARY KEY (node)\n)")
    old.close()
    opened(site).update_schema()
    assert "vncport" in opened(site).read("vm")[0]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ["dbengine=SQLite"]),
        (
            "Pg:dbname=xcatdb;host=10.1.0.1|xcatadm|secret\n",
            ["cfgloc=Pg:dbname=xcatdb;host=10.1.0.1|xcatadm", "dbengine=Pg", "dbname=xcatdb", "dbhost=10.1.0.1", "dbadmin=xcatadm"],
        ),
        (
            "DB2:xcatdb|xcatdb|secret\n",
            ["cfgloc=DB2:xcatdb|xcatdb", "dbengine=DB2", "dbinstance=xcatdb", "dbname=xcatdb", "dbloc=/var/lib/db2"],
        ),
    ],
)
def test_cfgloc(site: Trial, text: str, lines: list[str]) -> None:
    site.add("etc/xcat/cfgloc", text)
    assert site.run("lsxcatd", "-d").out.splitlines() == lines
    if text:
        assert site.run("lsdef", "-t", "site").code == 1


def test_lsxcatd(site: Trial) -> None:
    said = site.run("lsxcatd", "-a").out.splitlines()
    assert said[0].startswith("Version 2.19.0 (git commit ")
    assert said[1:] == ["This is a Management Node", "dbengine=SQLite"]
    assert site.run("lsxcatd").code == 1
