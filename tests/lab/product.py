"""The product and the xCAT stand-in as layers of the lab, and a site that runs them, as an administrator would find it."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.lab import Chroot, Completed, Lab, Layer, Node, Settings, build_layer
from tests.simulators.xcat.install import install, provision

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = "/etc/xcat-ha/pair.toml"
SERVICE_ADDRESS = "10.77.0.11"
SERVICE_ADDRESS_V6 = "fd77::11"

PAIR_TOML = """\
[pair]
name = "lab"
preferred = "mna"

[nodes.mna]
name = "mna"
address = "10.77.0.21"
interface = "en1"

[nodes.mnb]
name = "mnb"
address = "10.77.0.22"
interface = "en1"

[service]
hostname = "mn1"
addresses = ["10.77.0.11/16", "fd77::11/64"]

[database]
driver = "sqlite-copy"
"""


def tree_digest(*paths: Path) -> str:
    """A word that changes when any file below ``paths`` does."""
    digest = hashlib.sha256()
    for root in paths:
        files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        for path in files:
            digest.update(str(path.relative_to(root.parent)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def wheels(where: Path, *arguments: str) -> None:
    """Build or fetch wheels with this Python's pip."""
    subprocess.run((sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(where), *arguments), check=True, timeout=600)


def copied_in(chroot: Chroot, install_from: Callable[[Path], None], *pip_arguments: str) -> None:
    """Make wheels outside, install them inside without a network."""
    with tempfile.TemporaryDirectory() as made:
        install_from(Path(made))
        inside = chroot.path / "var/tmp/wheels"
        shutil.copytree(made, inside)
        try:
            pip = ("/opt/xcat-ha/bin/python3", "-m", "pip", "install", "--quiet", "--no-index", "--find-links", "/var/tmp/wheels")
            chroot.run((*pip, *pip_arguments), timeout_s=300)
        finally:
            shutil.rmtree(inside)


def _requirements() -> list[str]:
    """What setup.cfg says the product needs."""
    text = (REPOSITORY / "setup.cfg").read_text(encoding="utf-8")
    block = text.partition("install_requires =")[2].partition("\n[")[0].partition("package_data")[0]
    return [line.strip() for line in block.splitlines() if line.strip()]


def needs_layer(settings: Settings | None = None) -> Layer:
    """The virtual environment /opt/xcat-ha with what xcat-ha needs."""
    needs = _requirements()

    def build_needs(chroot: Chroot) -> None:
        chroot.run(("python3", "-m", "venv", "/opt/xcat-ha"), timeout_s=120)
        copied_in(chroot, lambda where: wheels(where, *needs), *needs)

    return build_layer("needs", "1 " + " ".join(needs), build_needs, settings=settings)


def product_layer(settings: Settings | None = None) -> Layer:
    """xcat-ha in /opt/xcat-ha, installed from this source tree as its documentation says."""
    below = needs_layer(settings)

    def build_product(chroot: Chroot) -> None:
        with tempfile.TemporaryDirectory() as copied:
            source = Path(copied) / "source"
            source.mkdir()
            for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
                shutil.copy(REPOSITORY / name, source)
            for name in ("xcat_ha", "drivers"):
                shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
            copied_in(chroot, lambda where: wheels(where, "--no-deps", str(source)), "--no-deps", "xcat-ha")
        chroot.run(("ln", "-sf", "/opt/xcat-ha/bin/xcat-ha", "/usr/local/bin/xcat-ha"))
        (chroot.path / "opt/xcat-ha/.source").write_text("installed from a source tree\n", encoding="ascii")

    key = tree_digest(REPOSITORY / "xcat_ha", REPOSITORY / "drivers", REPOSITORY / "setup.cfg", REPOSITORY / "pyproject.toml")
    return build_layer("product", f"1 {key}", build_product, below=(below,), settings=settings)


def xcat_layer(settings: Settings | None = None) -> Layer:
    """The xCAT stand-in, as its packages would install it."""
    key = tree_digest(REPOSITORY / "tests/simulators/xcat")
    return build_layer("xcat", f"1 {key}", lambda chroot: install(chroot.path), settings=settings)


