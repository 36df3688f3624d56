"""What all drivers have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Generic, TypeVar

from xcat_ha.errors import ConfigError
from xcat_ha.interfaces.runner import Runner
from xcat_ha.models import Node, Pair
from xcat_ha.steps import Command, Completed

State = TypeVar("State")


class Driver(ABC, Generic[State]):
    """Base of every driver interface.

    A driver is built once per pair from the configuration and holds no connection and no observed state: everything it knows
    about the world comes in as arguments. It never runs a command itself except through ``observe``; it returns steps.

    The contract of all ``steps_to_*`` methods:

    * the result is plain data, computed without I/O;
    * each step's ``done_when`` reads the *effect* (not an exit status of the command that caused it), and HOLDS after the step;
    * running the steps again when they are done issues no CHANGES command;
    * a run killed after any command, started again, ends in the same state;
    * nothing good is destroyed before its replacement is proven;
    * programs of the driver that must run on a node are called as ``(node.python, "-m", "package.module", …)``.
    """

    option_names: ClassVar[frozenset[str]] = frozenset()
    """Options this driver accepts in its section of the configuration."""

    def __init__(self, pair: Pair, options: Mapping[str, object]) -> None:
        """Check ``options``.

        Raises:
            ConfigError: an option is unknown, or has a value this driver cannot use.
        """
        for name in options:
            if name not in self.option_names:
                known = ", ".join(sorted(self.option_names)) or "none"
                raise ConfigError(
                    f"option {name!r} is not known to driver {type(self).__name__}",
                    where=pair.source,
                    hint=f"its options are: {known}",
                )
        self.pair = pair
        self.options = options
        self.effective_options: dict[str, object] = dict(options)
        """What holds: the options given, and the defaults of those that were read with :meth:`option`. For ``config show``."""

    def option(self, name: str, default: int) -> int:
        """An integer option above zero.

        Raises:
            ConfigError: it is not an integer, or not above zero.
        """
        value = self.options.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigError(
                f"option {name!r} must be a whole number above zero, not {value!r}",
                where=self.pair.source,
                hint=f"for example {name} = {default}",
            )
        self.effective_options[name] = value
        return value

    @abstractmethod
    def questions(self, node: Node) -> tuple[Command, ...]:
        """READS commands to run on ``node`` for an observation. They change nothing and need no xcat-ha on the node if avoidable.

        They are sent in one exchange together with those of the other drivers and run side by side.
        """

    @abstractmethod
    def interpret(self, node: Node, answers: Sequence[Completed]) -> State:
        """The observation made of the answers, one per question in order. Pure.

        An answer without exit status, or one that cannot be parsed, yields unknown fields (None), never a guess and never an error.
        """

    def observe(self, node: Node, runner: Runner) -> State:
        """Ask ``node`` this driver's questions and interpret the answers."""
        return self.interpret(node, runner.read_many(node.id, self.questions(node)))
