"""Messages of the server and the command line processor (CLP): codes, texts, exit codes, line ends."""

from __future__ import annotations

import dataclasses
import textwrap

COLUMNS = 79

TEXTS = {
    "DB20000I": "The {command} command completed successfully.",
    "DB21024I": "This command is asynchronous and may not be effective immediately.",
    "DB21034E": (
        "The command was processed as an SQL statement because it was not a valid Command Line Processor command."
        "  During SQL processing it returned:"
    ),
    "DB21056W": "Directory changes may not be effective until the directory cache is refreshed.",
    "DB21061E": "Command line environment not initialized.",
    "SQL0104N": 'An unexpected token "{token}" was found following "{after}".  Expected tokens may include:  "{expected}".  SQLSTATE=42601',
    "SQL0204N": '"{name}" is an undefined name.  SQLSTATE=42704',
    "SQL0206N": '"{name}" is not valid in the context where it is used.  SQLSTATE=42703',
    "SQL0440N": 'No authorized routine named "{name}" of type "FUNCTION" having compatible arguments was found.  SQLSTATE=42884',
    "SQL0601N": 'The name of the object to be created is identical to the existing name "{name}".  SQLSTATE=42710',
    "SQL0803N": "One or more values in the INSERT statement or UPDATE statement are not valid because they would produce duplicate rows."
    "  SQLSTATE=23505",
    "SQL0901N": "The SQL statement failed because of a non-severe system error. (Reason: {why}.)  SQLSTATE=58004",
    "SQL0964C": "The transaction log for the database is full.  SQLSTATE=57011",
    "SQL0968C": "The file system is full.  SQLSTATE=57011",
    "SQL1005N": 'The database alias "{db}" already exists in either the local database directory or system database directory.',
    "SQL1013N": 'The database alias name or database name "{db}" could not be found.  SQLSTATE=42705',
    "SQL1015N": "The database is in an inconsistent state.  SQLSTATE=55025",
    "SQL1024N": "A database connection does not exist.  SQLSTATE=08003",
    "SQL1025N": "The database manager was not stopped because databases are still active.",
    "SQL1026N": "The database manager is already active.",
    "SQL1032N": "No start database manager command was issued.  SQLSTATE=57019",
    "SQL1063N": "DB2START processing was successful.",
    "SQL1064N": "DB2STOP processing was successful.",
    "SQL1116N": 'A connection to or activation of database "{db}" cannot be made because the database is in BACKUP PENDING state.'
    "  SQLSTATE=57019",
    "SQL1117N": 'A connection to or activation of database "{db}" cannot be made because of ROLL-FORWARD PENDING.  SQLSTATE=57019',
    "SQL1119N": 'A connection to or activation of database "{db}" cannot be made because a previous restore is incomplete.  SQLSTATE=57019',
    "SQL1224N": "The database manager is not able to accept new requests, has terminated all requests in progress, or has terminated the"
    " specified request because of an error or a forced interrupt.  SQLSTATE=55032",
    "SQL1260N": 'Database "{db}" is not configured for roll-forward recovery on node(s) "0".',
    "SQL1261N": 'Database "{db}" is not in rollforward pending state on node(s) "0", so it does not need to be rolled forward on'
    " these nodes.",
    "SQL1276N": 'Database "{db}" cannot be brought out of rollforward pending state until roll-forward has passed a point in time greater'
    ' than or equal to "{when}", because node(s) "0" contains information later than the specified time.',
    "SQL1363W": "One or more of the parameters submitted for immediate modification were not changed dynamically. For these configuration"
    " parameters, the database must be shutdown and reactivated before the configuration parameter changes become effective.",
    "SQL1371W": "The quiesce operation was not executed because the specified instance or database named "
    ' "{db}" is already quiesced.',
    "SQL1372N": "Cannot perform a quiesce while in a transaction.",
    "SQL1373W": 'Cannot unquiesce instance or database "{db}" because it is not quiesced.',
    "SQL1390C": "The environment variable DB2INSTANCE is not defined or is invalid.",
    "SQL1490W": "Activate database is successful, however, the database has already been activated on one or more nodes.",
    "SQL1493N": "The command failed because the application is already connected to an active database.",
    "SQL1494W": "Activate database is successful, however, there is already a connection to the database.",
    "SQL1495W": "Deactivate database is successful, however, there is still a connection to the database.",
    "SQL1496W": "Deactivate database is successful, but the database was not activated.",
    "SQL1611W": "No data was returned by Database System Monitor.",
    "SQL1657W": "The database was deactivated while it was an HADR primary database in disconnected peer state.",
    "SQL1765W": "The update completed successfully. However, index creation, recreation, or reorganization may not be recovered on the"
    " secondary database server.",
    "SQL1766W": "The command completed successfully. However, LOGINDEXBUILD was not enabled before HADR was started.",
    "SQL1767N": 'Start HADR cannot complete. Reason code = "{rc}".',
    "SQL1768N": 'Unable to start HADR. Reason code = "{rc}".',
    "SQL1769N": 'Stop HADR cannot complete. Reason code = "{rc}".',
    "SQL1770N": 'Takeover HADR cannot complete. Reason code = "{rc}".',
    "SQL1773N": 'The statement or command requires functionality that is not supported on a read-enabled HADR standby database.'
    ' Reason code = "{rc}".',
    "SQL1776N": 'The command cannot be issued on an HADR database. Reason code = "{rc}".',
    "SQL1777N": "HADR is already started.",
    "SQL2001N": "The utility was interrupted.  The output data may be incomplete.",
    "SQL2036N": 'The path for the file, named pipe, or device "{path}" is not valid.',
    "SQL2059W": 'A device full warning was encountered on device "{path}".',
    "SQL2413N": "Online backup is not allowed because the database is not recoverable or a backup pending condition is in effect.",
    "SQL2419N": 'The target disk "{path}" has become full.',
    "SQL2514N": "The restore failed because the backup image is of another level of the database manager ({level}).",
    "SQL2522N": "More than one backup file matches the time stamp value provided for the backed up database image.",
    "SQL2523W": "Warning!  Restoring to an existing database that is different from the database on the backup image, but have matching"
    " names. The target database will be overwritten by the backup version.  The Roll-forward recovery logs associated with the target"
    " database will be deleted.",
    "SQL2530N": "The backup image is corrupted.",
    "SQL2532N": 'The backup file contains database "{found}" and not database "{db}" which was requested.',
    "SQL2537N": "Roll-forward is required following the Restore.",
    "SQL2540W": 'Restore is successful, however a warning "{number}" was encountered during Database Restore while processing in'
    " No Interrupt mode.",
    "SQL2542N": 'No match for a database image file was found based on the source database alias "{db}" and timestamp "{when}" provided.',
    "SQL5043N": "Support for one or more communications protocols specified in the DB2COMM environment variable failed to start"
    " successfully. However, core database manager functionality started successfully.",
    "SQL5099N": 'The value "{value}" indicated by the database configuration parameter "{name}" is not valid, reason code "{rc}".',
    "SQL5186N": 'The database configuration parameter "{name}" is discontinued.',
    "SQL6031N": 'Error in the db2nodes.cfg file at line number "{line}".  Reason code "{rc}".',
    "SQL6036N": "START or STOP DATABASE MANAGER command is already in progress.",
    "SQL6048N": "A communication error occurred during START or STOP DATABASE MANAGER processing.",
    "SQL20157N": 'User with authorization ID "{user}" failed to attach to a quiesced instance, or connect to a quiesced database or a'
    " database in a quiesced instance which is in the following quiesce mode: QUIESCE DATABASE.  SQLSTATE=08004",
    "SQL30081N": 'A communication error has been detected. Communication protocol being used: "TCP/IP".  Communication API being used:'
    ' "SOCKETS".  Location where the error was detected: "{where}".  Communication function detecting the error: "connect".  Protocol'
    ' specific error code(s): "{errno}", "*", "*".  SQLSTATE=08001',
}  # fmt: skip

