"""Simulated DB2, one machine: instance, command line processor, configuration, backup and restore, as the fact sheet has them."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulators.db2.db2sim.client import ClientError, Connection
from tests.simulators.db2.db2sim.engine import Db2Engine
from tests.simulators.db2.trial import Machine, Pair, wait_until
from tests.simulators.xcat.standin.engine import ADD, DROP, SET, Change, DbError, NoSuchTableError, schema

TABLE = "CREATE TABLE site (key VARCHAR(128) PRIMARY KEY, value TEXT)"


@pytest.fixture(params=["97", "11"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    """Only the first machine's instance runs."""
    pair = Pair(tmp_path, request.param)
    pair.start(pair.a)
    yield pair
    pair.stop()


@pytest.fixture
def machine(pair: Pair) -> Machine:
    return pair.a


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Machine]:
    """Where both flavours are the same."""
    pair = Pair(tmp_path, "97")
    pair.start(pair.a)
    yield pair.a
    pair.stop()


@pytest.fixture
def archiving(machine: Machine) -> Machine:
    """Its log is kept, and it has had its first backup."""
    machine.must("UPDATE DB CFG FOR XCATDB USING LOGARCHMETH1 LOGRETAIN LOGINDEXBUILD ON")
    machine.must("BACKUP DB XCATDB TO /backup")
    return machine


# --- the instance


def test_db2start_and_db2stop_say_what_they_did(one: Machine) -> None:
    assert one.shell("db2start").code == 1
    assert "SQL1026N  The database manager is already active." in one.shell("db2start").out
    stopped = one.shell("db2stop")
    assert stopped.code == 0
    success = "SQL1064N  DB2STOP processing was successful.\n"
    assert re.fullmatch(rf"\d\d/\d\d/\d{{4}} \d\d:\d\d:\d\d     0   0   {success}{success}", stopped.out)
    assert one.shell("db2stop").sql == "SQL1032N"
    assert one.db2("ACTIVATE DB XCATDB").sql == "SQL1032N"
    assert one.db2("GET DB CFG FOR XCATDB").code == 0
    assert one.db2("UPDATE DB CFG FOR XCATDB USING TRACKMOD ON").code == 0
    assert "SQL1063N  DB2START processing was successful." in one.shell("db2start").out


def test_an_instance_with_an_active_database_is_only_stopped_by_force(one: Machine) -> None:
    one.must("ACTIVATE DB XCATDB")
    refused = one.shell("db2stop")
    assert (refused.code, refused.sql) == (1, "SQL1025N")
    assert one.shell("db2stop force").code == 0
    assert one.shell("db2stop").code == 1


def test_a_host_that_was_renamed_cannot_start_or_stop_until_db2gcf_has_written_its_name(one: Machine) -> None:
    one.write("etc/hostname", "service\n")
    assert one.shell("db2stop").sql == "SQL6048N"
    one.kill()
    assert one.shell("db2start").sql == "SQL6048N"
    down = one.shell("db2gcf -s -i xcatdb")
    assert down.code != 0
    assert "DB2 State : Not operable" in down.out
    assert one.shell("db2gcf -u -p 0 -i xcatdb").code == 0
    assert (one.sqllib / "db2nodes.cfg").read_text() == "0 service 0\n"
    up = one.shell("db2gcf -s -i xcatdb")
    assert (up.code, up.out) == (0, "\nInstance  : xcatdb\nDB2 State : Available\n")
    assert one.shell("db2stop").code == 0


def test_a_malformed_db2nodes_cfg_is_named(one: Machine) -> None:
    one.shell("db2stop")
    (one.sqllib / "db2nodes.cfg").write_text("mna 0\n")
    assert one.shell("db2start").text == 'SQL6031N Error in the db2nodes.cfg file at line number "1". Reason code "4".'


def test_without_the_profile_the_clp_does_not_work(one: Machine) -> None:
    assert one.shell("db2 terminate", DB2INSTANCE="").out == "DB21061E  Command line environment not initialized.\n"
    assert one.shell("db2 terminate", DB2INSTANCE="nobody").sql == "SQL1390C"
    assert one.shell("db2start", DB2INSTANCE="nobody").sql == "SQL1390C"


