"""`make demo`: a pair is made, copied, handed over and handed back, on two real machines, and judged from outside.

Everything it starts is taken down again. Exit status 0 only if every line of the closing table holds.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path

from tests.lab import Completed, Lab, LabError, Node, Settings
from tests.lab.databases import DATABASES, DEFAULT, Database
from tests.lab.lab import down
from tests.lab.losses import announced, await_guard, holds_address
from tests.lab.observers import AddressRecorder, SecretSampler, ServiceWatcher, compare_trees, process_probe
from tests.lab.product import (
    PAIR_TOML,
    SERVICE_ADDRESS,
    SERVICE_ADDRESS_V6,
    ask_service,
    host_key_fingerprint,
    make_client,
    offer_for,
    write_config,
    xcat_ha,
)
from tests.lab.secrets_of_site import secrets_of, where_written
from tests.lab.witnesses import Reader, Writer

NODES = 2000
MODES = ("service-address", "replace")
_SYNC_LIMIT_S = 120.0
_NAMED_AT_MOST = 20
LSDEF = "/opt/xcat/bin/lsdef"


@dataclasses.dataclass
class Line:
    """One line of the closing table."""

    what: str
    holds: bool
    figure: str


class Demo:
    """The story, step by step; every claim goes into the table."""

    def __init__(self, lab: Lab, database: Database, mode: str = MODES[0]) -> None:
        self.lab = lab
        self.database = database
        self.mode = mode
        self.mna, self.mnb = lab.node("mna"), lab.node("mnb")
        self.lines: list[Line] = []
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        print(f"\n=== [{time.monotonic() - self._began:5.1f} s] {text}", flush=True)

    def claim(self, what: str, holds: object, figure: str = "") -> None:
        """A line of the table."""
        self.lines.append(Line(what, bool(holds), figure))
        print(f"    {'yes' if holds else 'NO '}  {what}  {figure}", flush=True)

    def verb(self, *arguments: str, expect: int = 0) -> str:
        """Run the product on mna as an administrator would, and show what it says."""
        return str(self.verb_on(self.mna, *arguments, expect=expect).stdout)

    def make_pair(self) -> None:
        """From a site with one MN to a pair."""
        self.say("check, before there is a pair: it says what is missing")
        self.verb("check", expect=1)
        self.say("setup: mn1 becomes mna with an address of its own; 10.77.0.11 becomes the service address")
        self.verb("setup", "--yes", "--trust-host-key", host_key_fingerprint(self.mnb))
        self.say("check, sync, verify, status")
        self.verb("check")
        self.verb("sync", "--yes")
        self.verb("verify", "--yes")
        self.verb("status")

    def hand_over(self, verb: str, old: str, new: str) -> None:
        """One planned change of primary under a steady writer and reader."""
        self.say(f"{verb}: the role moves from {old} to {new} while a client writes and another reads")
        prefix = f"w{old[-1]}"
        with Writer(self.lab, prefix) as writer, Reader(self.lab) as reader:
            time.sleep(2)  # the witnesses work in peace for a while, so that there is something to lose
            self.verb(verb, "--yes")
            time.sleep(2)
        self.claim("longest time without an answer of xCAT on the service address", True, f"{reader.longest_silence_s():.1f} s")
        missing = writer.missing()
        figure = f"{len(writer.acknowledged)} written, {len(missing)} lost"
        self.claim("every record acknowledged to the writer is there", not missing, figure)
        self._look(new, old)

    def _look(self, new: str, old: str) -> None:
        here, there = self.lab.node(new), self.lab.node(old)
        listed = ask_service(self.lab, "/opt/xcat/bin/lsdef", "-t", "node", "-s").stdout.splitlines()
        real = [line for line in listed if line.strip() and not line.startswith(("wa", "wb"))]
        self.claim(f"lsdef on the service address gives the {NODES:,} nodes", len(real) == NODES, f"{len(real):,}")
        answer = self.lab.observer_chroot_run(("dig", f"@{SERVICE_ADDRESS}", "cn0005.lab.example", "+short"), check=False).stdout.strip()
        self.claim("the name server answers on the service address", answer.startswith("10.77."), answer)
        conf = here.run(("cat", "/etc/dhcp/dhcpd.conf")).stdout
        hops = {line.split()[1].rstrip(";") for line in conf.splitlines() if "next-server" in line}
        self.claim("dhcpd.conf names the service address as next-server", hops == {SERVICE_ADDRESS}, ", ".join(hops))
        offer = offer_for(self.lab, "cn0005")
        right = offer is not None and offer["address"] == answer and offer["next_server"] == SERVICE_ADDRESS
        self.claim("a node that boots is offered its address and the service address as next-server", right, str(offer))
        self.claim("the running hostname moved", here.run(("hostname",)).stdout.strip() == "mn1", there.run(("hostname",)).stdout.strip())
        listed = here.run(("sh", "-c", "ip -4 -o address show en1 | awk '{print $4}'")).stdout.split()
        self.claim("the service address is the first one of the interface", listed[0].startswith(f"{SERVICE_ADDRESS}/"), ", ".join(listed))
        if self.mode == "replace":
            self.claim("no other address has a mask that contains a peer", all(each.endswith("/32") for each in listed[1:]), "")
        nodeset = here.run(("/opt/xcat/sbin/nodeset", "cn0005", "osimage=rocky9.5-x86_64-netboot-compute"), check=False, timeout_s=120)
        boot = here.run(("sh", "-c", "cat /tftpboot/boot/grub2/cn0005* 2>/dev/null"), check=False).stdout
        named = SERVICE_ADDRESS in boot and "10.77.0.2" not in boot
        self.claim("nodeset works, and its boot file names the service address", nodeset.returncode == 0 and named, nodeset.stdout.strip())
        console = here.run(("/opt/xcat/sbin/makeconservercf",), check=False, timeout_s=120)
        self.claim("makeconservercf works", console.returncode == 0, console.stderr.strip()[:80])
        left = there.run(("sh", "-c", "pgrep -l 'xcatd|dhcpd|named|conserver|in.tftpd' || :")).stdout.split()
        self.claim("the old primary runs nothing of the role", not left, " ".join(left))

    def reboot_old(self, node_id: str) -> None:
        """The node that gave the role up boots: it must stay without it."""
        self.say(f"{node_id} is rebooted: it must come back without the role")
        node = self.lab.node(node_id)
        node.reboot()
        addresses = node.run(("ip", "-o", "addr")).stdout
        running = node.run(("sh", "-c", "pgrep -l 'xcatd|dhcpd|named|conserver|in.tftpd' || :")).stdout.split()
        held = SERVICE_ADDRESS + "/" in addresses or SERVICE_ADDRESS_V6 + "/" in addresses
        self.claim(f"{node_id} booted without the service address", not held)
        self.claim(f"{node_id} booted without the role's services", not running, " ".join(running))
        self.verb("status", expect=0)

    def lose_power(self, dead: str, new: str) -> None:
        """The primary dies under a writer; the standby takes the role; the old primary comes back, and gets the role back."""
        self.say(f"{dead} loses power while a client writes")
        old, standby = self.lab.node(dead), self.lab.node(new)
        with Writer(self.lab, "wp") as writer:
            time.sleep(1)
            self.verb("sync", "database", "--yes")
            time.sleep(2)  # what is written now is in no copy
            killed = time.time()
            old.kill()
        self.claim("status does not call a silent node down", "silence does not prove" in self.verb_on(standby, "status", expect=4).stdout)
        done = self.verb_on(standby, "failover", "--confirm-down", dead, "--yes")
        answers = ask_service(self.lab, LSDEF, "-t", "site").returncode == 0
        self.claim("xCAT answers on the service address again", answers, f"{_after(killed)} after the power loss")
        good = announced(done)
        missing = writer.missing()
        early = [name for name in missing if writer.acknowledged[name] <= good]
        figure = f"{len(writer.acknowledged)} written, {len(missing)} lost; copy {killed - good:.1f} s old"
        self.claim("only what was written after the announced time is lost", not early, figure)
        self.say(f"{dead} boots beside the new primary, and rejoins")
        old.boot()
        await_guard(old, "passive", "above ours")
        self.claim(
            f"{dead} stays passive, and status says what to do", "xcat-ha rejoin" in self.verb_on(standby, "status", expect=1).stdout
        )
        rejoined = self.verb_on(standby, "rejoin", "--yes")
        counted = f"{len(missing)} node definition" in rejoined.stderr
        named = all(name in rejoined.stderr for name in sorted(missing)[:_NAMED_AT_MOST])
        self.claim("rejoin counts and names what only it has", counted and named, f"{len(missing)} records")
        saved = rejoined.stdout.partition("saved in ")[2].split()[0]
        kept = self.database.saved_nodes(old, saved)
        self.claim("and saved it where it can be restored", missing <= kept, saved)
        # Nodes without an address make makedhcp slow: it asks the name server for each.
        left = ",".join(sorted(set(writer.acknowledged) - missing))
        standby.run(("/opt/xcat/bin/rmdef", "-t", "node", "-o", left), timeout_s=300, check=False)
        self.say("failback, and a reboot of the primary in peace")
        self.verb_on(standby, "failback", "--yes")
        old.reboot()
        began = time.time()
        await_guard(old, "active")
        self.claim(f"{dead}, rebooted in peace, is primary again by itself", True, f"{_after(began)} after its boot")
        self.verb_on(old, "status")

    def verb_on(self, node: Node, *arguments: str, expect: int = 0) -> Completed:
        """Run the product on a node as an administrator would, and show what it says."""
        print(f"{node.id}# xcat-ha {' '.join(arguments)}", flush=True)
        done = xcat_ha(node, *arguments, check=False, timeout_s=900)
        deadline = time.monotonic() + _SYNC_LIMIT_S
        while "another operation runs on this pair: sync" in done.stderr and time.monotonic() < deadline:
            time.sleep(1)  # a scheduled one; an administrator waits, too
            done = xcat_ha(node, *arguments, check=False, timeout_s=900)
        print(done.stderr, end="")
        print(done.stdout, end="", flush=True)
        self.claim(f"xcat-ha {arguments[0]} exits with {expect}", done.returncode == expect, f"exit {done.returncode}")
        return done

    def compare_files(self) -> None:
        """The standby's files against the primary's."""
        own = ("cfgloc*", "*.lock", "genesis-*", *self.database.of_each_node)
        for path, ignore in (("/install", ()), ("/tftpboot", ()), ("/etc/xcat", own), ("/root/.xcat", ())):
            left, right = (node.root / path.lstrip("/") for node in (self.mna, self.mnb))
            found = compare_trees(left, right, ignore=ignore)
            first = f"{found[0].path} ({found[0].what})" if found else ""
            self.claim(f"{path} is equal on both nodes", not found, f"{len(found)} differences {first}".strip())


def tell(lab: Lab, database: Database = DATABASES[DEFAULT], mode: str = MODES[0]) -> list[Line]:
    """The whole story on a database, in an identity mode; the lab is up and fresh."""
    demo = Demo(lab, database, mode)
    demo.say("a site with one management node, mn1 = 10.77.0.11, and a new machine")
    database.start_site(lab)
    if mode != MODES[0]:
        write_config(demo.mna, PAIR_TOML.replace("[database]", f'mode = "{mode}"\n\n[database]'))
    make_client(lab)
    recorder = AddressRecorder(lab)
    secrets = {**secrets_of(lab), **database.secrets()}
    with SecretSampler(secrets) as sampler, ServiceWatcher(lab, process_probe("xcatd: SSL listener")) as watcher:
        demo.make_pair()
        recorder.start()
        demo.hand_over("failover", "mna", "mnb")
        demo.reboot_old("mna")
        recorder.attach("mna")
        demo.hand_over("failback", "mnb", "mna")
        recorder.stop()
        demo.verb("sync", "--yes")
        demo.compare_files()
        with ServiceWatcher(lab, holds_address, interval_s=0.02) as holders:
            demo.lose_power("mna", "mnb")
        demo.claim(f"{SERVICE_ADDRESS} never had two holders meanwhile", not holders.overlaps())
    demo.say("what the observers outside the program saw")
    for address in (SERVICE_ADDRESS, SERVICE_ADDRESS_V6):
        both = recorder.overlaps(address)
        demo.claim(f"{address} was never held by two nodes", not both, f"{sum(part.length_s for part in both):.2f} s")
        gaps = ", ".join(f"{gap.length_s:.2f} s" for gap in recorder.gaps(address))
        demo.claim(f"{address} was held by none only while it moved", len(recorder.gaps(address)) <= 2, gaps)
    demo.claim("xcatd never ran on two nodes", not _after_setup(watcher, recorder), "")
    leaks = sorted({f"{leak.secret} in {leak.where} of {leak.argv[0]}" for leak in sampler.leaks})
    demo.claim("no password or key in any process's arguments or environment", not leaks, "; ".join(leaks))
    written = where_written(lab, secrets)
    demo.claim("no password or key in any log or journal", not written, "; ".join(written))
    return demo.lines


def _after(moment: float) -> str:
    return f"{time.time() - moment:.1f} s"


def _after_setup(watcher: ServiceWatcher, recorder: AddressRecorder) -> list[object]:
    """Before setup two unrelated MNs may both run an xcatd."""
    began = min((event.time_s for event in recorder.events()), default=0.0)
    return [part for part in watcher.overlaps() if part.end_s > began]


def show(lines: list[Line]) -> None:
    """The closing table."""
    print("\nWhat happened")
    width = max(len(line.what) for line in lines)
    for line in lines:
        print(f"  {'yes' if line.holds else 'NO '}  {line.what.ljust(width)}  {line.figure}")
    good = sum(line.holds for line in lines)
    print(f"{good} of {len(lines)} hold")


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the lab up afterwards (python3 -m tests.lab down ends it)")
    parser.add_argument("--database", choices=sorted(DATABASES), default=DEFAULT, help="the driver of xCAT's database")
    parser.add_argument("--json", type=Path, help="also write the table there")
    parser.add_argument("--mode", choices=MODES, default=MODES[0], help="the identity mode")
    given = parser.parse_args()
    settings = Settings.from_environment()
    print("building what the two machines are made of (minutes the first time, then cached) …", flush=True)
    try:
        database = DATABASES[given.database]
        made_of = database.layers(settings)
        lab = Lab.up("single", made_of, settings=settings)
    except LabError as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 3
    try:
        lines = tell(lab, database, given.mode)
    finally:
        if not given.keep:
            down(settings)
    show(lines)
    if given.json:
        given.json.write_text(json.dumps([dataclasses.asdict(line) for line in lines], indent=1), encoding="utf-8")
    return 0 if all(line.holds for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
