"""Storage that both nodes see: one directory of this machine, mounted into each node."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from tests.lab import process
from tests.lab.node import Node
from tests.lab.trees import PROJECT

_OPEN_TREE, _MOVE_MOUNT = 428, 429
_CLONE, _EMPTY_PATH, _AT_FDCWD = 1, 4, -100


def mount_shared(node: Node, directory: Path, at: str) -> None:
    """Mount ``directory`` at ``at`` in the node, which is on; a reboot of the node undoes it."""
    init = node.init
    assert init is not None, f"{node.id} is off"
    node.run(("mkdir", "-p", at))
    argv = (sys.executable, str(Path(__file__)), str(init.pid), str(directory), at)
    process.run(argv, env={"PYTHONPATH": str(PROJECT), **os.environ})


def unmount_shared(node: Node, at: str) -> None:
    """As if the storage went away; what lies below the mount point is seen then."""
    node.run(("umount", "--lazy", at))


def main(pid: int, directory: str, at: str) -> int:
    """A bind mount from one mount namespace into another: it is taken here, and put down there."""
    libc = ctypes.CDLL(None, use_errno=True)
    tree = _checked(libc.syscall(_OPEN_TREE, _AT_FDCWD, os.fsencode(directory), _CLONE), "open_tree")
    root = os.open(f"/proc/{pid}/root", os.O_RDONLY | os.O_DIRECTORY)
    namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
    _checked(libc.setns(namespace, 0), "setns")
    os.fchdir(root)
    os.chroot(".")
    _checked(libc.syscall(_MOVE_MOUNT, tree, b"", _AT_FDCWD, os.fsencode(at), _EMPTY_PATH), "move_mount")
    return 0


def _checked(result: int, what: str) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