def test_a_client_port_that_something_else_has_is_no_success(one: Machine) -> None:
    one.shell("db2stop")
    with socket.socket() as other:
        other.bind((one.address, 50001))
        other.listen()
        started = one.shell("db2start")
        assert (started.code, started.sql) == (2, "SQL5043N")


def test_db2set_keeps_variables(one: Machine) -> None:
    assert one.shell("db2set DB2_HADR_ROS=ON").code == 0
    assert one.shell("db2set DB2_HADR_ROS").out == "ON\n"
    assert "[i] DB2COMM=tcpip" in one.shell("db2set -all").out
    one.shell("db2set DB2_HADR_ROS=")
    assert one.shell("db2set DB2_HADR_ROS").code == 1
    one.shell("db2set -g DB2SYSTEM=mna")
    assert one.shell("db2set -g DB2SYSTEM").out == "mna\n"


# --- the command line processor


def test_long_messages_are_broken_near_column_79(one: Machine) -> None:
    answer = one.db2("CONNECT TO NOWHERE")
    assert (answer.code, answer.text) == (
        4,
        'SQL1013N The database alias name or database name "NOWHERE" could not be found. SQLSTATE=42705',
    )
    assert answer.out.count("\n") == 2
    assert max(len(line) for line in answer.out.splitlines()) <= 79


def test_a_connection_belongs_to_one_shell(machine: Machine) -> None:
    chain = machine.shell(
        'db2 connect to XCATDB && db2 "QUIESCE DATABASE IMMEDIATE FORCE CONNECTIONS"; db2 "QUIESCE DATABASE IMMEDIATE"; echo "rc=$?";'
        ' db2 "UNQUIESCE DATABASE"; db2 "UNQUIESCE DATABASE"; echo "rc=$?";'
        ' db2 connect reset; db2 connect reset; echo "rc=$?"; db2 terminate'
    )
    version = "9.7.2" if machine.flavour == "97" else "11.5.9"
    assert (
        f"\n   Database Connection Information\n\n Database server        = DB2/LINUXX8664 {version}\n"
        " SQL authorization ID   = XCATDB\n Local database alias   = XCATDB\n"
    ) in chain.out
    assert re.findall(r"(?:DB2|SQL)\d+\w|rc=\d", chain.text) == [
        "DB20000I", "SQL1371W", "rc=2", "DB20000I", "SQL1373W", "rc=2", "DB20000I", "SQL1024N", "rc=4", "DB20000I",
    ]  # fmt: skip
    alone = machine.db2("QUIESCE DATABASE IMMEDIATE FORCE CONNECTIONS")
    assert alone.text == "SQL1024N A database connection does not exist. SQLSTATE=08003"


def test_a_connection_of_a_shell_that_forgot_to_terminate_goes_with_it(one: Machine) -> None:
    """Until then it is in the way, and the pipe of its output stays open."""
    other_shell = 'bash -c "db2 BACKUP DB XCATDB TO /backup; exit"'
    assert one.shell(f"db2 connect to XCATDB >/dev/null; {other_shell}").sql == "SQL1035N"
    one.idle()
    assert one.quick("BACKUP DB XCATDB TO /backup").code == 0


def test_exit_codes_tell_rows_from_none_and_warnings_from_errors(one: Machine) -> None:
    script = 'run() { db2 "$@" >/dev/null; echo $?; }; run connect to XCATDB;'
    script += f' run "{TABLE}"; run "select * from site"; run "insert into site values (1, 2)"; run "select * from site";'
    script += (
        ' run "delete from site where key=\'9\'"; run "insert into site values (1, 2)"; run "ACTIVATE DB XCATDB"; run "frob"; run terminate'
    )
    assert one.shell(script).out.split() == ["0", "0", "1", "0", "0", "1", "4", "4", "4", "0"]


