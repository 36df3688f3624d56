"""Proposing a configuration on the management node that serves now. Nothing but the configuration file is written."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path

from attrs import evolve, field, frozen

from xcat_ha._version import own_version
from xcat_ha.clock import Clock
from xcat_ha.config import parse_pair
from xcat_ha.discovery.choice import drivers_for
from xcat_ha.discovery.facts import Discovery, first_facts, ip_address_in, ip_addresses_of, mounts_of, names_of
from xcat_ha.discovery.given import Given, Said, problem_with, service_name
from xcat_ha.discovery.proposal import Chosen, Proposal, propose
from xcat_ha.discovery.questions import TABLES, addresses_question, first_questions, names_question, questions_about
from xcat_ha.discovery.standing import Standing, standing_of
from xcat_ha.discovery.text import proposal_text, shown
from xcat_ha.errors import ConfigError, RefusedError
from xcat_ha.interfaces import Runner
from xcat_ha.models import DEFAULT_BIN_DIR
from xcat_ha.registry import load_drivers
from xcat_ha.xcat.table_answers import rows_in

_HERE = ""
"""The runner's word for this machine: there is no pair yet, and so no node id."""


def look(runner: Runner) -> Discovery:
    """What this machine tells. Reads only, in two exchanges (a third one for the addresses of a name)."""
    questions = first_questions()
    answers = dict(zip(questions, runner.read_many(_HERE, tuple(questions.values())), strict=True))
    found = first_facts(answers, {name: rows_in(answers[name]) for name in TABLES})
    if not found.site.known:
        return found
    directories = tuple(dict.fromkeys((found.site.installdir, found.site.tftpdir)))
    more = questions_about(found.site.master, directories)
    answers = dict(zip(more, runner.read_many(_HERE, tuple(more.values())), strict=True))
    found = evolve(found, master_names=names_of(answers["names"]), mounts=mounts_of(directories, answers))
    name = found.site.master if ip_address_in(found.site.master) is None else service_name(found)
    addresses = ip_addresses_of(runner.read_many(_HERE, (addresses_question(name),))[0]) if name else ()
    return evolve(found, master_addresses=addresses)


@frozen
class Draft:
    """What is known so far: :meth:`say` adds to it, :attr:`text` is the file.

    Attributes:
        discovery: what the machine tells.
        standing: where its service address is.
        given: what the administrator said.
    """

    discovery: Discovery
    standing: Standing
    given: Given = field(factory=Given)

    def say(self, runner: Runner, name: str, value: str, origin: str) -> Draft:
        """The draft with one more answer, and with what a name service makes of it.

        Raises:
            ConfigError: the value cannot be used.
        """
        trouble = problem_with(name, value, self.discovery, self.standing, self.given)
        if trouble:
            raise ConfigError(trouble, where=origin, hint=f"give another {name.replace('_', ' ')}")
        # Spelt as Python spells it: fd77::0011 and fd77::11 are one address.
        address = ip_address_in(value) if name.endswith("_address") else None
        said = Said(value if address is None else str(address), origin)
        draft = evolve(self, given=evolve(self.given, **{name: said}))
        if name == "peer_name" and not self.given.peer_address:
            return draft._with_address_of_peer(runner)  # noqa: SLF001 - it is one of us
        if name == "own_address" and not self.given.own_name:
            return draft._with_name_of_own(runner)  # noqa: SLF001 - likewise
        return draft

    def _with_address_of_peer(self, runner: Runner) -> Draft:
        """A name service that knows exactly one address that may be meant saves a question."""
        name = self.given.peer_name.value
        known = ip_addresses_of(runner.read_many(_HERE, (addresses_question(name),))[0])
        service = self.standing.service
        fit = [str(address) for address in known if service is not None and address.version == service.version]
        if len(fit) != 1 or problem_with("peer_address", fit[0], self.discovery, self.standing, self.given):
            return self
        return evolve(self, given=evolve(self.given, peer_address=Said(fit[0], f"getent ahosts {name}")))

    def _with_name_of_own(self, runner: Runner) -> Draft:
        """The name that goes with the own address, if today's hostname is the service identity's."""
        address = self.given.own_address.value
        for name in names_of(runner.read_many(_HERE, (names_question(address),))[0]):
            short = name.partition(".")[0]
            stored = self.discovery.stored_hostname or self.discovery.hostname
            if stored.partition(".")[0] != service_name(self.discovery).partition(".")[0]:
                return self  # it has a name of its own already
            if not problem_with("own_name", short, self.discovery, self.standing, self.given):
                return evolve(self, given=evolve(self.given, own_name=Said(short, f"getent hosts {address}")))
        return self


