"""What the programs on a node are told."""

from __future__ import annotations

from typing import NamedTuple

from xcat_ha_drivers.postgres.layout import find
from xcat_ha_drivers.postgres.location import read
from xcat_ha_drivers.postgres.server import Server
from xcat_ha_drivers.postgres_dump._node import Here


class Given(NamedTuple):
    """The words after the verb.

    Attributes:
        node: id of this node.
        xcat_dir: directory of cfgloc.
        data_directory: of the server; empty to find it.
        wait_s: seconds to wait for somebody who is connected.
        max_age_s: how long ago the snapshot may have been compared, in seconds; None for any time.
        unsent: mark the snapshot as waiting for delivery.
        stopped: refuse if xcatd runs, and close the database first.
        or_promoted: a copy that this node took over counts as well.
        source: id of the sending node.
        address: what rsync reads.
        rsh: rsync's remote shell.
        keep: generations kept.
        over_own: replace this node's own database.
        peer: id of the node that took over.
        name: an xCAT node name.
        keys: keys of the site table, separated by commas.
        addresses: addresses xCAT connects from, separated by commas.
        listen: addresses the server has to listen at, separated by commas.
        service: the service address xCAT uses.
        service_name: the service hostname.
    """

    node: str
    xcat_dir: str
    data_directory: str = ""
    wait_s: float = 30.0
    max_age_s: float | None = None
    unsent: bool = False
    stopped: bool = False
    or_promoted: bool = False
    source: str = ""
    address: str = ""
    rsh: str = ""
    keep: int = 7
    over_own: bool = False
    peer: str = ""
    name: str = ""
    keys: str = ""
    addresses: str = ""
    listen: str = ""
    service: str = ""
    service_name: str = ""

    @property
    def here(self) -> Here:
        """This node's database."""
        return Here(self.xcat_dir, self.data_directory)

    @property
    def server(self) -> Server:
        """This node's server, whether cfgloc leads there yet or not."""
        return Server(find(data_directory=self.data_directory, port=read(self.xcat_dir).location.port))