def test_what_is_no_command_is_taken_for_sql(one: Machine) -> None:
    said = one.db2("FROBNICATE DATABASE").text
    assert said.startswith(
        "DB21034E The command was processed as an SQL statement because it was not a valid Command Line Processor command."
    )
    assert 'SQL0104N An unexpected token "FROBNICATE" was found following' in said
    dangling = one.db2("UPDATE DB CFG FOR XCATDB USING")
    assert (dangling.code, dangling.sql) == (4, "SQL0104N")
    assert one.db2("START HADR ON DB XCATDB AS MASTER").sql == "SQL0104N"
    assert one.db2("ROLLFORWARD DB XCATDB TO END OF LOG AND COMPLETE").sql == "SQL0104N"


def test_a_file_of_commands_ends_at_the_first_error_if_asked(one: Machine) -> None:
    one.write("commands", "-- a remark\nconnect reset;\nterminate;\n")
    file = one.root / "commands"
    assert one.shell(f"db2 -tf {file}").text.endswith("DB20000I The TERMINATE command completed successfully.")
    stopped = one.shell(f"db2 -stf {file}")
    assert (stopped.code, "TERMINATE" in stopped.out) == (4, False)


def test_rows_are_printed_with_and_without_headings(one: Machine) -> None:
    script = f"db2 connect to XCATDB >/dev/null; db2 \"{TABLE}\"; db2 \"insert into XCATDB.SITE values ('master', '10.0.0.1')\";"
    said = one.shell(f"{script} db2 'select * from site'; db2 -x 'select value from site'; db2 list tables; db2 terminate")
    assert "\nKEY    VALUE   \n------ --------\nmaster 10.0.0.1\n\n  1 record(s) selected.\n" in said.out
    assert "\n10.0.0.1\n\nTable/View " in said.out
    assert "\nSITE                            XCATDB          T     -\n\n  1 record(s) selected.\n" in said.out


def test_an_engine_that_is_killed_is_noticed(one: Machine) -> None:
    client = one.connect()
    client.execute(TABLE)
    client.execute("INSERT INTO site VALUES ('a', '1')")
    said = one.shell("db2 connect to xcatdb >/dev/null; db2_kill; db2 'select * from site'; db2 'select * from site'; db2 terminate")
    assert re.findall(r"SQL\d+N", said.text) == ["SQL1224N", "SQL1024N"]
    with pytest.raises(ClientError, match="SQL1224N"):
        client.execute("SELECT * FROM site")
    with pytest.raises(ClientError, match="SQL1032N"):
        one.connect()
    one.start()
    assert one.connect().execute("SELECT * FROM site")[1] == [["a", "1"]]


def test_force_application_is_not_done_when_it_answers(one: Machine) -> None:
    client = one.connect()
    said = one.quick("FORCE APPLICATION ALL")
    assert said.out == (
        "DB20000I  The FORCE APPLICATION command completed successfully.\n"
        "DB21024I  This command is asynchronous and may not be effective immediately.\n"
    )
    assert one.quick("LIST APPLICATIONS").code == 0
    one.idle()
    assert one.quick("LIST APPLICATIONS").text == "SQL1611W No data was returned by Database System Monitor."
    with pytest.raises(ClientError, match="SQL1224N"):
        client.execute("SELECT 1")


def test_quiescing_throws_everybody_out_and_keeps_xcatd_away(one: Machine) -> None:
    one.must("ACTIVATE DB XCATDB")
    client = one.connect()
    said = one.shell('db2 connect to XCATDB && db2 "QUIESCE DATABASE IMMEDIATE FORCE CONNECTIONS"; db2 terminate').text
    assert "The QUIESCE DATABASE command completed successfully." in said
    with pytest.raises(ClientError, match="SQL1224N"):
        client.execute("SELECT 1")
    with pytest.raises(ClientError, match="SQL20157N"):
        one.connect()
    one.shell('db2 connect to XCATDB && db2 "UNQUIESCE DATABASE"; db2 terminate')
    one.connect()


