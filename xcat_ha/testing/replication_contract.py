"""What every replication backend promises."""

from __future__ import annotations

import pytest

from xcat_ha.interfaces import ReplicaRole, ReplicaState, ReplicationBackend
from xcat_ha.models import Node
from xcat_ha.steps import Completed, Effect, Steps, Trouble
from xcat_ha.testing.driver_contract import Deed, DriverContract
from xcat_ha.testing.records import RecordStore, SqliteTables
from xcat_ha.testing.site import Site

_ODD_NAMES = ("x'; DROP TABLE nodelist; --", "$(touch /srv/oops)", "--help", "a b", "%", "_ode1", "no*", "é")


class ReplicationContract(DriverContract[ReplicationBackend]):
    """Prove a :class:`~xcat_ha.interfaces.ReplicationBackend`. Besides ``make_driver`` say two things.

    * How a test works on the database (:meth:`make_store`; the default is xCAT's SQLite tables).
    * How the database saved by ``steps_to_save_divergence`` is read back (:meth:`saved_records`).
    """

    def make_store(self) -> RecordStore:
        """The database of xcatd, behind the driver's back."""
        return SqliteTables()

    def saved_records(self, site: Site, driver: ReplicationBackend, node: Node) -> frozenset[str]:
        """The xCAT nodes in the newest divergence saved on ``node``, read from the saved copy as an administrator would restore it."""
        raise NotImplementedError(f"{type(self).__name__} has to say how a saved database is read: override saved_records()")

    @pytest.fixture
    def store(self) -> RecordStore:
        """What writes and reads records."""
        return self.make_store()

    # --- situations

    def primary(self, site: Site) -> None:
        """``first`` has a database with records, ``second`` has none."""
        store = self.make_store()
        store.install(site, site.first.id)
        for name in ("node1", "node2"):
            store.write(site, site.first.id, name)

    def seeded(self, site: Site, driver: ReplicationBackend) -> None:
        """``second`` is a copy of ``first``."""

        def build() -> None:
            self.primary(site)
            site.execute(driver.steps_to_seed(site.first, site.second))

        site.situation("seeded", build)

    def outdated(self, site: Site, driver: ReplicationBackend) -> None:
        """``second`` is a copy, ``first`` has written since."""
        self.seeded(site, driver)
        self.make_store().write(site, site.first.id, "node3")

    def deserted(self, site: Site, driver: ReplicationBackend) -> None:
        """``second`` is a copy, ``first`` lost power."""
        self.seeded(site, driver)
        site.power_off(site.first.id)

    def deeds(self) -> tuple[Deed[ReplicationBackend], ...]:
        """Seed, sync, hand over, promote, save the divergence."""
        return (
            Deed("seed", lambda site, _: self.primary(site), lambda site, driver: driver.steps_to_seed(site.first, site.second)),
            Deed("sync", self.outdated, lambda site, driver: driver.steps_to_sync(site.first, site.second)),
            Deed("hand-over", self.outdated, lambda site, driver: driver.steps_to_hand_over(site.first, site.second)),
            Deed("promote", self.deserted, lambda site, driver: driver.steps_to_promote(site.second, forced=False)),
            Deed("save-divergence", self.outdated, lambda site, driver: driver.steps_to_save_divergence(site.first)),
        )

    def outcome(self, site: Site, driver: ReplicationBackend) -> object:
        """Role and health of both databases, and which of the records they hold."""
        facts = []
        for node in site.pair.nodes:
            state = driver.observe(node, site.runner)
            facts.append((state.role, state.healthy, *(self.has(site, driver, node, name) for name in ("node1", "node3"))))
        return tuple(facts)

    def assert_unknown(self, state: ReplicaState) -> None:
        """No claim."""
        assert state.role is None, f"role {state.role} although nothing is known"
        assert state.healthy is None
        assert state.last_good is None
        assert state.lag_bytes is None
        assert state.lag_s is None

    def assert_nothing_good(self, state: ReplicaState) -> None:
        """No claim of a usable database."""
        assert state.healthy is not True, "garbage was taken for a healthy database"
        assert state.role in {None, ReplicaRole.NONE}, f"garbage was taken for role {state.role}"
        assert state.last_good is None, "garbage was taken for a good copy"

    def has(self, site: Site, driver: ReplicationBackend, node: Node, name: str) -> bool | None:
        """Whether the node's database or copy holds a record, by the driver's own question; None if the node does not answer."""
        answer = site.runner.run(node.id, driver.question_for_record(node, name))
        if answer.returncode is None:
            return None
        assert answer.ok, f"question_for_record failed: {answer.summary}"
        said = answer.stdout.strip()
        assert said in {"present", "absent"}, f"question_for_record must print present or absent, not {said!r}"
        return said == "present"

    # --- promises

    def test_it_names_its_engines(self, driver: ReplicationBackend) -> None:
        assert driver.engines

    def test_the_role_is_observed(self, driver: ReplicationBackend, site: Site) -> None:
        assert driver.observe(site.second, site.runner).role is ReplicaRole.NONE
        self.seeded(site, driver)
        source, copy = (driver.observe(node, site.runner) for node in (site.first, site.second))
        assert (source.role, source.healthy) == (ReplicaRole.SOURCE, True)
        assert (copy.role, copy.healthy) == (ReplicaRole.COPY, True)

    def test_the_time_of_the_last_good_copy_is_observed(self, driver: ReplicationBackend, site: Site) -> None:
        self.seeded(site, driver)
        copy = driver.observe(site.second, site.runner)
        assert copy.last_good is not None
        assert copy.last_good > 1_000_000_000, "last_good is in seconds since the epoch"
        assert driver.observe(site.first, site.runner).last_good is None

    @pytest.mark.parametrize("verb", ["seed", "sync"])
    def test_the_copy_has_everything_written_before(self, driver: ReplicationBackend, site: Site, verb: str) -> None:
        self.primary(site)
        if verb == "sync":
            site.execute(driver.steps_to_seed(site.first, site.second))
            self.make_store().write(site, site.first.id, "node3")
        steps = {"seed": driver.steps_to_seed, "sync": driver.steps_to_sync}[verb](site.first, site.second)
        site.execute(steps)
        there = ("node1", "node2", "node3") if verb == "sync" else ("node1", "node2")
        assert [self.has(site, driver, site.second, name) for name in there] == [True] * len(there)
        assert self.has(site, driver, site.second, "node9") is False

    @pytest.mark.parametrize("verb", ["seed", "sync"])
    def test_copying_leaves_the_source_alone(self, driver: ReplicationBackend, site: Site, store: RecordStore, verb: str) -> None:
        self.outdated(site, driver)
        before = store.names(site, site.first.id)
        steps = {"seed": driver.steps_to_seed, "sync": driver.steps_to_sync}[verb](site.first, site.second)
        site.execute(steps)
        assert store.names(site, site.first.id) == before
        assert driver.observe(site.first, site.runner).role is ReplicaRole.SOURCE

    def test_nothing_is_sent_when_nothing_changed(self, driver: ReplicationBackend, site: Site) -> None:
        self.outdated(site, driver)
        site.execute(driver.steps_to_sync(site.first, site.second))
        site.runner.forget()
        site.execute(driver.steps_to_sync(site.first, site.second))
        assert not site.runner.changes

    def test_stale_pointers_are_asked_for_by_reading_and_silence_is_not_fine(self, driver: ReplicationBackend, site: Site) -> None:
        questions = driver.questions_for_stale(site.first, site.pair.identity)
        assert all(question.effect is Effect.READS for question in questions)
        silence = [Completed(tuple(map(str, question.argv)), None, trouble=Trouble.UNREACHABLE) for question in questions]
        assert driver.interpret_stale(site.first, silence) == (None if questions else ())

    @pytest.mark.parametrize("verb", ["seed", "sync", "hand-over", "promote"])
    def test_a_database_under_a_running_xcatd_is_never_replaced(
        self, driver: ReplicationBackend, site: Site, store: RecordStore, verb: str
    ) -> None:
        """On the target. A seed or sync that only adds a copy beside it may go through; taking the role may not."""
        self.outdated(site, driver)
        if not store.names(site, site.second.id):
            store.install(site, site.second.id)
            store.write(site, site.second.id, "own")
        before = store.names(site, site.second.id)
        site.start_xcatd(site.second.id)
        steps = self._steps(driver, site, verb)
        went_through = self.goes_through(site, steps)
        assert verb in {"seed", "sync"} or not went_through, "the role was taken although xcatd runs on the target"
        assert store.names(site, site.second.id) == before

    def _steps(self, driver: ReplicationBackend, site: Site, verb: str) -> Steps:
        if verb == "promote":
            return driver.steps_to_promote(site.second, forced=True)
        verbs = {"seed": driver.steps_to_seed, "sync": driver.steps_to_sync, "hand-over": driver.steps_to_hand_over}
        return verbs[verb](site.first, site.second)

    def test_a_broken_transfer_leaves_the_old_copy(self, driver: ReplicationBackend, site: Site) -> None:
        self.outdated(site, driver)
        site.cut_link()
        self.refusal(site, driver.steps_to_sync(site.first, site.second))
        assert driver.observe(site.second, site.runner).role is ReplicaRole.COPY
        assert driver.observe(site.second, site.runner).healthy is True
        assert self.has(site, driver, site.second, "node1") is True

    def test_hand_over_loses_nothing(self, driver: ReplicationBackend, site: Site, store: RecordStore) -> None:
        self.outdated(site, driver)
        had = store.names(site, site.first.id)
        site.execute(driver.steps_to_hand_over(site.first, site.second))
        assert store.names(site, site.second.id) == had
        assert driver.observe(site.second, site.runner).role is ReplicaRole.SOURCE
        store.write(site, site.second.id, "node4")
        assert "node4" in store.names(site, site.second.id)

    def test_after_a_hand_over_copies_flow_back(self, driver: ReplicationBackend, site: Site, store: RecordStore) -> None:
        self.seeded(site, driver)
        site.execute(driver.steps_to_hand_over(site.first, site.second))
        store.write(site, site.second.id, "node4")
        site.execute(driver.steps_to_seed(site.second, site.first))
        assert self.has(site, driver, site.first, "node4") is True
        assert driver.observe(site.first, site.runner).role is ReplicaRole.COPY
        site.execute(driver.steps_to_hand_over(site.second, site.first))
        assert store.names(site, site.first.id) == {"node1", "node2", "node4"}

    def test_hand_over_needs_the_old_one(self, driver: ReplicationBackend, site: Site) -> None:
        self.outdated(site, driver)
        site.cut_link()
        site.cut(site.first.id)
        self.refusal(site, driver.steps_to_hand_over(site.first, site.second))

    def test_promoting_needs_no_other_node(self, driver: ReplicationBackend, site: Site, store: RecordStore) -> None:
        self.deserted(site, driver)
        site.runner.forget()
        site.execute(driver.steps_to_promote(site.second, forced=False))
        assert {ran.host for ran in site.runner.log} == {site.second.id}, "promoting asked the old primary, which is off"
        assert store.names(site, site.second.id) == {"node1", "node2"}
        assert driver.observe(site.second, site.runner).role is ReplicaRole.SOURCE
        store.write(site, site.second.id, "node4")
        assert self.has(site, driver, site.second, "node4") is True

    def test_nothing_is_promoted_where_no_copy_is(self, driver: ReplicationBackend, site: Site) -> None:
        self.refusal(site, driver.steps_to_promote(site.second, forced=False))
        assert driver.observe(site.second, site.runner).role is not ReplicaRole.SOURCE

    def test_divergence_is_saved_and_restorable(self, driver: ReplicationBackend, site: Site, store: RecordStore) -> None:
        """The old primary wrote after the last copy; its writes survive being made a standby again."""
        self.outdated(site, driver)
        site.execute(driver.steps_to_promote(site.second, forced=True))
        store.write(site, site.second.id, "node4")
        site.execute(driver.steps_to_save_divergence(site.first))
        assert self.saved_records(site, driver, site.first) == {"node1", "node2", "node3"}
        site.execute(driver.steps_to_seed(site.second, site.first))
        assert [self.has(site, driver, site.first, name) for name in ("node3", "node4")] == [False, True]
        assert self.saved_records(site, driver, site.first) == {"node1", "node2", "node3"}

    def test_the_record_question_reads_the_data(self, driver: ReplicationBackend, site: Site, store: RecordStore) -> None:
        self.seeded(site, driver)
        for node in site.pair.nodes:
            assert driver.question_for_record(node, "node1").effect is Effect.READS
            assert self.has(site, driver, node, "node1") is True
            for name in ("node9", *_ODD_NAMES):
                assert self.has(site, driver, node, name) is False, f"{name!r} is not defined on {node.id}"
        store.write(site, site.first.id, "node5")
        assert self.has(site, driver, site.first, "node5") is True

    def test_the_schema_is_known_or_said_not_to_be(self, driver: ReplicationBackend, site: Site) -> None:
        """A driver that answers at all gives every table with its columns, the same on both nodes after a copy; never a guess."""
        self.seeded(site, driver)
        found = []
        for node in site.pair.nodes:
            question = driver.question_for_schema(node)
            if question is None:
                assert driver.interpret_schema(Completed((), 0, "")) is None
                return
            assert question.effect is Effect.READS
            found.append(driver.interpret_schema(site.runner.read_many(node.id, (question,))[0]))
        first, second = found
        assert first
        assert all(first.values())
        assert first == second
        for answer in (Completed((), None), Completed((), 1, "{}"), Completed((), 0, ""), Completed((), 0, "{"), Completed((), 0, "[7]")):
            assert driver.interpret_schema(answer) is None

    def test_the_identity_change_needs_no_other_node(self, driver: ReplicationBackend, site: Site) -> None:
        self.deserted(site, driver)
        site.execute(driver.steps_to_promote(site.second, forced=False))
        site.execute(driver.steps_before_identity_change(site.second, site.pair.identity))
        site.execute(driver.steps_after_identity_change(site.second, site.pair.identity))
        assert driver.observe(site.second, site.runner).role is ReplicaRole.SOURCE
