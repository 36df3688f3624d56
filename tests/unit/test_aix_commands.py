"""The drivers for AIX call nothing there that only Linux or GNU has."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
from attrs import evolve

from tests.aix_site import AixHost, AixSite
from xcat_ha.interfaces import Daemon, Job, Service
from xcat_ha.models import IdentityMode
from xcat_ha_drivers import aix, aix_src, cron, node_commands
from xcat_ha_drivers.aix import AixIdentity
from xcat_ha_drivers.aix.identity import _QUESTION as IDENTITY_SCRIPT
from xcat_ha_drivers.aix_src import AixSrc
from xcat_ha_drivers.aix_src.control import _QUESTION as SRC_SCRIPT
from xcat_ha_drivers.cron import Cron

PACKAGES = (aix, aix_src, cron)
FLAGS = {
    "lssrc": "as",
    "startsrc": "s",
    "stopsrc": "cs",
    "lsitab": "a",
    "mkitab": "",
    "chitab": "",
    "telinit": "",
    "ifconfig": "al",
    "lsattr": "ElaF",
    "chdev": "laP",
    "hostname": "",
    "arp": "dan",
    "ping": "cw",
    "hostent": "ah",
    "crontab": "l",
}
"""The flags of AIX's own commands that are used (facts: IBM's command reference)."""
PLAIN = {"ps", "netstat", "who", "cat", "echo", "exit", "hostname", "ifconfig", "lsattr", "lssrc", "lsitab"}
"""Programs and words of a POSIX shell that the scripts may use.

ps, netstat and who are given in one form each, which the site insists on."""


def everything(site: AixSite) -> None:
    first, identity = site.first, evolve(site.pair.identity, mode=IdentityMode.REPLACE)
    pair = evolve(site.pair, identity=identity)
    network, services, schedule = AixIdentity(pair, {}), AixSrc(pair, {}), Cron(pair, {})
    for service in (Service.XCATD, Service.DNS, Service.DHCP):
        site.install_service(first.id, service, running=False, enabled=True)
    role = (Service.DNS, Service.DHCP, Service.XCATD)
    host = site.aix(first.id)
    host.aix("chdev", "-l", "en1", "-a", f"netaddr={identity.primary_address}", "-a", "netmask=255.255.0.0", "-a", "state=up")
    host.aix("chdev", "-l", "inet0", "-a", "hostname=mn")
    site.path(first.id, "/etc/hosts").write_text("127.0.0.1 localhost\n")
    AixHost.called.clear()
    states = services.observe(first, site.runner)
    network.observe(first, site.runner)
    site.execute(network.steps_to_make_own(first, identity))
    site.execute(network.steps_to_acquire(first, identity))
    site.execute(services.steps_to_disable(first, role, states))
    site.execute(services.steps_to_start(first, role, states))
    site.execute(services.steps_to_keep_running(first, Daemon("guard", ("/opt/xcat-ha/bin/xcat-ha", "guard"), "watches")))
    site.execute(schedule.steps_to_start(first, (Job("sync-files", ("/usr/bin/true",), 300, "why"),)))
    site.execute(schedule.steps_to_stop(first))
    site.execute(services.steps_to_stop(first, role, states))
    site.execute(network.steps_to_release(first, identity))


def test_every_command_has_only_flags_that_aix_has() -> None:
    site = AixSite()
    try:
        everything(site)
    finally:
        site.close()
    assert {words[0] for words in AixHost.called} >= {"chdev", "chitab", "crontab", "hostent", "stopsrc"}
    for name, *words in AixHost.called:
        assert name in FLAGS, f"{name} is not among the commands looked at"
        flags = [word for word in words if re.fullmatch(r"-[A-Za-z-]+", word)]
        assert not [flag for flag in flags if flag.startswith("--") or not set(flag[1:]) <= set(FLAGS[name])], f"{name} {words}"


@pytest.mark.parametrize("script", [IDENTITY_SCRIPT, SRC_SCRIPT])
def test_the_scripts_use_a_posix_shell_and_programs_of_aix(script: str) -> None:
    code = re.sub(r"echo ['\"]--- .*", "echo", script)
    assert not re.search(r"\[\[|\blocal\b|\bfunction\b|<<<|\$'|/proc/|--", code)
    begins = re.findall(r"(?:^|\|\| |&& |\$\()\s*([a-z]\w*)(?=[ )])", code, re.MULTILINE)
    assert set(begins) <= PLAIN | {"for", "case", "esac", "done", "root"}, begins


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_what_runs_on_the_node_imports_the_standard_library_and_what_is_sent_with_it(package: object) -> None:
    folder = Path(str(getattr(package, "__file__", ""))).parent
    names = {"node_side", "reading", "crontab", "state"}
    for path in (*sorted(one for one in folder.glob("*.py") if one.stem in names), Path(str(node_commands.__file__))):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                own = f"{module}.".startswith((f"xcat_ha_drivers.{folder.name}.", "xcat_ha_drivers.node_commands."))
                assert own or module.split(".")[0] in sys.stdlib_module_names, f"{path.name} imports {module}"