def test_programs_elsewhere_connect_to_the_client_port(one: Machine) -> None:
    client = Connection.remote(one.address, 50001, "XCATDB", "xcatdb")
    client.execute(TABLE)
    client.execute("INSERT INTO site VALUES ('a', '1')")
    assert one.connect().execute("SELECT * FROM site")[1] == [["a", "1"]]
    with pytest.raises(ClientError, match="SQL1013N"):
        Connection.remote(one.address, 50001, "NOWHERE", "xcatdb")
    with pytest.raises(ClientError, match="SQL30081N"):
        Connection.remote(one.address, 50009, "XCATDB", "xcatdb")


def test_xcats_tables_are_read_and_written(one: Machine) -> None:
    tables = Db2Engine(one.connect, schema(), error=DbError, no_such_table=NoSuchTableError)
    odd = 'it\'s "quoted" | back\\slash $x \u00e9 %s'
    tables.write("nodelist", [Change(SET, {"node": "cn1"}, {"groups": "all", "comments": odd}), Change(ADD, {"node": "cn2"}, {})])
    tables.write("nodelist", [Change(SET, {"node": "cn1"}, {"groups": "compute"})])
    names, rows = tables.read("nodelist")
    found = {row[names.index("node")]: dict(zip(names, row, strict=True)) for row in rows}
    assert (found["cn1"]["groups"], found["cn1"]["comments"], found["cn2"]["groups"]) == ("compute", odd, None)
    with pytest.raises(DbError, match="SQL0803N"):
        tables.write("nodelist", [Change(SET, {"node": "cn3"}, {}), Change(ADD, {"node": "cn2"}, {})])
    assert len(tables.read("nodelist")[1]) == 2
    tables.write("nodelist", [Change(DROP, {"node": "cn1"})])
    assert len(tables.read("nodelist")[1]) == 1
    with pytest.raises(NoSuchTableError):
        tables.read("nonsense")
    one.kill()
    with pytest.raises(DbError, match="SQL1224N"):
        tables.read("nodelist")
    with pytest.raises(DbError, match="SQL1032N"):
        tables.read("nodelist")
    one.start()
    assert len(tables.read("nodelist")[1]) == 1


# --- activation


def test_activation_knows_about_connections(one: Machine) -> None:
    client = one.connect()
    assert one.quick("ACTIVATE DB XCATDB").text.startswith("SQL1494W")
    assert one.quick("DEACTIVATE DB XCATDB").text.startswith("SQL1495W")
    client.close()
    wait_until(lambda: one.quick("DEACTIVATE DB XCATDB").text.startswith("SQL1496W"), "the last one closes the door")
    said = one.shell("db2 connect to XCATDB >/dev/null; db2 activate db XCATDB; db2 terminate").text
    assert said.startswith("SQL1493N")


# --- configuration

LINES_97 = """
 Backup pending                                          = NO

 Rollforward pending                                     = NO
 Restore pending                                         = NO

 Log retain for recovery status                          = RECOVERY
 Log retain for recovery enabled             (LOGRETAIN) = RECOVERY
 Track modified pages                         (TRACKMOD) = ON
 Log pages during index build            (LOGINDEXBUILD) = ON
 Index re-creation time and redo index build  (INDEXREC) = RESTART
 First active log file                                   = S0000000.LOG
 First log archive method                 (LOGARCHMETH1) = LOGRETAIN
 HADR database role                                      = STANDARD
 HADR local host name                  (HADR_LOCAL_HOST) = 9.114.47.103
 HADR local service name                (HADR_LOCAL_SVC) = DB2_HADR_1
 HADR remote host name                (HADR_REMOTE_HOST) = 9.114.47.104
 HADR remote service name              (HADR_REMOTE_SVC) = DB2_HADR_2
 HADR instance name of remote server  (HADR_REMOTE_INST) = xcatdb
 HADR timeout value                       (HADR_TIMEOUT) = 3
 HADR log write synchronization mode     (HADR_SYNCMODE) = NEARSYNC
 HADR peer window duration (seconds)  (HADR_PEER_WINDOW) = 120
"""
ONLY_NEW = """
 HADR target list                     (HADR_TARGET_LIST) =
 HADR log replay delay (seconds)     (HADR_REPLAY_DELAY) = 0
"""


