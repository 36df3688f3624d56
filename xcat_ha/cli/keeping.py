"""The verbs that make a pair and keep its copies fresh."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from plumbum import cli

from xcat_ha.cli.verb import ChangingVerb, XcatHa, ask
from xcat_ha.errors import ExitCode, InterruptedOperationError

if TYPE_CHECKING:
    from xcat_ha.interfaces import StalePointer
    from xcat_ha.operations import Prepared
    from xcat_ha.pair import ManagedPair


_WAY = "First the two nodes get ssh keys of xcat-ha's own (/etc/xcat-ha/ssh), and root may log in with them both ways."
_WITNESS_WAY = "Both keys may also log in at the witness ({user}@{host})."


@XcatHa.subcommand("setup")
class SetupVerb(ChangingVerb):
    """Make the two nodes a pair. Run it on the management node that serves now.

    The other node's host keys, and those of a witness host, are shown and asked about (or given with --trust-host-key); root must be able
    to log in there once, by key or by a password typed to ssh.
    """

    trusted = cli.SwitchAttr(
        "--trust-host-key",
        str,
        list=True,
        argname="FINGERPRINT",
        help="SHA256:… of a host key of the other node (or the witness); may be given more than once",
    )

    mend = cli.Flag("--mend-stale", help="put right what names one node where the service identity should stand; do not ask")
    keep = cli.Flag("--no-mend-stale", excludes=["--mend-stale"], help="leave it as it is; do not ask")

    def main(self) -> int:
        """See the class."""

        def prepare(pair: ManagedPair) -> Prepared:
            if not self.dry_run:
                witness = pair.pair.witness
                ways = (_WAY, _WITNESS_WAY.format(user=witness.user, host=witness.host)) if witness.host else (_WAY,)
                self.confirm(ways)
                self._open_way(pair)
            return pair.prepare_setup(mend=self._mend)

        return self.change(prepare)

    def _open_way(self, pair: ManagedPair) -> None:
        """Ctrl-C is not caught here: it has to reach ssh, which may be asking for a password."""
        try:
            pair.open_way(accepted=frozenset(self.trusted), ask=ask)
        except KeyboardInterrupt as error:
            raise InterruptedOperationError(
                "stopped by the keyboard",
                state="keys of xcat-ha's may have been made, and let in; nothing else was changed",
                hint="xcat-ha setup again goes on",
            ) from error

    def _mend(self, pointers: Sequence[StalePointer]) -> bool:
        from xcat_ha.planning.stale import sentences  # noqa: PLC0415 - see Verb.load

        if self.keep:
            return False
        print("These name one node where the service identity should stand:", file=sys.stderr)  # noqa: T201
        for sentence in sentences(pointers):
            print(f"  {sentence}", file=sys.stderr)  # noqa: T201
        if self.mend:
            return True
        if self.yes or self.dry_run:
            print("They are left as they are; --mend-stale mends them.", file=sys.stderr)  # noqa: T201
            return False
        return ask("Mend those that can be mended?")


@XcatHa.subcommand("sync")
class SyncVerb(ChangingVerb):
    """Copy what changed to the standby: everything, or the sets named (database, files, credentials, install, tftp, hosts, your own)."""

    scheduled = cli.Flag("--scheduled", help="started by a timer: another operation in its way, or maintenance, is no failure")

    def main(self, *sets: str) -> int:
        """See the class."""
        if not self.scheduled:
            return self.change(lambda pair: pair.prepare_sync(sets))
        from xcat_ha.errors import LockedError, PausedError, UnfinishedError  # noqa: PLC0415 - only here

        def work() -> ExitCode:
            try:
                return self.prepare_and_run(lambda pair: pair.prepare_sync(sets, scheduled=True))
            except (LockedError, PausedError, UnfinishedError) as error:
                self.report(error)
                return ExitCode.DONE

        return self.answer(work)


@XcatHa.subcommand("verify")
class VerifyVerb(ChangingVerb):
    """The round trip: a test record written on the primary, seen in the standby's copy, removed again."""

    def main(self) -> int:
        """See the class."""
        return self.change(lambda pair: pair.prepare_verify())


@XcatHa.subcommand("maintenance")
class MaintenanceVerb(ChangingVerb):
    """Say on both nodes that you work on the pair (on), or have ended (off).

    Meanwhile scheduled syncs pause, and status and failover say so.
    """

    reason = cli.SwitchAttr("--reason", str, argname="TEXT", help="with on: why, for those who find it")
    until = cli.SwitchAttr("--until", str, argname="WHEN", help="with on: when it ends: '2026-11-24 18:00', 18:00, +90min, +2h, +1d")

    def main(self, state: cli.Set("on", "off")) -> int:  # type: ignore[valid-type]  # plumbum reads the annotation
        """See the class."""
        from xcat_ha.maintenance import parse_until, printable  # noqa: PLC0415 - only here

        if state == "off":
            if self.reason or self.until:
                return self.usage("--reason and --until go with maintenance on")
            return self.change(lambda pair: pair.prepare_maintenance())
        reason = printable(self.reason or "")
        if not reason or not self.until:
            return self.usage("maintenance on needs --reason TEXT and --until WHEN")
        try:
            until = parse_until(self.until, time.time())
        except ValueError as error:
            return self.usage(f"--until {self.until!r}: {error}; write '2026-11-24 18:00', 18:00, +90min, +2h or +1d")
        return self.change(lambda pair: pair.prepare_maintenance(reason=reason, until=until))
