"""The power supply of one node: starts it, and starts it again if it reboots itself.

One process runs supply() for each node that is on.  A node has power as long as the file ``on``
exists.
"""

from __future__ import annotations

import json
import signal
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Final

from .cgroups import CgroupTree
from .disks import Disk
from .network import Network
from .process import in_cgroup
from .shapes import NodeSpec
from .state import NodeFiles
from .trees import HERE

# reboot(2) in a PID namespace ends process 1 by one of two signals: SIGHUP says "restart".
_REBOOT: Final = -signal.SIGHUP


def description(spec: NodeSpec, network: Network, disk: Disk, cgroups: CgroupTree) -> str:
    """Everything supply() has to know, as one argument."""
    return json.dumps(
        {
            "spec": asdict(spec),
            "lab": network.lab,
            "run_dir": str(network.run_dir),
            "disk": str(disk.directory),
            "trees": [str(tree) for tree in disk.trees],
            "cgroups": str(cgroups.top),
        }
    )


def supply(text: str) -> int:
    """Run the node of this description until it is off; 0, or the node's exit status."""
    data = json.loads(text)
    spec = NodeSpec(**data["spec"])
    network = Network(data["lab"], Path(data["run_dir"]))
    disk = Disk(Path(data["disk"]), tuple(Path(tree) for tree in data["trees"]))
    cgroups = CgroupTree(Path(data["cgroups"]))
    files = NodeFiles(network.run_dir / network.lab / spec.id)
    status = _REBOOT
    # A reboot is a fresh start for everything but the disk: addresses added by hand are gone.
    while status == _REBOOT and files.on.exists():
        network.attach(spec, cut=files.cut.exists(), apart=files.apart.exists())
        argv = _node_argv(spec, network, disk, cgroups, files)
        status = subprocess.run(argv, check=False).returncode
        network.detach(spec.id)
    cgroups.kill(spec.id)
    cgroups.remove(spec.id)
    return max(status, 0)


def _node_argv(spec: NodeSpec, network: Network, disk: Disk, cgroups: CgroupTree, files: NodeFiles) -> list[str]:
    enter_network = ["ip", "netns", "exec", network.node_ns(spec.id)]
    namespaces = ["--mount", "--uts", "--ipc", "--pid", "--cgroup", "--fork"]
    init = [str(HERE / "node_init.sh"), str(files.init), disk.options, str(disk.mount_point)]
    argv = [*enter_network, "unshare", *namespaces, "sh", *init]
    return in_cgroup(cgroups.directory(spec.id), argv)