def test_the_configuration_reads_as_the_real_one(machine: Machine) -> None:
    retain = "LOGRETAIN RECOVERY" if machine.flavour == "97" else "LOGARCHMETH1 LOGRETAIN"
    machine.must(f"UPDATE DB CFG FOR XCATDB USING {retain} TRACKMOD ON LOGINDEXBUILD ON INDEXREC RESTART")
    machine.must("BACKUP DB XCATDB TO /backup")
    hosts = "HADR_LOCAL_HOST 9.114.47.103 HADR_LOCAL_SVC DB2_HADR_1 HADR_REMOTE_HOST 9.114.47.104 HADR_REMOTE_SVC DB2_HADR_2"
    machine.must(f"UPDATE DB CFG FOR XCATDB USING {hosts} HADR_REMOTE_INST xcatdb HADR_TIMEOUT 3 HADR_PEER_WINDOW 120")
    lines = {line.rstrip() for line in machine.db2("GET DB CFG FOR XCATDB").out.splitlines()}
    wanted = set(LINES_97.splitlines())
    if machine.flavour == "11":
        wanted = {line for line in wanted if "(LOGRETAIN)" not in line} | set(ONLY_NEW.splitlines())
    assert wanted - lines == set()
    assert ("(HADR_TARGET_LIST)" in str(lines)) == (machine.flavour == "11")


def test_parameters_are_judged(machine: Machine) -> None:
    old = machine.flavour == "97"
    assert machine.quick("UPDATE DB CFG FOR XCATDB USING LOGRETAIN ON").sql == ("" if old else "SQL5186N")
    assert machine.quick("UPDATE DB CFG FOR XCATDB USING HADR_TARGET_LIST 10.0.0.2:55002").sql == ("SQL0104N" if old else "")
    assert machine.quick("UPDATE DB CFG FOR XCATDB USING HADR_SYNCMODE FAST").sql == "SQL5099N"
    assert machine.quick("UPDATE DB CFG USING HADR_TIMEOUT 3").sql == "SQL1024N"
    assert machine.quick("GET DB CFG FOR NOWHERE").sql == "SQL1013N"


def test_a_static_parameter_of_an_active_database_is_stored_with_a_warning(archiving: Machine) -> None:
    archiving.must("ACTIVATE DB XCATDB")
    answer = archiving.quick("UPDATE DB CFG FOR XCATDB USING HADR_TIMEOUT 7")
    assert (answer.code, answer.out[:8]) == (2, "SQL1363W")
    assert re.search(r"\(HADR_TIMEOUT\) = 7\n", archiving.quick("GET DB CFG FOR XCATDB").out)


def test_switching_to_archived_logs_needs_a_full_backup_first(machine: Machine) -> None:
    machine.must("UPDATE DB CFG FOR XCATDB USING LOGARCHMETH1 LOGRETAIN")
    assert machine.quick("CONNECT TO XCATDB").sql == "SQL1116N"
    assert machine.quick("ACTIVATE DB XCATDB").sql == "SQL1116N"
    assert machine.quick("BACKUP DB XCATDB ONLINE TO /backup").sql == "SQL2413N"
    machine.must("BACKUP DB XCATDB TO /backup")
    assert machine.quick("CONNECT TO XCATDB").code == 0


