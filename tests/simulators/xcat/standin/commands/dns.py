"""makedns: named.conf and zones from the tables and /etc/hosts, then the records."""

from __future__ import annotations

import random

from .. import dnszones, net, options, paths, services
from ..objects import Objects
from ..omapi import omapi_key
from ..request import Request


def makedns(request: Request) -> None:
    chosen, operands = options.parse(request.args, "nedshvV", ["new", "external", "delete", "slave", "help", "version"])
    new = "n" in chosen or "new" in chosen
    Making(request, new=new, delete="d" in chosen or "delete" in chosen).make(operands)


class Making:
    def __init__(self, request: Request, *, new: bool, delete: bool) -> None:
        self.request = request
        self.new = new
        self.delete = delete
        self.work = "makedns -n" if new else "makedns"
        self.external = bool(request.database.site("externaldns"))

    def make(self, operands: list[str]) -> None:
        request = self.request
        domain = request.database.site("domain").lstrip(".")
        if not domain:
            raise request.stop("domain not defined in site table")
        records = dnszones.records(net.hosts_text(), domain)
        records = self._only(operands, records)
        self._say_handling(records)
        request.out("Getting reverse zones, this may take several minutes for a large cluster.")
        networks = request.database.rows("networks")
        zones = dnszones.zones(domain, networks)
        request.pace.wait_until(self.work, 0.3)
        request.out("Completed getting reverse zones.")
        if not self.external:
            self._configure(domain, zones)
        request.out("Updating DNS records, this may take several minutes for a large cluster.")
        self._update(domain, zones, records)
        request.pace.wait_until(self.work)
        request.out("Completed updating DNS records.")
        request.out("DNS setup is completed")

    def _only(self, operands: list[str], records: list[dnszones.Record]) -> list[dnszones.Record]:
        if not operands:
            return records
        names, missing = Objects(self.request.database).noderange.expand(",".join(operands))
        if missing:
            raise self.request.stop(f"Invalid nodes and/or groups in noderange: {','.join(missing)}")
        return [r for r in records if r.name in names]

    def _say_handling(self, records: list[dnszones.Record]) -> None:
        lines = [f"Handling {r.name} in /etc/hosts.\n" for r in records]
        if not records:
            return
        random.shuffle(lines)
        self.request.raw("".join(lines))

    def _configure(self, domain: str, zones: list[str]) -> None:
        request = self.request
        key = omapi_key(request.database)
        if self.new:
            services.stop("named")
            dnszones.wipe()
        forwarders = request.database.site("forwarders").replace(" ", ",").split(",")
        fresh = dnszones.write_conf([f for f in forwarders if f], key, zones)
        dnszones.write_ddns_key(key)
        request.out("Updating zones.")
        own = net.resolve(net.hostname())
        if own is None:
            # The configuration has been deleted and named stays stopped.
            paths.at(dnszones.CONF).unlink(missing_ok=True)
            raise request.stop(f"Unable to find an IP for {net.hostname()} in hosts table or via system lookup (i.e. /etc/hosts")
        fresh |= dnszones.write_empty_zones(domain, zones, own)
        request.out("Completed updating zones.")
        if fresh or self.new:
            self._restart()

    def _restart(self) -> None:
        request = self.request
        request.out("Restarting bind9")
        services.enable("named")
        if not services.restart("named"):
            raise request.stop("failed to start named.\n")
        request.out("Restarting named complete")
        request.pace.wait_until(self.work, 0.5)

    def _update(self, domain: str, zones: list[str], records: list[dnszones.Record]) -> None:
        own = net.resolve(net.hostname())
        if self.external or own is None:
            return
        if not services.is_active("named") and not services.start("named"):
            raise self.request.stop("failed to start named.\n")
        dnszones.put_records(domain, zones, records, own, remove=self.delete)
