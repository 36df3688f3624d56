"""The verbs. Each is a function of the library first; here it is parsed and rendered."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from plumbum import cli

from xcat_ha.errors import ExitCode, InterruptedOperationError, RefusedError, XcatHaError
from xcat_ha.models import CONFIG_PATH

if TYPE_CHECKING:
    from xcat_ha.cli.stopping import Stopper
    from xcat_ha.operations import Prepared
    from xcat_ha.pair import ManagedPair


def _version() -> str:
    try:
        return version("xcat-ha")
    except PackageNotFoundError:
        return "unknown"


class XcatHa(cli.Application):
    """Keeps a second xCAT management node ready, and moves the management role to it and back."""

    PROGNAME = "xcat-ha"
    VERSION = _version()

    def main(self, *arguments: str) -> int:
        """Without a verb there is nothing to do."""
        if arguments:
            print(f"xcat-ha: unknown verb {arguments[0]!r}; xcat-ha --help lists them", file=sys.stderr)  # noqa: T201
            return int(ExitCode.USAGE)
        if self.nested_command is None:
            self.help()
            return int(ExitCode.USAGE)
        return int(ExitCode.DONE)


class _Verb(cli.Application):
    """What all verbs share: where the configuration is, how to answer, how errors become messages and exit codes."""

    CALL_MAIN_IF_NESTED_COMMAND = False
    config = cli.SwitchAttr("--config", str, default=CONFIG_PATH, argname="FILE", help="the pair's configuration")
    as_json = cli.Flag("--json", help="answer as one JSON document on stdout (docs/json.rst)")

    def _answer(self, work: Callable[[], ExitCode]) -> int:
        """Run ``work``; an error becomes a message on stderr (or JSON on stdout) and its exit code."""
        try:
            return int(work())
        except XcatHaError as error:
            self._report(error)
            return int(error.exit_code)
        except KeyboardInterrupt:
            self._report(RefusedError("stopped by the keyboard", state="nothing was changed", hint="run it again"))
            return int(ExitCode.REFUSED)
        except OSError as error:
            if error.errno not in {errno.EPIPE, errno.EIO}:
                raise
            # Whoever read our output has gone, and so has the terminal; there is nobody to tell, also not at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return int(ExitCode.FAILED)

    def _report(self, error: XcatHaError) -> None:
        if self.as_json:
            from xcat_ha.cli.shape import document, error_data  # noqa: PLC0415 - see _load

            print(document(self._name(), error.exit_code, error=error_data(error)))  # noqa: T201
        print(f"xcat-ha: {error}", file=sys.stderr)  # noqa: T201

    def _name(self) -> str:
        return str(self.PROGNAME).rpartition(" ")[2]

    def _print_json(self, exit_code: ExitCode, **content: Any) -> None:
        from xcat_ha.cli.shape import data_of, document  # noqa: PLC0415 - see _load

        print(document(self._name(), exit_code, **{key: data_of(value) for key, value in content.items()}))  # noqa: T201

    def _load(self, *, stopper: Stopper | None = None, follow: bool = False, read_only: bool = False) -> ManagedPair:
        # Imported here, not above: --help and usage errors must not wait for drivers and their libraries.
        from xcat_ha.cli.follow import Follower  # noqa: PLC0415
        from xcat_ha.execution import never  # noqa: PLC0415
        from xcat_ha.pair import load  # noqa: PLC0415

        observer = Follower() if follow else None
        return load(self.config, observer=observer, stop_requested=stopper or never, read_only=read_only)


class _ChangingVerb(_Verb):
    """Verbs that change something: a summary and one question first, or --dry-run, or --yes."""

    dry_run = cli.Flag("--dry-run", help="show the exact commands per host; change nothing")
    yes = cli.Flag(["-y", "--yes"], help="do not ask")

    def _change(self, prepare: Callable[[ManagedPair], Prepared]) -> int:
        return self._answer(lambda: self._prepare_and_run(prepare))

    def _prepare_and_run(self, prepare: Callable[[ManagedPair], Prepared]) -> ExitCode:
        from xcat_ha.cli import render  # noqa: PLC0415 - see _load
        from xcat_ha.cli.stopping import Stopper  # noqa: PLC0415

        stopper = Stopper()
        with self._load(stopper=stopper, follow=not self.dry_run, read_only=self.dry_run) as pair:
            prepared = prepare(pair)
            if self.dry_run:
                if self.as_json:
                    self._print_json(ExitCode.DONE, plan=prepared.plan)
                else:
                    render.show_plan(prepared.plan)
                return ExitCode.DONE
            self._confirm(prepared.plan.summary)
            with stopper:
                result = prepared.run()
        if self.as_json:
            self._print_json(ExitCode.DONE, result=result)
        else:
            render.show_result(result)
        return ExitCode.DONE

    def _confirm(self, summary: tuple[str, ...]) -> None:
        """Show the summary and ask.

        Raises:
            RefusedError: the answer is not yes, or there is nobody to ask.
        """
        for sentence in summary:
            print(sentence, file=sys.stderr)  # noqa: T201
        if not self.yes and not ask("Go on?"):
            raise RefusedError("not confirmed", state="nothing was changed", hint="answer y, or give --yes")


def ask(question: str) -> bool:
    """A yes-or-no question on the terminal; without a terminal the answer is no."""
    if not sys.stdin.isatty():
        print(f"{question} (no terminal to ask on)", file=sys.stderr)  # noqa: T201
        return False
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


@XcatHa.subcommand("status")
class StatusVerb(_Verb):
    """Who is primary, what each node holds, what would be lost now, what is wrong. Changes nothing."""

    def main(self) -> int:
        """Exit codes: 0 healthy, 1 something is wrong, 4 something is not known."""

        def work() -> ExitCode:
            from xcat_ha.cli import render  # noqa: PLC0415 - see _load

            with self._load(read_only=True) as pair:
                status = pair.status()
            if self.as_json:
                self._print_json(status.exit_code, status=status)
            else:
                render.show_status(status)
            return status.exit_code

        return self._answer(work)


@XcatHa.subcommand("check")
class CheckVerb(_Verb):
    """Whether the two nodes fit together and are ready. Changes nothing."""

    def main(self) -> int:
        """Exit codes: 0 everything holds, 1 something fails, 4 something is not known."""

        def work() -> ExitCode:
            from xcat_ha.cli import render  # noqa: PLC0415 - see _load
            from xcat_ha.steps import Verdict  # noqa: PLC0415

            with self._load(read_only=True) as pair:
                findings = pair.check()
            verdicts = {finding.verdict for finding in findings}
            code = ExitCode.FAILED if Verdict.FAILS in verdicts else ExitCode.UNKNOWN if Verdict.UNKNOWN in verdicts else ExitCode.DONE
            if self.as_json:
                self._print_json(code, findings=findings)
            else:
                render.show_findings(findings)
            return code

        return self._answer(work)


_WAY = "First the two nodes get ssh keys of xcat-ha's own (/etc/xcat-ha/ssh), and root may log in with them both ways."


@XcatHa.subcommand("setup")
class SetupVerb(_ChangingVerb):
    """Make the two nodes a pair. Run it on the management node that serves now.

    The other node's host keys are shown and asked about (or given with --trust-host-key); root must be able to log in there once,
    by key or by a password typed to ssh.
    """

    trusted = cli.SwitchAttr(
        "--trust-host-key", str, list=True, argname="FINGERPRINT", help="SHA256:… of the other node's host key; may be given more than once"
    )

    def main(self) -> int:
        """See the class."""

        def prepare(pair: ManagedPair) -> Prepared:
            if not self.dry_run:
                self._confirm((_WAY,))
                pair.open_way(accepted=frozenset(self.trusted), ask=ask)
            return pair.prepare_setup()

        return self._change(prepare)


@XcatHa.subcommand("sync")
class SyncVerb(_ChangingVerb):
    """Copy what changed to the standby: everything, or the sets named (database, files, credentials, install, tftp, hosts, your own)."""

    scheduled = cli.Flag("--scheduled", help="started by a timer: a lock held by another operation is no failure")

    def main(self, *sets: str) -> int:
        """See the class."""
        if not self.scheduled:
            return self._change(lambda pair: pair.prepare_sync(sets))
        from xcat_ha.errors import LockedError, UnfinishedError  # noqa: PLC0415 - only here

        def work() -> ExitCode:
            try:
                return self._prepare_and_run(lambda pair: pair.prepare_sync(sets))
            except (LockedError, UnfinishedError) as error:
                self._report(error)
                return ExitCode.DONE

        return self._answer(work)


@XcatHa.subcommand("verify")
class VerifyVerb(_ChangingVerb):
    """The round trip: a test record written on the primary, seen in the standby's copy, removed again."""

    def main(self) -> int:
        """See the class."""
        return self._change(lambda pair: pair.prepare_verify())