def layers(settings: Settings | None = None) -> Sequence[Layer]:
    """All that a management node has installed."""
    return (product_layer(settings), xcat_layer(settings))


def start_site(lab: Lab, *, serve: bool = True) -> None:
    """Make the first node an MN that has served for years, the second one a machine with xCAT freshly installed.

    ``serve``: also run makedns, makedhcp and makeconservercf on the first, as its administrator once did.
    """
    old, fresh = lab.node("mna"), lab.node("mnb")
    name, address = ("mn1", SERVICE_ADDRESS) if lab.state.shape == "single" else ("mna", "10.77.0.21")
    provision(old.root, primary=True, name=name, address=address)
    provision(fresh.root, primary=False, name="mnb", address="10.77.0.22")
    for node in (old, fresh):
        node.run(("systemctl", "daemon-reload"))
        node.run(("systemctl", "enable", "--now", "xcatd"), timeout_s=120)
    let_in(old, fresh)
    if serve:
        run_make_commands(old)
    write_config(old)


def run_make_commands(node: Node) -> None:
    """What its administrator ran when he made it a management node."""
    # As the administrator of 2,000 nodes does: conserver would start two processes for each of them whenever it starts.
    node.run(("/opt/xcat/sbin/chtab", "key=consoleondemand", "site.value=yes"), timeout_s=120)
    for argv in (
        ("/opt/xcat/sbin/makehosts",),
        ("/opt/xcat/sbin/makedns", "-n"),
        ("/opt/xcat/sbin/makedhcp", "-n"),
        ("/opt/xcat/sbin/makedhcp", "-a"),
        ("/opt/xcat/sbin/makeconservercf",),
    ):
        node.run(argv, timeout_s=300)


def make_client(lab: Lab) -> None:
    """Give the client machine root's xCAT credentials, so that it may ask whoever has the service address."""
    source, target = lab.node("mna").root / "root/.xcat", lab.observer_chroot().path / "root/.xcat"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


CLIENT_ENV = {"XCATHOST": f"{SERVICE_ADDRESS}:3001"}


def ask_service(lab: Lab, *argv: str, timeout_s: float = 60.0) -> Completed:
    """An xCAT command on the client machine, asking the service address; its failure is an answer."""
    return lab.observer_chroot_run(argv, env=CLIENT_ENV, timeout_s=timeout_s, check=False)


def offer_for(lab: Lab, name: str) -> dict[str, str] | None:
    """What DHCP offers to a node that boots: seen from the segment, by its MAC address."""
    mac = ask_service(lab, "/opt/xcat/bin/lsdef", name, "-i", "mac", "-c").stdout.strip().partition("mac=")[2]
    links = json.loads(lab.observer_run(("ip", "-j", "link", "show", "type", "bridge")).stdout)
    ask = (sys.executable, str(REPOSITORY / "tests/lab/dhcp_client.py"), links[0]["ifname"], mac)
    found = lab.observer_run(ask, check=False, timeout_s=30)
    offer: dict[str, str] | None = json.loads(found.stdout) if found.returncode == 0 else None
    return offer


def xcat_ha(node: Node, *arguments: str, timeout_s: float = 600.0, check: bool = True) -> Completed:
    """The product's command line on a node."""
    return node.run(("/opt/xcat-ha/bin/xcat-ha", *arguments), timeout_s=timeout_s, check=check)


def write_config(node: Node, text: str = PAIR_TOML) -> None:
    """The pair's configuration, as the administrator writes it on the node he works on."""
    node.run(("sh", "-c", f"mkdir -p -m 755 /etc/xcat-ha && umask 077 && cat > {CONFIG}"), input=text)


def let_in(old: Node, fresh: Node) -> None:
    """Root of the old MN may log in to the new machine, as after ssh-copy-id."""
    public = old.run(("cat", "/root/.ssh/id_rsa.pub")).stdout
    fresh.run(("sh", "-c", "umask 077; mkdir -p /root/.ssh; cat >> /root/.ssh/authorized_keys"), input=public)


def host_key_fingerprint(node: Node) -> str:
    """What ssh-keygen -lf shows on the node's own console."""
    shown = node.run(("ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub")).stdout
    return shown.split()[1]
