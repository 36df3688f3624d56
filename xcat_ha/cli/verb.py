"""What all verbs of the command line share."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plumbum import cli

from xcat_ha._version import own_version
from xcat_ha.errors import ExitCode, RefusedError, XcatHaError
from xcat_ha.models import CONFIG_PATH

if TYPE_CHECKING:
    from xcat_ha.cli.stopping import Stopper
    from xcat_ha.operations import Prepared
    from xcat_ha.pair import ManagedPair


class XcatHa(cli.Application):
    """Keeps a second xCAT management node ready, and moves the management role to it and back."""

    PROGNAME = "xcat-ha"
    VERSION = own_version()

    def main(self, *arguments: str) -> int:
        """Without a verb there is nothing to do."""
        if arguments:
            print(f"xcat-ha: unknown verb {arguments[0]!r}; xcat-ha --help lists them", file=sys.stderr)  # noqa: T201
            return int(ExitCode.USAGE)
        if self.nested_command is None:
            self.help()
            return int(ExitCode.USAGE)
        return int(ExitCode.DONE)


class Verb(cli.Application):
    """What all verbs share: where the configuration is, how to answer, how errors become messages and exit codes."""

    CALL_MAIN_IF_NESTED_COMMAND = False
    config = cli.SwitchAttr("--config", str, default=CONFIG_PATH, argname="FILE", help="the pair's configuration")
    as_json = cli.Flag("--json", help="answer as one JSON document on stdout (docs/json.rst)")

    def answer(self, work: Callable[[], ExitCode]) -> int:
        """Run ``work``; an error becomes a message on stderr (or JSON on stdout) and its exit code."""
        try:
            return int(work())
        except XcatHaError as error:
            self.report(error)
            return int(error.exit_code)
        except KeyboardInterrupt:
            self.report(RefusedError("stopped by the keyboard", state="nothing was changed", hint="run it again"))
            return int(ExitCode.REFUSED)
        except OSError as error:
            if error.errno not in {errno.EPIPE, errno.EIO}:
                raise
            # Whoever read our output has gone, and so has the terminal; there is nobody to tell, also not at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return int(ExitCode.FAILED)

    def report(self, error: XcatHaError) -> None:
        """Show an error, on stderr and, if asked for, as JSON on stdout."""
        if self.as_json:
            from xcat_ha.cli.shape import document, error_data  # noqa: PLC0415 - see load

            print(document(self._name(), error.exit_code, error=error_data(error)))  # noqa: T201
        print(f"xcat-ha: {error}", file=sys.stderr)  # noqa: T201

    def usage(self, text: str) -> int:
        """Say what is wrong with the command line; the exit code for it."""
        print(f"xcat-ha: {text}; xcat-ha {self._name()} --help", file=sys.stderr)  # noqa: T201
        return int(ExitCode.USAGE)

    def _name(self) -> str:
        return str(self.PROGNAME).rpartition(" ")[2]

    def print_json(self, exit_code: ExitCode, **content: Any) -> None:
        """Print the verb's one JSON document; ``content``: models, or what they are made of."""
        from xcat_ha.cli.shape import data_of, document  # noqa: PLC0415 - see load

        print(document(self._name(), exit_code, **{key: data_of(value) for key, value in content.items()}))  # noqa: T201

    def load(self, *, stopper: Stopper | None = None, follow: bool = False, read_only: bool = False) -> ManagedPair:
        """The configured pair.

        Args:
            stopper: stops between commands when asked to.
            follow: show progress.
            read_only: refuse every command that changes something.

        Raises:
            XcatHaError: see :func:`xcat_ha.pair.load`.
        """
        # Imported here, not above: --help and usage errors must not wait for drivers and their libraries.
        from xcat_ha.cli.follow import Follower  # noqa: PLC0415
        from xcat_ha.execution import never  # noqa: PLC0415
        from xcat_ha.pair import load  # noqa: PLC0415

        observer = Follower() if follow else None
        return load(self.config, observer=observer, stop_requested=stopper or never, read_only=read_only)


class AskingVerb(Verb):
    """Verbs that ask once before they change something."""

    yes = cli.Flag(["-y", "--yes"], help="do not ask")

    def require_yes(self, question: str) -> None:
        """Go on only if that is wanted.

        Raises:
            RefusedError: the answer is not yes, or there is nobody to ask.
        """
        if not self.yes and not ask(question):
            raise RefusedError("not confirmed", state="nothing was changed", hint="answer y, or give --yes")


class ChangingVerb(AskingVerb):
    """Verbs that change something: a summary and one question first, or --dry-run, or --yes."""

    dry_run = cli.Flag("--dry-run", help="show the exact commands per host; change nothing")

    def change(self, prepare: Callable[[ManagedPair], Prepared]) -> int:
        """The whole verb: prepare, show, ask, run, show; returns the exit code."""
        return self.answer(lambda: self.prepare_and_run(prepare))

    def prepare_and_run(self, prepare: Callable[[ManagedPair], Prepared]) -> ExitCode:
        """As :meth:`change`, but an error is raised."""
        from xcat_ha.cli import render  # noqa: PLC0415 - see load
        from xcat_ha.cli.stopping import Stopper  # noqa: PLC0415

        stopper = Stopper()
        with self.load(stopper=stopper, follow=not self.dry_run, read_only=self.dry_run) as pair:
            prepared = prepare(pair)
            if self.dry_run:
                self.show_plan(pair, prepared)
                return ExitCode.DONE
            self.confirm(prepared.plan.summary)
            with stopper:
                result = prepared.run()
        if self.as_json:
            self.print_json(ExitCode.DONE, result=result)
        else:
            render.show_result(result)
        return ExitCode.DONE

    def show_plan(self, pair: ManagedPair, prepared: Prepared) -> None:
        """Answer a dry run."""
        from xcat_ha.cli import render  # noqa: PLC0415 - see load

        del pair
        if self.as_json:
            self.print_json(ExitCode.DONE, plan=prepared.plan)
        else:
            render.show_plan(prepared.plan)

    def confirm(self, summary: tuple[str, ...]) -> None:
        """Show the summary and ask.

        Raises:
            RefusedError: see :meth:`require_yes`.
        """
        for sentence in summary:
            print(sentence, file=sys.stderr)  # noqa: T201
        self.require_yes("Go on?")


class ExportingVerb(ChangingVerb):
    """Verbs whose plan can be written as a runbook."""

    export = cli.SwitchAttr("--export", str, argname="FILE", help="with --dry-run: write the plan as a shell script that needs no xcat-ha")

    def change(self, prepare: Callable[[ManagedPair], Prepared]) -> int:
        """As :meth:`ChangingVerb.change`."""
        if self.export and not self.dry_run:
            return self.usage("--export goes with --dry-run")
        return super().change(prepare)

    def show_plan(self, pair: ManagedPair, prepared: Prepared) -> None:
        """Answer a dry run, and write the runbook."""
        if self.export:
            pair.write_runbook(prepared, Path(self.export))
        super().show_plan(pair, prepared)
        if self.export:
            print(f"xcat-ha: the runbook is {self.export}; run it with: sh {self.export}", file=sys.stderr)  # noqa: T201


def ask(question: str) -> bool:
    """A yes-or-no question on the terminal; without a terminal the answer is no."""
    if not sys.stdin.isatty():
        print(f"{question} (no terminal to ask on)", file=sys.stderr)  # noqa: T201
        return False
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
