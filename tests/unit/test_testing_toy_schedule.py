"""A toy schedule that keeps every promise, unless it is told to have a flaw."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from tests.unit.test_testing_toys import ToyContract, ToyDriver, check, flawed, spoil
from xcat_ha.interfaces import Job, JobState, Schedule, ScheduleState
from xcat_ha.models import Node
from xcat_ha.steps import Command, Completed, Matches, Prints, SaysVerdict, Step, Steps, changes, reads
from xcat_ha.testing import Answer, Call, Handler, ScheduleContract, SimulatedHost, Site


def toycron(host: SimulatedHost, call: Call) -> Answer:
    """Jobs in a file that a boot takes away; ``run NAME`` runs one."""
    path = host.path("/var/toycron.json" if flawed("survives-boot") else "/run/toycron.json")
    jobs: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    verb, words = call.words[0], call.words[1:]
    if verb == "show":
        return Answer(0, json.dumps(jobs))
    if verb == "run":
        argv = jobs[words[0]]["argv"]
        argv = " ".join(argv).split() if flawed("splits-arguments") else argv
        done = host.execute(changes(*argv))
        jobs[words[0]] |= {"last_run": host.machine.booted_at + 1, "last_exit": 0 if flawed("always-well") else done.returncode}
    if verb == "set":
        wanted = {job["name"]: job for job in json.loads(words[0])}
        kept = jobs if flawed("keeps-old-jobs") else {}
        jobs = {**kept, **{name: jobs[name] if jobs.get(name, {}).get("argv") == job["argv"] else job for name, job in wanted.items()}}
    if verb == "clear":
        jobs = {name: job for name, job in jobs.items() if flawed("stops-but-one") and name == min(jobs)}
    path.write_text(json.dumps(jobs))
    if flawed("touches-peer"):
        host.peer.write("/run/toycron.json", json.dumps(jobs))
    return Answer(0)


class ToySchedule(ToyDriver[ScheduleState], Schedule):
    def questions(self, node: Node) -> tuple[Command, ...]:
        del node
        return self.spoilt(reads("toycron", "show"))

    def interpret(self, node: Node, answers: Sequence[Completed]) -> ScheduleState:
        del node
        try:
            data = json.loads(answers[0].stdout) if answers[0].ok else None
            jobs = (
                {name: JobState(job["every_s"] > 0, job.get("last_run"), job.get("last_exit")) for name, job in data.items()}
                if data is not None
                else None
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            jobs = None
        return ScheduleState(known=jobs is not None, jobs=jobs or {})

    def steps_to_start(self, node: Node, jobs: tuple[Job, ...]) -> Steps:
        if flawed("forgets-one-job"):
            jobs = jobs[1:]
        text = json.dumps([{"name": job.name, "argv": job.argv, "every_s": job.every_s} for job in jobs])
        script = 'toycron show | python3 -c "$1" "$2"'
        compare = (
            "import json,sys; have=json.load(sys.stdin); want=json.loads(sys.argv[1]); "
            "same={n: j['argv'] for n, j in have.items()} == {j['name']: j['argv'] for j in want}; "
            "print('HOLDS' if same else 'FAILS')"
        )
        rule = SaysVerdict()
        done = check("exactly these jobs are there", node.id, "sh", "-c", script, "sh", compare, text, rule=rule)
        if flawed("keeps-old-jobs"):
            done = check("the jobs are there", node.id, "toycron", "show", rule=Matches(jobs[0].name))
        return spoil(
            (Step("start-jobs", "The syncs have to run again and again.", node.id, done, (changes("toycron", "set", text),)),), self.pair
        )

    def steps_to_stop(self, node: Node) -> Steps:
        done = check("no job is there", node.id, "toycron", "show", rule=Prints("{}"))
        if flawed("stops-but-one"):
            done = check("few jobs are there", node.id, "sh", "-c", "[ $(toycron show | wc -c) -lt 250 ]")
        return spoil((Step("stop-jobs", "Nothing must be sent any more.", node.id, done, (changes("toycron", "clear"),)),), self.pair)


class TestToySchedule(ToyContract, ScheduleContract):
    toy = ToySchedule
    programs: ClassVar[Mapping[str, Handler]] = {"toycron": toycron}

    def run_now(self, site: Site, name: str) -> None:
        site.command(site.first.id, "toycron", "run", name)
