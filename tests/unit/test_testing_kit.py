"""Each promise of the contracts can be broken, and the contract notices: one flawed toy for each contract test."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve

from tests.unit.test_testing_toy_fence import TestToyFence as ToyFence
from tests.unit.test_testing_toy_fence import TestToyHandFence as ToyHandFence
from tests.unit.test_testing_toy_files import TestToyFiles as ToyFiles
from tests.unit.test_testing_toy_identity import TestToyIdentity as ToyIdentity
from tests.unit.test_testing_toy_images import TestToyImages as ToyImages
from tests.unit.test_testing_toy_replication import TestToyReplication as ToyReplication
from tests.unit.test_testing_toy_schedule import TestToySchedule as ToySchedule
from tests.unit.test_testing_toy_services import TestToyServices as ToyServices
from tests.unit.test_testing_toys import CURRENT
from xcat_ha.errors import XcatHaError
from xcat_ha.models import IdentityMode
from xcat_ha.testing import SimulatedSite

FENCE, HAND, FILES, IDENTITY, IMAGES = ToyFence, ToyHandFence, ToyFiles, ToyIdentity, ToyImages
REPLICATION, SCHEDULE, SERVICES = ToyReplication, ToySchedule, ToyServices

Case = tuple[type[Any], str, str, dict[str, Any]]


def case(contract: type[Any], flaw: str, promise: str, **arguments: Any) -> Case:
    return contract, flaw, f"test_{promise}", arguments


CASES: tuple[Case, ...] = (
    # every driver
    case(REPLICATION, "takes-any-option", "unknown_options_are_refused_with_a_hint"),
    case(REPLICATION, "question-changes", "questions_are_plain_reads"),
    case(REPLICATION, "observing-changes", "observing_changes_nothing"),
    case(REPLICATION, "silence-is-none", "silence_is_unknown"),
    case(REPLICATION, "silence-is-none", "a_host_that_cannot_be_reached_is_unknown"),
    case(REPLICATION, "believes-garbage", "garbage_is_never_believed_and_never_an_error", code=0),
    case(REPLICATION, "stumbles-over-garbage", "garbage_is_never_believed_and_never_an_error", code=1),
    case(REPLICATION, "stumbles-over-garbage", "a_partly_missing_answer_is_never_an_error"),
    case(REPLICATION, "remembers", "interpreting_is_pure"),
    case(REPLICATION, "nothing-to-do", "there_is_something_to_do", deed="promote"),
    case(REPLICATION, "list-of-steps", "steps_are_plain_data", deed="sync"),
    case(REPLICATION, "unknown-reference", "steps_are_plain_data", deed="sync"),
    case(REPLICATION, "plans-by-chance", "planning_touches_nothing", deed="sync"),
    case(REPLICATION, "shouted-name", "steps_are_worded_for_an_administrator", deed="sync"),
    case(REPLICATION, "same-name-twice", "steps_are_worded_for_an_administrator", deed="sync"),
    case(REPLICATION, "wordless", "steps_are_worded_for_an_administrator", deed="sync"),
    case(REPLICATION, "stray-host", "steps_are_worded_for_an_administrator", deed="sync"),
    case(REPLICATION, "changing-check", "checks_only_read", deed="sync"),
    case(REPLICATION, "believes-exit-status", "success_without_effect_is_noticed", deed="sync"),
    case(REPLICATION, "never-done", "a_second_run_changes_nothing", deed="sync"),
    case(REPLICATION, "works-in-probe", "a_dry_run_changes_nothing", deed="sync"),
    case(REPLICATION, "trips-over-leftovers", "it_ends_the_same_when_its_caller_dies_in_the_middle", deed="sync"),
    case(REPLICATION, "trips-over-leftovers", "it_ends_the_same_when_a_node_loses_power_in_the_middle", deed="sync"),
    case(REPLICATION, "silence-is-done", "an_unreachable_host_is_unknown_and_nothing_is_changed", deed="promote"),
    case(REPLICATION, "tells-secret", "no_secret_is_in_a_command", deed="sync"),
    # replication
    case(REPLICATION, "no-engines", "it_names_its_engines"),
    case(REPLICATION, "always-source", "the_role_is_observed"),
    case(REPLICATION, "forgets-time", "the_time_of_the_last_good_copy_is_observed"),
    case(REPLICATION, "loses-one", "the_copy_has_everything_written_before", verb="seed"),
    case(REPLICATION, "loses-one", "the_copy_has_everything_written_before", verb="sync"),
    case(REPLICATION, "empties-source", "copying_leaves_the_source_alone", verb="sync"),
    case(REPLICATION, "sends-always", "nothing_is_sent_when_nothing_changed"),
    case(REPLICATION, "ignores-xcatd", "a_database_under_a_running_xcatd_is_never_replaced", verb="seed"),
    case(REPLICATION, "ignores-xcatd", "a_database_under_a_running_xcatd_is_never_replaced", verb="promote"),
    case(REPLICATION, "clears-first", "a_broken_transfer_leaves_the_old_copy"),
    case(REPLICATION, "skips-last-records", "hand_over_loses_nothing"),
    case(REPLICATION, "loses-one", "after_a_hand_over_copies_flow_back"),
    case(REPLICATION, "hands-over-alone", "hand_over_needs_the_old_one"),
    case(REPLICATION, "asks-the-dead", "promoting_needs_no_other_node"),
    case(REPLICATION, "promotes-nothing", "nothing_is_promoted_where_no_copy_is"),
    case(REPLICATION, "saves-nothing", "divergence_is_saved_and_restorable"),
    case(REPLICATION, "breaks-saved", "divergence_is_saved_and_restorable"),
    case(REPLICATION, "denies-records", "the_record_question_reads_the_data"),
    case(REPLICATION, "sees-odd-names", "the_record_question_reads_the_data"),
    case(REPLICATION, "schema-of-its-own", "the_schema_is_known_or_said_not_to_be"),
    case(REPLICATION, "guesses-schema", "the_schema_is_known_or_said_not_to_be"),
    case(REPLICATION, "stale-question-changes", "stale_pointers_are_asked_for_by_reading_and_silence_is_not_fine"),
    case(REPLICATION, "silence-is-not-stale", "stale_pointers_are_asked_for_by_reading_and_silence_is_not_fine"),
    case(REPLICATION, "steps-back", "the_identity_change_needs_no_other_node"),
    # files
    case(FILES, "own-names", "steps_are_named_after_their_set"),
    case(FILES, "breaks-hard-links", "trees_become_equal"),
    case(FILES, "keeps-changes", "a_change_of_anything_is_brought_over"),
    case(FILES, "touches-source", "the_source_is_left_alone"),
    case(FILES, "ignores-excludes", "excludes_are_left_alone_on_both_sides"),
    case(FILES, "always-deletes", "without_delete_nothing_is_deleted"),
    case(FILES, "deletes-for-empty", "an_empty_source_deletes_nothing"),
    case(FILES, "missing-is-empty", "a_missing_source_deletes_nothing"),
    case(FILES, "deletes-up-to-limit", "too_many_deletions_delete_nothing"),
    case(FILES, "deletes-up-to-limit", "deletions_under_the_limit_go_through"),
    case(FILES, "ignores-mounts", "what_must_be_mounted_is_not_copied_unmounted"),
    case(FILES, "drops-kept-lines", "lines_to_keep_stay_each_nodes_own"),
    case(FILES, "globs-directory", "a_glob_means_what_it_matches_on_the_source"),
    case(FILES, "records-at-source", "the_last_sync_is_observed_where_it_was_received"),
    case(FILES, "small-time", "the_last_sync_is_observed_where_it_was_received"),
    case(FILES, "records-refusals", "a_refused_sync_is_not_recorded"),
    case(FILES, "believes-broken-link", "a_broken_link_is_no_success"),
    # identity
    case(IDENTITY, "keeps-own-name", "who_acquires_holds_everything", identity=IdentityMode.SERVICE_ADDRESS),
    case(IDENTITY, "sees-nothing-held", "who_acquires_holds_everything", identity=IdentityMode.SERVICE_ADDRESS),
    case(IDENTITY, "listed-last", "in_mode_replace_the_service_address_is_listed_first", identity=IdentityMode.REPLACE),
    case(
        IDENTITY,
        "wants-to-be-standby",
        "what_check_asks_of_a_node_holds_on_a_clean_one_whoever_has_the_role",
        identity=IdentityMode.SERVICE_ADDRESS,
    ),
    case(IDENTITY, "keeps-address", "who_releases_holds_nothing", identity=IdentityMode.SERVICE_ADDRESS),
    case(IDENTITY, "keeps-address", "the_other_node_can_have_it_next", identity=IdentityMode.SERVICE_ADDRESS),
    case(IDENTITY, "loses-own", "the_own_address_is_never_lost", identity=IdentityMode.SERVICE_ADDRESS),
    case(IDENTITY, "takes-in-use", "an_address_somebody_answers_for_is_not_taken", identity=IdentityMode.SERVICE_ADDRESS),
    case(IDENTITY, "always-free", "a_free_address_is_told_from_one_in_use", identity=IdentityMode.SERVICE_ADDRESS),
    case(IDENTITY, "enables-address", "nothing_survives_a_reboot", identity=IdentityMode.SERVICE_ADDRESS),
    case(IDENTITY, "stores-address", "nothing_survives_a_reboot", identity=IdentityMode.SERVICE_ADDRESS),
    case(IDENTITY, "stores-address", "nothing_is_written_that_survives_a_reboot", identity=IdentityMode.SERVICE_ADDRESS),
    case(IDENTITY, "release-always-acts", "releasing_what_is_not_held_is_done_already", identity=IdentityMode.SERVICE_ADDRESS),
    case(IDENTITY, "migrates-always", "a_node_with_its_own_address_needs_no_migration", identity=IdentityMode.SERVICE_ADDRESS),
    # services
    case(SERVICES, "inverts-running", "states_are_observed"),
    case(SERVICES, "sees-absent-units", "a_service_that_is_not_installed_is_absent"),
    case(SERVICES, "plans-for-absent", "what_is_not_installed_yields_no_steps"),
    case(SERVICES, "stop-does-nothing", "what_is_stopped_does_not_run"),
    case(SERVICES, "start-enables", "what_is_started_runs_and_is_not_enabled"),
    case(SERVICES, "disable-stops", "what_is_disabled_goes_on_running"),
    case(SERVICES, "disable-is-volatile", "what_is_disabled_does_not_start_at_boot"),
    case(SERVICES, "touches-all", "only_what_is_named_is_touched"),
    case(SERVICES, "reverses-order", "the_order_given_is_kept"),
    case(SERVICES, "forgets-first", "a_whole_role_is_stopped"),
    # schedule
    case(SCHEDULE, "forgets-one-job", "exactly_these_jobs_are_scheduled"),
    case(SCHEDULE, "keeps-old-jobs", "jobs_not_named_any_more_are_gone"),
    case(SCHEDULE, "splits-arguments", "a_job_runs_with_its_arguments_unchanged"),
    case(SCHEDULE, "always-well", "how_a_job_ran_is_observed"),
    case(SCHEDULE, "stops-but-one", "stopping_leaves_none"),
    case(SCHEDULE, "survives-boot", "a_node_that_boots_has_no_jobs"),
    case(SCHEDULE, "touches-peer", "the_other_node_is_left_alone"),
    # fence
    case(FENCE, "always-off", "a_node_that_holds_the_role_is_not_fenced"),
    case(FENCE, "silence-is-fenced", "silence_is_no_proof"),
    case(FENCE, "silence-of-fence-is-off", "a_silent_fence_is_unknown"),
    case(FENCE, "switch-does-nothing", "whoever_is_fenced_is_powerless"),
    case(FENCE, "needs-an-answer", "a_silent_node_is_fenced_or_the_steps_fail"),
    case(FENCE, "fences-itself", "whoever_fences_keeps_running"),
    case(FENCE, "silence-is-fenced", "an_order_followed_by_silence_is_no_proof"),
    case(FENCE, "remembers-the-order", "a_node_that_is_switched_on_again_is_not_taken_for_powerless"),
    # a fence that only a person can work
    case(HAND, "leaves-it-out-of-the-plan", "there_is_something_to_do", deed="fence"),
    case(HAND, "takes-it-for-done", "there_is_something_to_do", deed="fence"),
    case(HAND, "does-something", "a_second_run_changes_nothing", deed="fence"),
    case(HAND, "does-something", "it_ends_the_same_when_its_caller_dies_in_the_middle", deed="fence"),
    case(HAND, "takes-it-for-done", "it_ends_the_same_when_a_node_loses_power_in_the_middle", deed="fence"),
    case(HAND, "tells-secret", "no_secret_is_in_a_command", deed="fence"),
    case(HAND, "takes-it-for-done", "whoever_is_fenced_is_powerless"),
    case(HAND, "takes-it-for-done", "whoever_fences_keeps_running"),
    case(HAND, "takes-it-for-done", "a_node_that_holds_the_role_is_not_fenced"),
    # images
    case(IMAGES, "sees-holes-everywhere", "complete_images_lack_nothing"),
    case(IMAGES, "sees-no-holes", "a_missing_file_is_named"),
    case(IMAGES, "serves-first-only", "images_are_served_afterwards"),
    case(IMAGES, "serves-all", "only_the_images_named_are_touched"),
    case(IMAGES, "always-a-step", "no_images_need_no_steps"),
    case(IMAGES, "withdraws-elsewhere", "steps_that_a_driver_may_leave_out_are_plain_data_too"),
)


@pytest.fixture(autouse=True)
def _no_flaw_left() -> Iterator[None]:
    yield
    CURRENT.clear()


SITES: dict[str, SimulatedSite] = {}


def site_of(contract: type[Any]) -> SimulatedSite:
    """One for each contract; they are taken down when the process ends."""
    if contract.__name__ not in SITES:
        SITES[contract.__name__] = contract().make_site()
    return SITES[contract.__name__]


def keep_promise(contract_class: type[Any], promise: str, arguments: dict[str, Any]) -> None:
    """Run one contract test as pytest would."""
    contract, site = contract_class(), site_of(contract_class)
    site.fresh()
    site._situations.clear()  # they were made by a driver with other flaws
    given = {"site": site, "driver": contract.make_driver(site.pair), **arguments}
    if "deed" in arguments:
        given["deed"] = next(deed for deed in contract.deeds() if deed.name == arguments["deed"])
    if "identity" in arguments:
        given["identity"] = evolve(site.pair.identity, mode=arguments["identity"])
    wanted = inspect.signature(getattr(contract, promise)).parameters
    if "store" in wanted:
        given["store"] = contract.make_store()
    getattr(contract, promise)(**{name: given[name] for name in wanted})


@pytest.mark.parametrize(("contract", "flaw", "promise", "arguments"), CASES, ids=[f"{case[1]}-{case[2][5:]}" for case in CASES])
def test_a_flawed_driver_is_found_out(contract: type[Any], flaw: str, promise: str, arguments: dict[str, Any]) -> None:
    keep_promise(contract, promise, arguments)  # without the flaw it is kept
    CURRENT.add(flaw)
    with pytest.raises((AssertionError, XcatHaError, pytest.fail.Exception, ValueError, TypeError, KeyError, AttributeError)):
        keep_promise(contract, promise, arguments)


def test_every_promise_has_a_flawed_driver() -> None:
    contracts = (FILES, FENCE, IDENTITY, IMAGES, REPLICATION, SCHEDULE, SERVICES)
    promises = {name for contract in contracts for name in dir(contract) if name.startswith("test_")}
    assert promises - {case[2] for case in CASES} == set()
