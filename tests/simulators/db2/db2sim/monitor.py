"""What db2pd -hadr and GET SNAPSHOT print, in both layouts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .disk import PRIMARY, STANDARD
from .hadr import DISCONNECTED, Hadr
from .log import ORIGIN, Position, file_name

if TYPE_CHECKING:
    from .database import Database

WORDS_97 = {
    "PEER": "Peer",
    "DISCONNECTED_PEER": "DisconnectedPeer",
    "REMOTE_CATCHUP": "RemoteCatchup",
    "REMOTE_CATCHUP_PENDING": "RemoteCatchupPending",
    "LOCAL_CATCHUP": "LocalCatchup",
    "DISCONNECTED": "RemoteCatchupPending",  # 9.x has no other word for a primary without its standby
}
WORDS_SNAPSHOT = {
    "PEER": "Peer",
    "DISCONNECTED_PEER": "Disconnected peer",
    "REMOTE_CATCHUP": "Remote catchup",
    "REMOTE_CATCHUP_PENDING": "Remote catchup pending",
    "LOCAL_CATCHUP": "Local catchup",
    "DISCONNECTED": "Disconnected",
}
MODES = {"SYNC": "Sync", "NEARSYNC": "Nearsync", "ASYNC": "Async", "SUPERASYNC": "SuperAsync"}
CHANGING = "Changing data structure forced command termination."
KEY_WIDTH = 39


def not_activated(name: str, flavour: str) -> str:
    part = "database partition 0" if flavour == "97" else "database member 0"
    return (
        f"Database {name} not activated on {part} or this database name cannot be found in the local database directory.\n\n"
        "Option -hadr requires -db <database> or -alldbs option and active database.\n"
    )


def db2pd(database: Database) -> str:
    """The lock is held."""
    if database.taking_over:
        return f"\n{CHANGING}\n"
    flavour = database.instance.flavour
    if not database.active:
        return not_activated(database.name, flavour)
    hadr = database.hadr
    title = _title(database)
    if hadr is None:
        return f"{title}\n\nHADR is not active.\n"
    body = _columns(database, hadr) if flavour == "97" else _key_values(database, hadr)
    return f"{title}\n\n{body}\n"


def _title(database: Database) -> str:
    up = int(time.time() - database.since)
    days, rest = divmod(up, 86400)
    part = "Partition" if database.instance.flavour == "97" else "Member"
    standing = "Standby" if database.role == "STANDBY" else "Active"
    clock = f"{rest // 3600:02d}:{rest % 3600 // 60:02d}:{rest % 60:02d}"
    title = f"\nDatabase {part} 0 -- Database {database.name} -- {standing} -- Up {days} days {clock}"
    if part == "Member":
        now = time.time()
        title += time.strftime(" -- Date %Y-%m-%d-%H.%M.%S", time.localtime(now)) + f".{int(now % 1 * 1e6):06d}"
    return title


def _positions(database: Database, hadr: Hadr) -> tuple[Position | None, Position | None]:
    """(primary's, standby's); None: never heard."""
    own = database.log.end
    other = Position(hadr.other_lsn, "") if hadr.other_lsn else None
    return (own, other) if database.role == PRIMARY else (other, own)


def _stamp(when: float) -> str:
    return f"{time.ctime(when)} ({int(when)})"


def _columns(database: Database, hadr: Hadr) -> str:
    cfg = database.loaded
    primary, standby = _positions(database, hadr)
    gap = max(0, primary.lsn - standby.lsn) if primary and standby else 0
    status = "Connected" if hadr.connected else "Disconnected"
    lines = [
        "HADR Information:",
        "Role    State                SyncMode HeartBeatsMissed   LogGapRunAvg (bytes)",
        f"{database.role.capitalize():<7} {WORDS_97[hadr.now()]:<20} {MODES[hadr.settings.mode]:<8} {hadr.heartbeats_missed:<18} {gap}",
        "",
        "ConnectStatus ConnectTime                           Timeout   ",
        f"{status:<13} {_stamp(hadr.connected_since)} {cfg['HADR_TIMEOUT']}",
        "",
    ]
    if hadr.settings.peer_window_s:
        end = _stamp(hadr.window_end) if hadr.window_end else "Null (0)".ljust(37)
        lines += ["PeerWindowEnd                         PeerWindow", f"{end} {hadr.settings.peer_window_s}", ""]
    lines += [
        "LocalHost                                LocalService",
        f"{cfg['HADR_LOCAL_HOST']:<40} {cfg['HADR_LOCAL_SVC']}",
        "",
        "RemoteHost                               RemoteService      RemoteInstance",
        f"{cfg['HADR_REMOTE_HOST']:<40} {cfg['HADR_REMOTE_SVC']:<18} {cfg['HADR_REMOTE_INST']}",
        "",
        "PrimaryFile  PrimaryPg  PrimaryLSN",
        _file_row(primary),
        "",
        "StandByFile  StandByPg  StandByLSN",
        _file_row(standby),
    ]
    return "\n".join(lines)


def _file_row(position: Position | None) -> str:
    found = position or Position(ORIGIN, "")
    return f"{found.file:<12} {found.page:<10} 0x{found.lsn:016X}"


def _moment(when: float) -> str:
    return time.strftime("%m/%d/%Y %H:%M:%S", time.localtime(when)) + f".{int(when % 1 * 1e6):06d} ({int(when)})"


def _where(position: Position | None) -> str:
    return f"{position.file}, {position.page}, {position.lsn}" if position else "NULL"


def _sides(database: Database, hadr: Hadr) -> dict[str, tuple[str, str]]:
    """(host, instance) of primary and standby."""
    own = (database.loaded["HADR_LOCAL_HOST"], database.instance.name)
    other = (database.loaded["HADR_REMOTE_HOST"], hadr.settings.remote_instance)
    return {"PRIMARY": own, "STANDBY": other} if database.role == PRIMARY else {"PRIMARY": other, "STANDBY": own}


def fields(database: Database, hadr: Hadr) -> dict[str, str]:
    """db2pd's lines of 10.1 and later, also the columns of MON_GET_HADR. The lock is held."""
    primary, standby = _positions(database, hadr)
    gap = max(0, primary.lsn - standby.lsn) if primary and standby else 0
    sides = _sides(database, hadr)
    last = database.log.last
    log_time = _moment(last.time) if last else "NULL"
    found = {
        "HADR_ROLE": database.role,
        "REPLAY_TYPE": "PHYSICAL",
        "HADR_SYNCMODE": hadr.settings.mode,
        "STANDBY_ID": "1" if database.role == PRIMARY else "0",
        "LOG_STREAM_ID": "0",
        "HADR_STATE": hadr.now(),
        "HADR_FLAGS": "TCP_PROTOCOL",
        "PRIMARY_MEMBER_HOST": sides["PRIMARY"][0],
        "PRIMARY_INSTANCE": sides["PRIMARY"][1],
        "PRIMARY_MEMBER": "0",
        "STANDBY_MEMBER_HOST": sides["STANDBY"][0],
        "STANDBY_INSTANCE": sides["STANDBY"][1],
        "STANDBY_MEMBER": "0",
        "HADR_CONNECT_STATUS": "CONNECTED" if hadr.connected else DISCONNECTED,
        "HADR_CONNECT_STATUS_TIME": _moment(hadr.connected_since),
        "HEARTBEAT_INTERVAL(seconds)": f"{hadr.settings.heartbeat_s:g}",
        "HEARTBEAT_MISSED": str(hadr.heartbeats_missed),
        "HEARTBEAT_EXPECTED": str(int((time.time() - hadr.connected_since) / hadr.settings.heartbeat_s)),
        "HADR_TIMEOUT(seconds)": str(hadr.settings.timeout_s),
        "TIME_SINCE_LAST_RECV(seconds)": str(int(time.time() - hadr.last_received)) if hadr.connected else "0",
        "PEER_WAIT_LIMIT(seconds)": "0",
        "LOG_HADR_WAIT_CUR(seconds)": "0.000",
        "LOG_HADR_WAIT_RECENT_AVG(seconds)": "0.000000",
        "LOG_HADR_WAIT_ACCUMULATED(seconds)": "0.000",
        "LOG_HADR_WAIT_COUNT": "0",
        "SOCK_SEND_BUF_REQUESTED,ACTUAL(bytes)": "0, 50772",
        "SOCK_RECV_BUF_REQUESTED,ACTUAL(bytes)": "0, 87616",
        "PRIMARY_LOG_FILE,PAGE,POS": _where(primary),
        "STANDBY_LOG_FILE,PAGE,POS": _where(standby),
        "HADR_LOG_GAP(bytes)": str(gap),
        "STANDBY_REPLAY_LOG_FILE,PAGE,POS": _where(standby),
        "STANDBY_RECV_REPLAY_GAP(bytes)": "0",
        "PRIMARY_LOG_TIME": log_time,
        "STANDBY_LOG_TIME": log_time if gap == 0 else "NULL",
        "STANDBY_REPLAY_LOG_TIME": log_time if gap == 0 else "NULL",
        "STANDBY_RECV_BUF_SIZE(pages)": "16",
        "STANDBY_RECV_BUF_PERCENT": "0",
        "STANDBY_SPOOL_LIMIT(pages)": "0",
        "STANDBY_SPOOL_PERCENT": "NULL",
        "STANDBY_ERROR_TIME": "NULL",
    }
    if hadr.settings.peer_window_s:
        found["PEER_WINDOW(seconds)"] = str(hadr.settings.peer_window_s)
        found["PEER_WINDOW_END"] = _moment(hadr.window_end) if hadr.window_end else "NULL"
    else:
        found["PEER_WINDOW(seconds)"] = "0"
    return found | {"READS_ON_STANDBY_ENABLED": "Y" if database.instance.registry().get("DB2_HADR_ROS", "").upper() == "ON" else "N"}


