"""The verbs about the configuration: proposing one, proving it, showing what holds."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from plumbum import cli

from xcat_ha.cli.verb import Verb, XcatHa
from xcat_ha.errors import ConfigError, ExitCode, RefusedError

if TYPE_CHECKING:
    from xcat_ha.discovery.given import Question
    from xcat_ha.verbs.init import Draft, Written


@XcatHa.subcommand("init")
class InitVerb(Verb):
    """Propose a configuration. Run it on the management node that serves now; it looks at this machine only, and changes nothing on it.

    It asks what it cannot find out: the other machine, and a spare address for this one. Without a terminal, say it with the switches.
    """

    peer = cli.SwitchAttr("--peer", str, argname="NAME=ADDRESS", help="the other machine's own hostname, and its own address")
    peer_interface = cli.SwitchAttr("--peer-interface", str, argname="NAME", help="its interface, if it is not called as here")
    own_address = cli.SwitchAttr("--own-address", str, argname="ADDRESS", help="a spare address that this machine keeps as its own")
    own_name = cli.SwitchAttr("--own-name", str, argname="NAME", help="its own hostname, if today's is the one that moves")
    service_name = cli.SwitchAttr("--service-name", str, argname="NAME", help="the hostname of site.master, if no name service knows it")
    force = cli.Flag("--force", help="replace a configuration that is there; the old one is kept under a name with the time")
    only_show = cli.Flag(["--stdout", "--dry-run"], help="print the proposal; write nothing")

    def main(self) -> int:
        """Exit codes: 0 written, 1 written but a driver it needs is not installed, 4 something could not be found out: see the draft."""
        return self.answer(self._work)

    def _work(self) -> ExitCode:
        from xcat_ha.clock import SystemClock  # noqa: PLC0415 - see Verb.load
        from xcat_ha.verbs.init import refuse_if_there, save, write_up  # noqa: PLC0415

        path, clock = Path(self.config), SystemClock()
        if os.geteuid() != 0:
            raise RefusedError("only root can look at a management node", state="nothing was changed", hint="run it as root")
        if not self.force and not self.only_show:
            refuse_if_there(path)
        written = write_up(self._draft(), clock=clock, path=path, program_dir=str(Path(sys.executable).parent))
        if self.only_show:
            return self._show(written, None, None)
        place, kept = save(written, path, force=self.force, clock=clock)
        return self._show(written, place, kept)

    def _draft(self) -> Draft:
        """What the machine, the switches and the administrator say."""
        from xcat_ha.discovery.given import open_questions  # noqa: PLC0415 - see Verb.load
        from xcat_ha.runners import LocalRunner  # noqa: PLC0415
        from xcat_ha.verbs.init import begin  # noqa: PLC0415

        runner = LocalRunner()
        draft = begin(runner)
        for name, value, switch in self._switches():
            draft = draft.say(runner, name, value, switch)
        while sys.stdin.isatty() and (questions := open_questions(draft.discovery, draft.standing, draft.given)):
            try:
                draft = draft.say(runner, questions[0].name, _answer_to(questions[0]), "your answer")
            except ConfigError as error:
                print(error.what, file=sys.stderr)  # noqa: T201
        return draft

    def _switches(self) -> Iterator[tuple[str, str, str]]:
        """What was said on the command line: (what it is about, value, switch)."""
        if self.service_name:
            yield "service_name", self.service_name, "--service-name"
        if self.own_name:
            yield "own_name", self.own_name, "--own-name"
        if self.own_address:
            yield "own_address", self.own_address, "--own-address"
        name, _, address = (self.peer or "").partition("=")
        if address:
            yield "peer_address", address, "--peer"
        if self.peer:
            yield "peer_name", name, "--peer"
        if self.peer_interface:
            yield "peer_interface", self.peer_interface, "--peer-interface"

    def _show(self, written: Written, place: Path | None, kept: Path | None) -> ExitCode:
        missing = written.proposal.missing
        code = ExitCode.UNKNOWN if missing else ExitCode.FAILED if written.unusable else ExitCode.DONE
        if self.as_json:
            proposal = {"file": str(place or ""), "kept": str(kept or ""), "text": written.text, "missing": missing}
            self.print_json(code, proposal=proposal | {"warnings": written.proposal.warnings, "unusable_drivers": written.unusable})
            return code
        if place is None:
            print(written.text, end="")  # noqa: T201
        for line in _closing(written, place, kept):
            print(line, file=sys.stderr if place is None else sys.stdout)
        return code


def _answer_to(question: Question) -> str:
    print(f"{question.text}? ", end="", file=sys.stderr, flush=True)  # noqa: T201
    line = sys.stdin.readline()
    if not line:
        raise RefusedError("no answer", state="nothing was changed", hint=f"answer, or say it with {question.switch}")
    return line.strip()


def _closing(written: Written, place: Path | None, kept: Path | None) -> Iterator[str]:
    if kept is not None:
        yield f"the old configuration is kept: {kept}"
    for warning in written.proposal.warnings:
        yield f"look at this: {warning}"
    for table in written.unusable:
        yield f"NOT USABLE YET: the driver of [{table}]; xcat-ha drivers lists those that are installed, and what is wrong with them"
    if written.proposal.missing:
        yield f"NOT COMPLETE: {', '.join(written.proposal.missing)} could not be found out"
        if place is not None:
            yield f"fill in what is commented out in {place}, save it as {place.with_suffix('')}, then: xcat-ha config validate"
    elif place is not None:
        yield f"written: {place}"
        yield "read it; each line tells where its value came from. Then: xcat-ha check, and xcat-ha setup"


@XcatHa.subcommand("config")
class ConfigVerb(Verb):
    """Validate: whether the configuration, and every driver and option it names, can be used. Show: what it says. Reads only that file."""

    effective = cli.Flag("--effective", help="with show: every key, also those with defaults, and whether file, default or driver says so")

    def main(self, action: cli.Set("validate", "show")) -> int:  # type: ignore[valid-type]  # plumbum reads the annotation
        """Exit codes: 0 it can be used (or was shown), 3 it cannot."""
        return self.answer(self._validate if action == "validate" else self._show)

    def _validate(self) -> ExitCode:
        from xcat_ha.cli import render  # noqa: PLC0415 - see Verb.load
        from xcat_ha.config import load_pair  # noqa: PLC0415
        from xcat_ha.registry import GROUPS, load_drivers  # noqa: PLC0415

        pair = load_pair(self.config)
        load_drivers(pair)
        drivers = {table: getattr(pair, table).name for table in GROUPS}
        nodes = [node.id for node in pair.nodes]
        if self.as_json:
            self.print_json(ExitCode.DONE, config={"file": self.config, "pair": pair.name, "nodes": nodes, "drivers": drivers})
        else:
            words = ", ".join(f"{table} {name}" for table, name in drivers.items())
            render.say(f"{self.config} can be used: pair {pair.name} of {' and '.join(nodes)}; drivers: {words}")
            render.say("whether it fits the machines: xcat-ha check")
        return ExitCode.DONE

    def _show(self) -> ExitCode:
        from xcat_ha.cli import render  # noqa: PLC0415 - see Verb.load
        from xcat_ha.config import read_text  # noqa: PLC0415
        from xcat_ha.effective import Origin, effective_settings  # noqa: PLC0415

        found = effective_settings(read_text(self.config), self.config)
        shown = tuple(setting for setting in found if self.effective or setting.origin is Origin.FILE)
        if self.as_json:
            self.print_json(ExitCode.DONE, config={"file": self.config, "settings": shown})
        else:
            render.show_settings(shown)
        return ExitCode.DONE
