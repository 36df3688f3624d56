"""Two real machines, with systemd, in namespaces on this one."""

from .errors import CommandFailedError, CommandTimedOutError, LabError
from .lab import Lab
from .layers import Layer, build_layer
from .node import Node, stop_group
from .process import Completed
from .settings import Settings
from .trees import Chroot

__all__ = [
    "Chroot",
    "CommandFailedError",
    "CommandTimedOutError",
    "Completed",
    "Lab",
    "LabError",
    "Layer",
    "Node",
    "Settings",
    "build_layer",
    "stop_group",
]