@XcatHa.subcommand("failover")
class FailoverVerb(_ChangingVerb):
    """Hand the management role over to the standby: planned, both nodes alive, nothing lost.

    If the primary is dead: --confirm-down ID on the standby. What was not copied is then lost, and is named first.
    """

    to = cli.SwitchAttr("--to", str, argname="ID", help="the node that shall have the role (the standby by default)")
    confirm_down = cli.SwitchAttr(
        "--confirm-down", str, argname="ID", help="unplanned: you declare that this node is down; refused while anything of it answers"
    )
    fence = cli.SwitchAttr("--fence", str, argname="ID", help="unplanned: the configured fence driver makes sure that this node is down")
    allow_data_loss = cli.Flag("--allow-data-loss", help="unplanned: go on although the copy is older than max_loss_s, or of unknown age")

    def main(self) -> int:
        """See the class."""
        down = self.confirm_down or self.fence
        if not down:
            if self.allow_data_loss:
                return self._usage("--allow-data-loss goes with --confirm-down or --fence")
            return self._change(lambda pair: pair.prepare_failover(to=self.to))
        if self.to or (self.confirm_down and self.fence):
            return self._usage("give one of --to, --confirm-down and --fence")
        confirmed = bool(self.confirm_down)
        return self._change(lambda pair: pair.prepare_takeover(down=down, confirmed=confirmed, allow_data_loss=self.allow_data_loss))

    def _usage(self, text: str) -> int:
        print(f"xcat-ha: {text}; xcat-ha failover --help", file=sys.stderr)  # noqa: T201
        return int(ExitCode.USAGE)


