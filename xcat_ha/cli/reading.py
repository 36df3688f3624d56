"""The verbs that change nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from xcat_ha.cli.verb import Verb, XcatHa
from xcat_ha.errors import ExitCode

if TYPE_CHECKING:
    from xcat_ha.steps import Verdict


def _code_of(verdicts: Iterable[Verdict]) -> ExitCode:
    """The worst of them; nothing asked is nothing wrong."""
    from xcat_ha.steps import Verdict  # noqa: PLC0415 - see Verb.load

    found = set(verdicts)
    return ExitCode.FAILED if Verdict.FAILS in found else ExitCode.UNKNOWN if Verdict.UNKNOWN in found else ExitCode.DONE


@XcatHa.subcommand("status")
class StatusVerb(Verb):
    """Who is primary, what each node holds, what would be lost now, what is wrong. Changes nothing."""

    def main(self) -> int:
        """Exit codes: 0 healthy, 1 something is wrong, 4 something is not known."""

        def work() -> ExitCode:
            from xcat_ha.cli import render  # noqa: PLC0415 - see Verb.load

            with self.load(read_only=True) as pair:
                status = pair.status()
            if self.as_json:
                self.print_json(status.exit_code, status=status)
            else:
                render.show_status(status)
            return status.exit_code

        return self.answer(work)


@XcatHa.subcommand("check")
class CheckVerb(Verb):
    """Whether the two nodes fit together and are ready. Changes nothing."""

    def main(self) -> int:
        """Exit codes: 0 everything holds, 1 something fails, 4 something is not known."""

        def work() -> ExitCode:
            from xcat_ha.cli import render  # noqa: PLC0415 - see Verb.load

            with self.load(read_only=True) as pair:
                findings = pair.check()
            code = _code_of(finding.verdict for finding in findings)
            if self.as_json:
                self.print_json(code, findings=findings)
            else:
                render.show_findings(findings)
            return code

        return self.answer(work)


@XcatHa.subcommand("images")
class ImagesVerb(Verb):
    """What each operating system image lacks on the standby now, against the primary. Changes nothing."""

    def main(self) -> int:
        """Exit codes: 0 all are complete, 1 one lacks something, 4 something is not known."""

        def work() -> ExitCode:
            from xcat_ha.cli import render  # noqa: PLC0415 - see Verb.load

            with self.load(read_only=True) as pair:
                found = pair.images()
            code = _code_of(report.verdict for report in found)
            if self.as_json:
                self.print_json(code, nodes=found)
            else:
                render.show_images(found)
            return code

        return self.answer(work)


@XcatHa.subcommand("history")
class HistoryVerb(Verb):
    """The newest operations recorded on both nodes."""

    def main(self) -> int:
        """See the class."""

        def work() -> ExitCode:
            from xcat_ha.cli import render  # noqa: PLC0415 - see Verb.load

            with self.load(read_only=True) as pair:
                found = pair.history()
            if self.as_json:
                self.print_json(ExitCode.DONE, operations=found)
            else:
                render.show_history(found)
            return ExitCode.DONE

        return self.answer(work)


@XcatHa.subcommand("drivers")
class DriversVerb(Verb):
    """The installed drivers, from whatever package, and what is wrong with those that cannot be used."""

    def main(self) -> int:
        """Exit codes: 0 all can be used, 1 one cannot."""

        def work() -> ExitCode:
            from xcat_ha.cli import render  # noqa: PLC0415 - see Verb.load
            from xcat_ha.registry import installed_drivers  # noqa: PLC0415

            found = installed_drivers(load=True)
            code = ExitCode.FAILED if any(info.problem for info in found) else ExitCode.DONE
            if self.as_json:
                self.print_json(code, drivers=found)
            else:
                render.show_drivers(found)
            return code

        return self.answer(work)