def begin(runner: Runner) -> Draft:
    """Look at this machine.

    Raises:
        RefusedError: it is not the management node that serves now.
    """
    discovery = look(runner)
    return Draft(discovery, standing_of(discovery))


@frozen
class Written:
    """A proposal with its text, proven by the loader that will read it.

    Attributes:
        proposal: what it consists of.
        text: the file.
        unusable: drivers that cannot be used yet, by the table that names them.
    """

    proposal: Proposal
    text: str
    unusable: tuple[str, ...] = ()


def write_up(draft: Draft, *, clock: Clock, path: Path, program_dir: str = DEFAULT_BIN_DIR) -> Written:
    """The configuration as text. One that is complete is read by the configuration's own loader, and its drivers are built.

    Raises:
        ConfigError: the loader does not take it.
    """
    drivers = drivers_for(draft.discovery)
    proposal = propose(draft.discovery, draft.standing, draft.given, drivers, program_dir=program_dir)
    proposal = evolve(proposal, warnings=tuple(shown(warning) for warning in proposal.warnings))
    text = proposal_text(proposal, when=clock.now(), version=own_version("(unknown version)"))
    unusable = tuple(name for name, chosen in drivers.items() if chosen.problem)
    if not proposal.missing:
        _prove(text, str(path), drivers)
    return Written(proposal, text, unusable)


def _prove(text: str, where: str, drivers: Mapping[str, Chosen]) -> None:
    pair = parse_pair(text, where)
    if not any(chosen.problem for chosen in drivers.values()):
        load_drivers(pair)


def place_of(written: Written, path: Path) -> Path:
    """Where the text belongs: what is not complete goes to ``PATH.draft``, which nothing reads."""
    return path.with_name(f"{path.name}.draft") if written.proposal.missing else path


def refuse_if_there(path: Path) -> None:
    """Nothing is overwritten.

    Raises:
        RefusedError: there is such a file.
    """
    if path.exists() or path.is_symlink():
        hint = "--force replaces it and keeps the old one under another name; --stdout only shows the proposal"
        raise RefusedError("is there already", where=str(path), state="nothing was changed", hint=hint)


def save(written: Written, path: Path, *, force: bool, clock: Clock) -> tuple[Path, Path | None]:
    """Put the file in place as a whole: temp, fsync, rename.

    Returns:
        Where it is, and where the file that was there before is now.

    Raises:
        RefusedError: there is a file already, and ``force`` is not given.
        ConfigError: it cannot be written.
    """
    target = place_of(written, path)
    if not force:
        refuse_if_there(target)
    fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _write_durably(fresh, written.text)
        kept = _keep(target, clock) if force and target.exists() else None
        if force:
            fresh.replace(target)
        else:
            os.link(fresh, target)  # unlike a rename it replaces nothing, also not what somebody wrote just now
        _sync_directory(target.parent)
    except OSError as error:
        if isinstance(error, FileExistsError) and not force:
            refuse_if_there(target)
        raise ConfigError(f"cannot be written: {error.strerror}", where=str(target), hint="look at the file system") from error
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink()
    return target, kept


def _write_durably(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _keep(path: Path, clock: Clock) -> Path:
    """A second name for the old file, with the time of day; never one that is taken."""
    stem = f"{path.name}.{time.strftime('%Y%m%d-%H%M%S', time.localtime(clock.now()))}"
    for number in range(100):
        kept = path.with_name(stem if number == 0 else f"{stem}.{number}")
        try:
            os.link(path, kept)
        except FileExistsError:
            continue
        return kept
    raise FileExistsError(str(path))


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