@XcatHa.subcommand("failback")
class FailbackVerb(_ChangingVerb):
    """Hand the management role back to the preferred node."""

    def main(self) -> int:
        """See the class."""
        return self._change(lambda pair: pair.prepare_failback())


@XcatHa.subcommand("activate")
class ActivateVerb(_ChangingVerb):
    """Start the management role on this node, whose turn it is, when the guard does not: the other node stays away after an outage."""

    confirm_down = cli.SwitchAttr(
        "--confirm-down", str, argname="ID", help="you declare that the other node is down; refused while anything of it answers"
    )

    def main(self) -> int:
        """See the class."""
        return self._change(lambda pair: pair.prepare_activation(confirmed_down=self.confirm_down))


@XcatHa.subcommand("rejoin")
class RejoinVerb(_ChangingVerb):
    """Make an old primary the standby again. What only it has is counted, named and saved before it is replaced."""

    def main(self) -> int:
        """See the class."""
        return self._change(lambda pair: pair.prepare_rejoin())


@XcatHa.subcommand("step-down")
class StepDownVerb(_Verb):
    """Give the role up on this node at once, asking nobody: what the guard and fencing do."""

    yes = cli.Flag(["-y", "--yes"], help="do not ask")
    verify = cli.Flag("--verify", help="change nothing; print HOLDS if nothing of the role is here, else FAILS or UNKNOWN")

    def main(self) -> int:
        """See the class."""

        def work() -> ExitCode:
            from xcat_ha.cli import render  # noqa: PLC0415 - see _load

            with self._load(follow=not self.verify, read_only=self.verify) as pair:
                if self.verify:
                    render.say(pair.has_nothing_of_the_role())
                    return ExitCode.DONE
                if not self.yes and not ask("Stop xCAT's services here and give the service address up?"):
                    raise RefusedError("not confirmed", state="nothing was changed", hint="answer y, or give --yes")
                render.show_result(pair.step_down("ordered by xcat-ha step-down"))
            return ExitCode.DONE

        return self._answer(work)


