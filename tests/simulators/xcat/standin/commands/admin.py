"""restartxcatd and xcatconfig: programs that work without the daemon."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import time

from .. import VERSION, net, paths
from ..request import Request

PROFILE = "/etc/profile.d/xcat.sh"
RELOAD_MARK = "/run/xcat/reload"
STOP_TIMEOUT_S = 10.0


def restartxcatd(request: Request) -> None:
    if {"-h", "--help"} & set(request.args):
        request.out("Usage: restartxcatd [[-h|--help] | [-v|--version] | [-r|--reload]] [-V]")
        return
    if {"-v", "--version"} & set(request.args):
        request.out(VERSION)
        return
    request.out("restartxcatd invoked by root.")
    request.out()
    done = paths.at(PROFILE).exists() and _restart(reload="-r" in request.args)
    request.pace.wait_until("restartxcatd")
    request.out("Restarting xCATd".ljust(59) + ("[  OK  ]" if done else "[ FAILED  ]"))
    request.code |= 0 if done else 1


def _restart(*, reload: bool) -> bool:
    if reload:
        mark = paths.at(RELOAD_MARK)
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text("")
    if paths.is_whole_machine() and pathlib.Path("/run/systemd/system").exists():
        return subprocess.run(["systemctl", "restart", "xcatd"], check=False).returncode == 0
    _stop_running()
    program = paths.at("/opt/xcat/sbin/xcatd")
    return subprocess.run([program], check=False).returncode == 0


def _stop_running() -> None:
    try:
        pid = int(paths.at("/run/xcatd.pid").read_text())
        if "xcatd" not in pathlib.Path(f"/proc/{pid}/cmdline").read_text():
            return
        os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError):
        return
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < deadline and pathlib.Path(f"/proc/{pid}").exists():
        time.sleep(0.05)


def xcatconfig(request: Request) -> None:
    words = set(request.args)
    if {"-v", "--version"} & words:
        request.out(VERSION)
    elif {"-m", "--mgtnode"} & words:
        name = net.short_hostname()
        request.database.put("nodelist", {"node": name}, {"groups": "__mgmtnode"})
        request.database.put("servicenode", {"node": name}, {"nameserver": "0"})
        request.out("Management Node defined in the database.")
    else:
        request.out(
            "xcatconfig [-h|--help]\nxcatconfig [-v|--version]\n"
            "xcatconfig [-i|--initinstall]\nxcatconfig [-u|--updateinstall]\n"
            "xcatconfig [-k|--sshkeys]\nxcatconfig [-s|--sshnodehostkeys]\n"
            "xcatconfig [-c|--credentials]\nxcatconfig [-d|--database]\n"
            "xcatconfig [-f|--force]\nxcatconfig [-m|--mgtnode]\nxcatconfig [-t|--tunables]"
        )
        request.code |= 0 if {"-h", "--help"} & words else 1
