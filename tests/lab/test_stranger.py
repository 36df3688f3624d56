"""A stranger's driver in use: installed with pip on both nodes and chosen in the configuration, it fences a primary that hangs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from tests.lab import Lab, Node
from tests.lab.losses import DONE, REFUSED, await_guard, await_healthy, holds_address
from tests.lab.observers import ServiceWatcher
from tests.lab.product import CONFIG, REPOSITORY, xcat_ha

pytestmark = pytest.mark.lab

STRANGER = REPOSITORY / "tests/thirdparty/fence_libvirt"
FENCING = '\n[fencing]\ndriver = "libvirt"\nuri = "qemu+ssh://hv1/system"\n'
# What the hypervisor would do is done by the power supply of the lab: see Hypervisor.
VIRSH = """\
#!/bin/sh
hypervisor=/var/lib/hypervisor
case "$*" in
  "-q -c qemu+ssh://hv1/system domstate -- mna") cat "$hypervisor/state" ;;
  "-q -c qemu+ssh://hv1/system destroy -- mna") touch "$hypervisor/destroy" ;;
  *) echo "error: unknown: $*" >&2; exit 1 ;;
esac
"""


class Hypervisor:
    """Takes mna's power away when virsh on mnb orders it."""

    def __init__(self, mna: Node, mnb: Node) -> None:
        self._mna = mna
        self._place = mnb.root / "var/lib/hypervisor"
        self._place.mkdir()
        self.say("running")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def say(self, state: str) -> None:
        """What domstate answers."""
        (self._place / "state").write_text(f"{state}\n", encoding="ascii")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _serve(self) -> None:
        while not self._stop.wait(0.1):
            if (self._place / "destroy").exists():
                (self._place / "destroy").unlink()
                self._mna.kill()
                self.say("shut off")


@pytest.fixture(scope="module")
def stranger(site: Lab) -> None:
    """On both nodes: the stranger's wheel in xcat-ha's environment, and a configuration that chooses it."""
    with tempfile.TemporaryDirectory() as made:
        source = Path(made) / "source"
        shutil.copytree(STRANGER, source, ignore=shutil.ignore_patterns("__pycache__"))
        pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", made)
        subprocess.run((*pip, str(source)), check=True, timeout=300)
        (wheel,) = Path(made).glob("*.whl")
        for node in site.nodes.values():
            shutil.copy(wheel, node.root / "var/tmp")
            node.run(("/opt/xcat-ha/bin/pip", "install", "--quiet", "--no-index", "--no-deps", f"/var/tmp/{wheel.name}"), timeout_s=300)
            with (node.root / CONFIG.lstrip("/")).open("a", encoding="utf-8") as file:
                file.write(FENCING)
    virsh = site.node("mnb").root / "usr/local/bin/virsh"
    virsh.write_text(VIRSH, encoding="ascii")
    virsh.chmod(0o755)


@pytest.mark.usefixtures("stranger")
def test_it_fences_a_primary_that_hangs(site: Lab, mna: Node, mnb: Node) -> None:
    shown = json.loads(xcat_ha(mnb, "drivers", "--json").stdout)["drivers"]
    (info,) = [info for info in shown if info["name"] == "libvirt"]
    assert info["distribution"] == "xcat-ha-fence-libvirt 0.3"
    assert info["target"] == "xcat_ha_fence_libvirt:FenceLibvirt"
    assert not info["problem"]
    await_healthy(mnb)
    # The hypervisor does not answer as expected: nothing is taken for fenced, and nothing of the role moves.
    hypervisor = Hypervisor(mna, mnb)
    hypervisor.say("paused, perhaps")
    done = xcat_ha(mnb, "failover", "--fence", "mna", "--yes", check=False)
    assert done.returncode not in {DONE, REFUSED}, done.stdout
    assert holds_address(mna)
    assert not holds_address(mnb)
    assert xcat_ha(mnb, "abandon", "--yes", check=False).returncode == DONE
    hypervisor.say("running")
    (mnb.root / "var/lib/hypervisor/destroy").unlink()
    site.cut("mna")  # it hangs: whoever asks it gets no answer, and it has the role still
    with hypervisor, ServiceWatcher(site, holds_address, interval_s=0.02) as address:
        began = time.monotonic()
        done = xcat_ha(mnb, "failover", "--fence", "mna", "--yes", check=False)
        assert done.returncode == DONE, done.stderr
        print(f"fenced and taken over in {time.monotonic() - began:.1f} s")
        assert mna.init is None, "it was fenced in truth"
        assert holds_address(mnb)
    assert address.overlaps() == []
    assert "fenced by libvirt" in xcat_ha(mnb, "history").stdout
    site.heal("mna")
    mna.boot()
    hypervisor.say("running")
    await_guard(mna, "passive", "above ours")
    assert xcat_ha(mnb, "rejoin", "--yes", check=False).returncode == DONE
    assert xcat_ha(mnb, "failback", "--yes", check=False).returncode == DONE
    await_healthy(mna)