@XcatHa.subcommand("guard")
class GuardVerb(_Verb):
    """Watch over the role on this node: started at boot by the service manager, for ever."""

    def main(self) -> int:
        """See the class."""

        def work() -> ExitCode:
            with self._load() as pair:
                pair.guard().run()
            return ExitCode.DONE

        return self._answer(work)


@XcatHa.subcommand("resume")
class ResumeVerb(_ChangingVerb):
    """Go on with the operation that stopped in the middle, from either node."""

    def main(self) -> int:
        """See the class."""
        return self._change(lambda pair: pair.prepare_resume())


@XcatHa.subcommand("abandon")
class AbandonVerb(_Verb):
    """Give up the operation that stopped in the middle: the state stays as it is (see status), and is recorded as such."""

    yes = cli.Flag(["-y", "--yes"], help="do not ask")

    def main(self) -> int:
        """See the class."""

        def work() -> ExitCode:
            from xcat_ha.cli import render  # noqa: PLC0415 - see _load
            from xcat_ha.recovery import words_of_state  # noqa: PLC0415

            with self._load() as pair:
                render.show_status(pair.status())
                if not self.yes and not ask("Leave everything as it stands and give the operation up?"):
                    raise RefusedError("not confirmed", state="nothing was changed", hint="answer y, or give --yes")
                record = pair.abandon()
                left = words_of_state(pair.observe())
            render.say(f"{record.operation} ({record.id}) is {left}")
            render.say("nothing was changed on the nodes; xcat-ha status tells what is wrong with that, and what to do")
            return ExitCode.DONE

        return self._answer(work)


@XcatHa.subcommand("history")
class HistoryVerb(_Verb):
    """The newest operations recorded on both nodes."""

    def main(self) -> int:
        """See the class."""

        def work() -> ExitCode:
            from xcat_ha.cli import render  # noqa: PLC0415 - see _load

            with self._load(read_only=True) as pair:
                found = pair.history()
            if self.as_json:
                self._print_json(ExitCode.DONE, operations=found)
            else:
                render.show_history(found)
            return ExitCode.DONE

        return self._answer(work)


@XcatHa.subcommand("drivers")
class DriversVerb(_Verb):
    """The installed drivers, from whatever package, and what is wrong with those that cannot be used."""

    def main(self) -> int:
        """Exit codes: 0 all can be used, 1 one cannot."""

        def work() -> ExitCode:
            from xcat_ha.cli import render  # noqa: PLC0415 - see _load
            from xcat_ha.registry import installed_drivers  # noqa: PLC0415

            found = installed_drivers(load=True)
            code = ExitCode.FAILED if any(info.problem for info in found) else ExitCode.DONE
            if self.as_json:
                self._print_json(code, drivers=found)
            else:
                render.show_drivers(found)
            return code

        return self._answer(work)


def main() -> None:
    """Entry point of ``xcat-ha``."""
    try:
        XcatHa.run()
    except InterruptedOperationError as error:
        print(f"xcat-ha: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(int(error.exit_code))
