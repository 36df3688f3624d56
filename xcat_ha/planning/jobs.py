"""The scheduled syncs of a primary."""

from __future__ import annotations

from xcat_ha.interfaces import Daemon, Job
from xcat_ha.models import Node, Pair
from xcat_ha.planning.sync import DATABASE


def guard_daemon(pair: Pair, node: Node) -> Daemon:
    """What watches over the role on a node from boot to shutdown."""
    return Daemon(
        name="guard",
        argv=(f"{node.bin_dir}/xcat-ha", "guard", "--config", pair.source),
        why="starts the management role only where it belongs, and steps down when it has moved",
    )


def sync_jobs(pair: Pair, primary: Node) -> tuple[Job, ...]:
    """What ``primary`` runs again and again while it has the role."""
    program = (f"{primary.bin_dir}/xcat-ha", "sync", "--config", pair.source, "--scheduled", "--yes")
    return (
        Job(
            name="sync-database",
            argv=(*program, DATABASE),
            every_s=pair.sync_database_every_s,
            why="copy xCAT's database to the standby",
        ),
        Job(name="sync-files", argv=(*program, "files"), every_s=pair.sync_files_every_s, why="copy the file sets to the standby"),
    )