# Two levels say these in different words.
IN_USE = {
    "97": "The database is currently in use.  SQLSTATE=57019",
    "11": "The operation failed because the specified database cannot be connected to in the mode requested.  SQLSTATE=57019",
}
SAME_IMAGE = {
    "97": "Warning!  Restoring to an existing database that is the same as the backup image database.  The database files will be deleted.",
    "11": "The specified name of the backup image to restore is the same as the name of the target database.  Restoring to an existing"
    " database that is the same as the backup image database will cause the current database to be overwritten by the backup version.",
}


def text(code: str, **values: object) -> str:
    """`CODE  text`, on one line."""
    return f"{code}  {TEXTS[code].format(**values)}"


def done(command: str) -> str:
    return text("DB20000I", command=command)


def severity_code(code: str) -> int:
    """The CLP's exit code for a message: 0 ok, 2 warning, 4 error."""
    return {"I": 0, "W": 2}.get(code[-1], 4)


class SqlError(Exception):
    """The answer to a command or statement that was not simply done. Also carries warnings (…W)."""

    def __init__(self, code: str, **values: object) -> None:
        self.code = code
        self.before = ""  # a line that is said first
        self.line = f"{code}  {values['words']}" if "words" in values else text(code, **values)
        super().__init__(self.line)

    @property
    def exit_code(self) -> int:
        return severity_code(self.code)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a command prints (lines not yet wrapped), and its exit code."""

    text: str
    code: int = 0


def answer_of(error: SqlError) -> Answer:
    return Answer(error.before + error.line, error.exit_code)


def in_use(flavour: str) -> SqlError:
    return SqlError("SQL1035N", words=IN_USE[flavour])


def wrapped(message: str) -> str:
    """As the CLP writes it: messages are broken near column 79; reports (lines that begin with a blank) are not."""
    out = []
    for line in message.split("\n"):
        whole = len(line) <= COLUMNS or line.startswith(" ")
        out += [line] if whole else textwrap.wrap(line, COLUMNS, break_long_words=False, break_on_hyphens=False)
    return "\n".join(out)