def test_the_alternate_server_is_a_host_and_a_port_number(machine: Machine) -> None:
    answer = machine.db2("UPDATE ALTERNATE SERVER FOR DATABASE XCATDB USING HOSTNAME 9.114.47.104 PORT 50001")
    assert answer.text.startswith("DB20000I The UPDATE ALTERNATE SERVER FOR DATABASE command completed successfully. DB21056W")
    assert answer.code in {0, 2}
    listed = machine.quick("LIST DB DIRECTORY").out
    assert "\n Alternate server hostname            = 9.114.47.104\n" in listed
    assert "\n Alternate server port number         = 50001\n" in listed
    assert machine.quick("UPDATE ALTERNATE SERVER FOR DB XCATDB USING HOSTNAME x PORT db2c_xcatdb").sql == "SQL0104N"
    machine.must("UPDATE ALTERNATE SERVER FOR DB XCATDB USING HOSTNAME NULL PORT NULL")
    assert "9.114" not in machine.quick("LIST DB DIRECTORY").out


# --- backup, restore, roll-forward


def rows_of(machine: Machine) -> list[list[object]]:
    return machine.connect().execute("SELECT * FROM site")[1]


def backed_up(machine: Machine) -> str:
    """An image with one row; the timestamp. Afterwards the database has two."""
    client = machine.connect()
    client.execute(TABLE)
    client.execute("INSERT INTO site VALUES ('a', '1')")
    client.close()
    machine.idle()
    machine.must("BACKUP DB XCATDB TO /backup")
    stamp = max(path.name.split(".")[-2] for path in (machine.root / "backup").iterdir())
    client = machine.connect()
    client.execute("INSERT INTO site VALUES ('b', '2')")
    client.close()
    machine.idle()
    return stamp


def test_a_backup_needs_the_database_to_itself(machine: Machine) -> None:
    client = machine.connect()
    words = "currently in use" if machine.flavour == "97" else "cannot be connected to in the mode requested"
    refused = machine.quick("BACKUP DB XCATDB TO /backup")
    assert (refused.code, refused.sql, words in refused.text) == (4, "SQL1035N", True)
    client.close()
    machine.idle()
    done = machine.db2("BACKUP DATABASE XCATDB TO /backup")
    stamp = re.fullmatch(r"\nBackup successful. The timestamp for this backup image is : (\d{14})\n\n", done.out)
    assert stamp, done
    node = "NODE0000.CATN0000" if machine.flavour == "97" else "DBPART000"
    assert (machine.root / f"backup/XCATDB.0.xcatdb.{node}.{stamp[1]}.001").exists()
    assert machine.quick("BACKUP DB XCATDB TO /nowhere").sql == "SQL2036N"


def test_a_restore_asks_and_nobody_there_means_no(archiving: Machine) -> None:
    stamp = backed_up(archiving)
    command = f"RESTORE DB XCATDB FROM /backup TAKEN AT {stamp} REPLACE HISTORY FILE"
    unanswered = archiving.db2(command)
    assert (unanswered.code, unanswered.sql) == (4, "SQL2001N")
    assert "SQL2539W" in unanswered.out
    assert "Do you want to continue ? (y/n) " in unanswered.out
    assert archiving.db2(command, stdin="n\n").sql == "SQL2001N"
    assert len(rows_of(archiving)) == 2
    archiving.idle()
    answered = archiving.db2(command, stdin="y\n")
    assert answered.code == 0
    assert answered.text.endswith("DB20000I The RESTORE DATABASE command completed successfully.")
    assert archiving.quick("CONNECT TO XCATDB").sql == "SQL1117N"


def test_a_restore_without_prompting_ends_with_a_warning_and_roll_forward_pending(archiving: Machine) -> None:
    stamp = backed_up(archiving)
    answer = archiving.quick(f"RESTORE DB XCATDB FROM /backup TAKEN AT {stamp} REPLACE HISTORY FILE WITHOUT PROMPTING")
    assert answer.code == 2
    assert 'SQL2540W Restore is successful, however a warning "2539"' in answer.text
    query = archiving.quick("ROLLFORWARD DB XCATDB QUERY STATUS").out
    assert " Rollforward status                     = DB  pending\n" in query
    working = archiving.quick("ROLLFORWARD DB XCATDB TO END OF LOGS").out
    assert " Rollforward status                     = DB  working\n" in working
    done = archiving.quick("ROLLFORWARD DB XCATDB TO END OF LOGS AND COMPLETE")
    assert " Rollforward status                     = not pending\n" in done.out
    label = " Number of nodes have returned status   = 1" if archiving.flavour == "97" else " Number of members have returned status = 1"
    assert label in done.out.splitlines()
    assert done.out.endswith("DB20000I  The ROLLFORWARD command completed successfully.")
    assert rows_of(archiving) == [["a", "1"]]


