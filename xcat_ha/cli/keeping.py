"""The verbs that make a pair and keep its copies fresh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plumbum import cli

from xcat_ha.cli.verb import ChangingVerb, XcatHa, ask
from xcat_ha.errors import ExitCode

if TYPE_CHECKING:
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

    def main(self) -> int:
        """See the class."""

        def prepare(pair: ManagedPair) -> Prepared:
            if not self.dry_run:
                witness = pair.pair.witness
                ways = (_WAY, _WITNESS_WAY.format(user=witness.user, host=witness.host)) if witness.host else (_WAY,)
                self.confirm(ways)
                pair.open_way(accepted=frozenset(self.trusted), ask=ask)
            return pair.prepare_setup()

        return self.change(prepare)


@XcatHa.subcommand("sync")
class SyncVerb(ChangingVerb):
    """Copy what changed to the standby: everything, or the sets named (database, files, credentials, install, tftp, hosts, your own)."""

    scheduled = cli.Flag("--scheduled", help="started by a timer: a lock held by another operation is no failure")

    def main(self, *sets: str) -> int:
        """See the class."""
        if not self.scheduled:
            return self.change(lambda pair: pair.prepare_sync(sets))
        from xcat_ha.errors import LockedError, UnfinishedError  # noqa: PLC0415 - only here

        def work() -> ExitCode:
            try:
                return self.prepare_and_run(lambda pair: pair.prepare_sync(sets))
            except (LockedError, UnfinishedError) as error:
                self.report(error)
                return ExitCode.DONE

        return self.answer(work)


@XcatHa.subcommand("verify")
class VerifyVerb(ChangingVerb):
    """The round trip: a test record written on the primary, seen in the standby's copy, removed again."""

    def main(self) -> int:
        """See the class."""
        return self.change(lambda pair: pair.prepare_verify())