def _key_values(database: Database, hadr: Hadr) -> str:
    return "\n".join(f"{key.rjust(KEY_WIDTH)} = {value}" for key, value in fields(database, hadr).items())


def snapshot(database: Database) -> str:
    """GET SNAPSHOT FOR DB. The lock is held."""
    started = time.strftime("%m/%d/%Y %H:%M:%S", time.localtime(database.since))
    lines = ["", "              Database Snapshot", ""]
    lines += [f"Database name                              = {database.name}"]
    lines += ["Database status                            = " + ("Active" if database.role != "STANDBY" else "Active Standby")]
    lines += [f"First database connect timestamp           = {started}.000000"]
    lines += [f"Applications connected currently           = {len(database.applications)}", ""]
    if database.hadr is not None and database.role != STANDARD:
        lines += _snapshot_hadr(database, database.hadr)
    return "\n".join([*lines, ""])


def _snapshot_hadr(database: Database, hadr: Hadr) -> list[str]:
    cfg = database.loaded
    primary, standby = _positions(database, hadr)
    gap = max(0, primary.lsn - standby.lsn) if primary and standby else 0
    since = time.strftime("%m/%d/%Y %H:%M:%S", time.localtime(hadr.connected_since)) + f".{int(hadr.connected_since % 1 * 1e6):06d}"
    lines = [
        "HADR Status",
        f"  Role                   = {database.role.capitalize()}",
        f"  State                  = {WORDS_SNAPSHOT[hadr.now()]}",
        f"  Synchronization mode   = {MODES[hadr.settings.mode]}",
        f"  Connection status      = {'Connected' if hadr.connected else 'Disconnected'}, {since}",
    ]
    if hadr.settings.peer_window_s:
        lines += [f"  Peer window end        = {_moment(hadr.window_end) if hadr.window_end else 'Null'}"]
        lines += [f"  Peer window (seconds)  = {hadr.settings.peer_window_s}"]
    return [
        *lines,
        f"  Heartbeats missed      = {hadr.heartbeats_missed}",
        f"  Local host             = {cfg['HADR_LOCAL_HOST']}",
        f"  Local service          = {cfg['HADR_LOCAL_SVC']}",
        f"  Remote host            = {cfg['HADR_REMOTE_HOST']}",
        f"  Remote service         = {cfg['HADR_REMOTE_SVC']}",
        f"  Remote instance        = {cfg['HADR_REMOTE_INST']}",
        f"  timeout(seconds)       = {hadr.settings.timeout_s}",
        f"  Primary log position(file, page, LSN) = {_snapshot_position(primary)}",
        f"  Standby log position(file, page, LSN) = {_snapshot_position(standby)}",
        f"  Log gap running average(bytes) = {gap}",
    ]


def _snapshot_position(position: Position | None) -> str:
    found = position or Position(ORIGIN, "")
    return f"{file_name(found.lsn)}, {found.page}, {found.lsn:016X}"
