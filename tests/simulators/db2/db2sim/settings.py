"""The HADR parameters of a database, checked as START HADR does."""

from __future__ import annotations

import dataclasses
import errno
import ipaddress
import socket

from . import paths
from .cfg import Config
from .disk import Instance
from .messages import SqlError

TEXTS = ("HADR_LOCAL_HOST", "HADR_LOCAL_SVC", "HADR_REMOTE_HOST", "HADR_REMOTE_SVC", "HADR_REMOTE_INST")
Endpoint = tuple[str, int]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the two sides must agree about, and where they are."""

    local: Endpoint
    remotes: tuple[Endpoint, ...]  # the first one is HADR_REMOTE_*
    remote_instance: str
    timeout_s: int
    peer_window_s: int
    mode: str

    @property
    def heartbeat_s(self) -> float:
        limits = [self.timeout_s / 4, 30.0]
        return max(0.1, min([*limits, self.peer_window_s / 4] if self.peer_window_s else limits))


def _fail(code: int) -> SqlError:
    return SqlError("SQL1768N", rc=code)


def read(instance: Instance, config: Config, *, as_primary: bool) -> Settings:
    """Raises SQL1768N with the reason."""
    if config["LOGARCHMETH1"] == "OFF":
        raise _fail(1)
    if not all(config[name] for name in TEXTS):
        raise _fail(8)
    local = (_own_address(config["HADR_LOCAL_HOST"]), _port(config["HADR_LOCAL_SVC"], 5))
    remote = (_address(config["HADR_REMOTE_HOST"], 12), _port(config["HADR_REMOTE_SVC"], 6))
    if ipaddress.ip_address(local[0]).version != ipaddress.ip_address(remote[0]).version:
        raise _fail(11)
    _check_port_is_free_for_us(instance, local[1])
    _check_delay(config, as_primary=as_primary)
    mode = config["HADR_SYNCMODE"]
    window = 0 if mode in {"ASYNC", "SUPERASYNC"} else int(config["HADR_PEER_WINDOW"])
    targets = _targets(config["HADR_TARGET_LIST"], remote)
    return Settings(local, targets, config["HADR_REMOTE_INST"], max(1, int(config["HADR_TIMEOUT"])), window, mode)


def _address(name: str, code: int) -> str:
    found = paths.address_of(name)
    if not found:
        raise _fail(code)
    return found


def _own_address(name: str) -> str:
    """HADR_LOCAL_HOST must be an address of this machine: only then can a socket be bound to it."""
    found = _address(name, 4)
    family = socket.AF_INET6 if ":" in found else socket.AF_INET
    with socket.socket(family) as trial:
        try:
            trial.bind((found, 0))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            raise _fail(4) from error
    return found


def _port(service: str, code: int) -> int:
    found = paths.port_of(service)
    if not found:
        raise _fail(code)
    return found


def _check_port_is_free_for_us(instance: Instance, port: int) -> None:
    client = paths.port_of(instance.setting("SVCENAME"))
    if client and port in {client, client + 1}:
        raise _fail(21)
    fcm = paths.fcm_ports(instance.name)
    if fcm.start and port in fcm:
        raise _fail(22)


def _check_delay(config: Config, *, as_primary: bool) -> None:
    if config["HADR_REPLAY_DELAY"] != "0":
        if config["HADR_SYNCMODE"] != "SUPERASYNC":
            raise _fail(17)
        if as_primary:
            raise _fail(18)


def _targets(text: str, remote: Endpoint) -> tuple[Endpoint, ...]:
    if not text:
        return (remote,)
    found: list[Endpoint] = []
    for entry in text.strip("{}").split("|"):
        host, colon, service = entry.strip().rpartition(":")
        if not colon or not host or not service or len(found) == 3:
            raise _fail(16)
        address, port = paths.address_of(host.strip("[]")), paths.port_of(service)
        if not address or not port:
            raise _fail(15)
        found.append((address, port))
    if remote not in found:
        raise _fail(14)
    return (remote, *(target for target in found if target != remote))