def test_a_restore_over_another_database_says_so(pair: Pair) -> None:
    stamp = backed_up(pair.a)
    pair.start(pair.b)
    answer = pair.copy(pair.a, pair.b, f"The timestamp for this backup image is : {stamp}")
    assert (answer.code, 'warning "2523"' in answer.text) == (2, True)
    assert rows_of(pair.b) == [["a", "1"]]  # circular logging: nothing to roll forward


def test_what_is_no_image_is_not_restored(archiving: Machine) -> None:
    stamp = backed_up(archiving)
    assert archiving.quick("RESTORE DB XCATDB FROM /backup TAKEN AT 20100805161232 WITHOUT PROMPTING").text == (
        'SQL2542N No match for a database image file was found based on the source database alias "XCATDB" and timestamp'
        ' "20100805161232" provided.'
    )
    assert archiving.quick("RESTORE DB XCATDB FROM /backup WITHOUT PROMPTING").sql == "SQL2522N"
    client = archiving.connect()
    assert archiving.quick(f"RESTORE DB XCATDB FROM /backup TAKEN AT {stamp} WITHOUT PROMPTING").sql == "SQL1035N"
    client.close()
    image = next(path for path in (archiving.root / "backup").iterdir() if stamp in path.name)
    image.write_bytes(image.read_bytes()[:-100])
    archiving.idle()
    assert archiving.quick(f"RESTORE DB XCATDB FROM /backup TAKEN AT {stamp} WITHOUT PROMPTING").sql == "SQL2530N"
    assert len(rows_of(archiving)) == 2


def test_a_full_disk_makes_backups_and_commits_fail_and_leaves_the_rows(one: Machine) -> None:
    client = one.connect()
    client.execute(TABLE)
    client.execute_all([("INSERT INTO site VALUES (?, ?)", [f"k{n}", "y" * 100]) for n in range(60)])
    one.limit_files((one.folder / "log/S0000000.LOG").stat().st_size + 100)
    with pytest.raises(ClientError, match="SQL0964C"):
        client.execute("INSERT INTO site VALUES ('big', ?)", ["x" * 1000])
    assert len(client.execute("SELECT * FROM site")[1]) == 60
    client.close()
    one.limit_files((one.folder / "rows.sqlite").stat().st_size)
    one.idle()
    assert one.quick("BACKUP DB XCATDB TO /backup WITHOUT PROMPTING").sql == "SQL2419N"
    asked = one.db2("BACKUP DB XCATDB TO /backup")
    assert (asked.code, asked.sql, "(c/d/t)" in asked.out) == (4, "SQL2001N", True)
    assert list((one.root / "backup").iterdir()) == []
    assert len(rows_of(one)) == 60


def test_db2pd_says_what_is_not_active(machine: Machine) -> None:
    part = "partition 0" if machine.flavour == "97" else "member 0"
    assert machine.shell("db2pd -d xcatdb -hadr").out == (
        f"Database XCATDB not activated on database {part} or this database name cannot be found in the local database directory.\n\n"
        "Option -hadr requires -db <database> or -alldbs option and active database.\n"
    )
    assert machine.quick("GET SNAPSHOT FOR DB ON XCATDB").text == "SQL1611W No data was returned by Database System Monitor."
    machine.must("ACTIVATE DB XCATDB")
    assert machine.shell("db2pd -d xcatdb -hadr").out.endswith("\n\nHADR is not active.\n")
    assert "HADR Status" not in machine.quick("GET SNAPSHOT FOR DB ON XCATDB").out
    machine.kill()
    assert machine.shell("db2pd -d xcatdb -hadr").out.startswith("Unable to attach to database manager on partition 0.")
