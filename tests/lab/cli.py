"""The lab from a shell.

Exit status: 0 done, 1 it failed, 2 it was asked wrongly, 130 Ctrl-C; of ``exec``: that of the command.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final

from .base import base_tree
from .errors import LabError
from .lab import Lab, down
from .settings import Settings
from .shapes import SHAPES

_INTERRUPTED: Final = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit status."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="lab: %(message)s")
    action: Callable[[argparse.Namespace], int] = arguments.action
    try:
        return action(arguments)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tests.lab", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, action: Callable[[argparse.Namespace], int], about: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=about)
        command.set_defaults(action=action)
        return command

    add("build", _build, "build the base tree, unless it is in the cache")
    up = add("up", _up, "make a fresh lab and boot it")
    up.add_argument("--shape", choices=sorted(SHAPES), default="pair")
    execute = add("exec", _exec, "run a command in a node, or on the segment (observer)")
    execute.add_argument("node")
    execute.add_argument("command", nargs=argparse.REMAINDER)
    for name, action, about in (
        ("cut", _cut, "unplug a node's network cable"),
        ("heal", _heal, "plug it in again"),
        ("kill", _kill, "power loss"),
        ("boot", _boot, "switch a node on"),
        ("poweroff", _poweroff, "orderly shutdown"),
        ("reboot", _reboot, "orderly reboot"),
    ):
        add(name, action, about).add_argument("node")
    add("reset", _reset, "fresh disks for all nodes, then boot")
    add("status", _status, "what is on; exit status 1 if the lab is not up")
    add("down", _down, "remove the lab, whatever state it is in")
    return parser


def _build(_: argparse.Namespace) -> int:
    print(base_tree(Settings.from_environment()))
    return 0


def _up(arguments: argparse.Namespace) -> int:
    lab = Lab.up(arguments.shape)
    print(f"lab {lab.settings.name}: {', '.join(lab.nodes)} are up")
    return 0


def _exec(arguments: argparse.Namespace) -> int:
    lab = Lab.attach()
    command = arguments.command[arguments.command[:1] == ["--"] :] or ["bash", "-l"]
    if arguments.node == "observer":
        argv = lab.network.observer_argv(command)
    else:
        terminal = {"TERM": os.environ["TERM"]} if "TERM" in os.environ else {}
        argv = lab.node(arguments.node).argv(command, terminal)
    # Become the command: terminal, signals and exit status are its own then.
    sys.stdout.flush()
    os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted


def _cut(arguments: argparse.Namespace) -> int:
    Lab.attach().cut(arguments.node)
    return 0


def _heal(arguments: argparse.Namespace) -> int:
    Lab.attach().heal(arguments.node)
    return 0


def _kill(arguments: argparse.Namespace) -> int:
    Lab.attach().node(arguments.node).kill()
    return 0


def _boot(arguments: argparse.Namespace) -> int:
    Lab.attach().node(arguments.node).boot()
    return 0


def _poweroff(arguments: argparse.Namespace) -> int:
    Lab.attach().node(arguments.node).poweroff()
    return 0


def _reboot(arguments: argparse.Namespace) -> int:
    Lab.attach().node(arguments.node).reboot()
    return 0


def _reset(_: argparse.Namespace) -> int:
    Lab.attach().reset()
    return 0


def _status(_: argparse.Namespace) -> int:
    lab = Lab.attach()
    print(f"lab {lab.settings.name}, shape {lab.state.shape}")
    for node in lab.nodes.values():
        init = node.init
        power = f"on, process 1 is {init.pid}" if init else "off"
        cable = "unplugged" if node.files.cut.exists() else "plugged in"
        print(f"  {node.id} ({node.spec.hostname}, {node.spec.ipv4}): {power}; cable {cable}")
    return 0


def _down(_: argparse.Namespace) -> int:
    down()
    return 0
