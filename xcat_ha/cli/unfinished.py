"""The verbs for an operation that stopped in the middle."""

from __future__ import annotations

from xcat_ha.cli.verb import AskingVerb, ChangingVerb, XcatHa
from xcat_ha.errors import ExitCode


@XcatHa.subcommand("resume")
class ResumeVerb(ChangingVerb):
    """Go on with the operation that stopped in the middle, from either node."""

    def main(self) -> int:
        """See the class."""
        return self.change(lambda pair: pair.prepare_resume())


@XcatHa.subcommand("abandon")
class AbandonVerb(AskingVerb):
    """Give up the operation that stopped in the middle: the state stays as it is (see status), and is recorded as such."""

    def main(self) -> int:
        """See the class."""

        def work() -> ExitCode:
            from xcat_ha.cli import render  # noqa: PLC0415 - see Verb.load
            from xcat_ha.cli.stopping import Stopper  # noqa: PLC0415
            from xcat_ha.verbs.resume import words_of_state  # noqa: PLC0415

            with self.load() as pair:
                render.show_status(pair.status())
                self.require_yes("Leave everything as it stands and give the operation up?")
                with Stopper():
                    record = pair.abandon()
                left = words_of_state(pair.observe())
            render.say(f"{record.operation} ({record.id}) is {left}")
            render.say("nothing was changed on the nodes; xcat-ha status tells what is wrong with that, and what to do")
            return ExitCode.DONE

        return self.answer(work)
