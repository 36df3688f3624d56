"""The verbs that move the role, and take it up or down."""

from __future__ import annotations

from plumbum import cli

from xcat_ha.cli.verb import AskingVerb, ChangingVerb, ExportingVerb, Verb, XcatHa
from xcat_ha.errors import ExitCode


@XcatHa.subcommand("failover")
class FailoverVerb(ExportingVerb):
    """Hand the management role over to the standby: planned, both nodes alive, nothing lost.

    If the primary is dead: --confirm-down ID on the standby. What was not copied is then lost, and is named first.
    """

    to = cli.SwitchAttr("--to", str, argname="ID", help="the node that shall have the role (the standby by default)")
    confirm_down = cli.SwitchAttr(
        "--confirm-down", str, argname="ID", help="unplanned: you declare that this node is down; refused while anything of it answers"
    )
    fence = cli.SwitchAttr("--fence", str, argname="ID", help="unplanned: the configured fence driver makes sure that this node is down")
    allow_data_loss = cli.Flag(
        "--allow-data-loss", help="unplanned: go on although the copy is older than max_loss_s, of unknown age, or not known to be good"
    )

    def main(self) -> int:
        """See the class."""
        down = self.confirm_down or self.fence
        if not down:
            if self.allow_data_loss:
                return self.usage("--allow-data-loss goes with --confirm-down or --fence")
            return self.change(lambda pair: pair.prepare_failover(to=self.to))
        if self.to or (self.confirm_down and self.fence):
            return self.usage("give one of --to, --confirm-down and --fence")
        confirmed = bool(self.confirm_down)
        return self.change(
            lambda pair: pair.prepare_takeover(
                down=down, confirmed=confirmed, allow_data_loss=self.allow_data_loss, for_later=bool(self.export)
            )
        )


@XcatHa.subcommand("failback")
class FailbackVerb(ExportingVerb):
    """Hand the management role back to the preferred node."""

    def main(self) -> int:
        """See the class."""
        return self.change(lambda pair: pair.prepare_failback())


@XcatHa.subcommand("activate")
class ActivateVerb(ChangingVerb):
    """Start the management role on this node, whose turn it is, when the guard does not: the other node stays away after an outage."""

    confirm_down = cli.SwitchAttr(
        "--confirm-down", str, argname="ID", help="you declare that the other node is down; refused while anything of it answers"
    )

    def main(self) -> int:
        """See the class."""
        return self.change(lambda pair: pair.prepare_activation(confirmed_down=self.confirm_down))


@XcatHa.subcommand("rejoin")
class RejoinVerb(ExportingVerb):
    """Make an old primary the standby again. What only it has is counted, named and saved before it is replaced."""

    def main(self) -> int:
        """See the class."""
        return self.change(lambda pair: pair.prepare_rejoin())


@XcatHa.subcommand("step-down")
class StepDownVerb(AskingVerb):
    """Give the role up on this node at once, asking nobody: what the guard and fencing do."""

    verify = cli.Flag("--verify", help="change nothing; print HOLDS if nothing of the role is here, else FAILS or UNKNOWN")

    def main(self) -> int:
        """See the class."""

        def work() -> ExitCode:
            from xcat_ha.cli import render  # noqa: PLC0415 - see Verb.load
            from xcat_ha.cli.stopping import Stopper  # noqa: PLC0415

            stopper = Stopper()
            with self.load(stopper=stopper, follow=not self.verify, read_only=self.verify) as pair:
                if self.verify:
                    render.say(pair.has_nothing_of_the_role())
                    return ExitCode.DONE
                self.require_yes("Stop xCAT's services here and give the service address up?")
                with stopper:
                    result = pair.step_down("ordered by xcat-ha step-down")
            render.show_result(result)
            return ExitCode.DONE

        return self.answer(work)


@XcatHa.subcommand("guard")
class GuardVerb(Verb):
    """Watch over the role on this node: started at boot by the service manager, for ever."""

    def main(self) -> int:
        """See the class."""

        def work() -> ExitCode:
            with self.load() as pair:
                pair.guard().run()
            return ExitCode.DONE

        return self.answer(work)
