"""What a person at the door gets: decisions of the core on its real store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cubbyhole.domain import events as ev
from cubbyhole.domain.decision import Denied, Granted, Noted
from cubbyhole.domain.rules import Rule
from cubbyhole.domain.vocabulary import Alarm, Cause, Contents, Door, Outcome, Reason
from cubbyhole.edge import inputs as io
from tests.edge.bank_bench import HOUR_MS, MIDNIGHTS, PEOPLE, BankBench, badge, person, unlocks


@pytest.fixture
def bank(tmp_path: Path) -> BankBench:
    return BankBench(tmp_path).ready()


def said(effects: list[io.Effect]) -> Any:
    (one,) = [e.decision for e in effects if isinstance(e, io.Said)]
    return one


def test_a_tap_on_a_free_locker_opens_it_and_makes_it_theirs_until_midnight(bank: BankBench) -> None:
    effects = bank.tap("ada")
    assert isinstance(said(effects), Granted)
    assert [u.locker for u in unlocks(effects)] == ["03"]
    held = bank.core.state.lockers["03"].assignment
    assert held is not None and (held.person, held.ends_ms) == ("p_ada", MIDNIGHTS[0])


def test_the_grant_is_on_the_disk_before_the_unlock_is_asked_for(bank: BankBench) -> None:
    (unlock,) = unlocks(bank.tap("ada"))
    assert unlock.grant in [g.grant for g in bank.of(ev.AccessGranted) if isinstance(g, ev.AccessGranted)]


def test_a_door_that_opens_after_the_pulse_settles_the_grant_as_opened(bank: BankBench) -> None:
    bank.open_with("ada")
    (settled,) = bank.of(ev.UnlockSettled)
    assert isinstance(settled, ev.UnlockSettled) and settled.outcome is Outcome.OPENED
    assert bank.core.state.lockers["03"].door is Door.OPEN


def test_somebody_elses_locker_stays_shut_and_the_denial_is_in_the_journal(bank: BankBench) -> None:
    bank.open_with("ada")
    bank.see(d03=False)
    effects = bank.tap("ben")
    assert said(effects).reason is Reason.TAKEN and not unlocks(effects)
    (denied,) = bank.of(ev.TapDenied)
    assert isinstance(denied, ev.TapDenied) and denied.person == "p_ben"


def test_an_unknown_badge_is_denied_and_appears_only_as_a_commitment(bank: BankBench) -> None:
    assert said(bank.tap("nobody")).reason is Reason.UNKNOWN_CREDENTIAL
    (denied,) = bank.of(ev.TapDenied)
    assert isinstance(denied, ev.TapDenied) and str(denied.credential).startswith("x_")


def test_a_second_locker_is_refused_by_the_rule_and_names_it(bank: BankBench) -> None:
    bank.open_with("ada")
    decision = said(bank.tap("ada", "04"))
    assert (decision.reason, decision.rule) == (Reason.LIMIT_REACHED, "default")


def test_a_blocked_badge_and_an_inactive_person_are_denied_with_their_own_reasons(tmp_path: Path) -> None:
    bank = BankBench(tmp_path).ready(
        person("ada"), badge("ada", blocked=True), person("ben", active=False), badge("ben")
    )
    assert said(bank.tap("ada")).reason is Reason.CREDENTIAL_BLOCKED
    assert said(bank.tap("ben", "04")).reason is Reason.PERSON_INACTIVE


def test_a_locker_whose_door_stands_open_is_not_given_out(bank: BankBench) -> None:
    bank.see(d04=True)
    assert said(bank.tap("ada", "04")).reason in (Reason.DOOR_OPEN, Reason.ALARM)


def test_a_door_that_nobody_released_is_forced_and_needs_a_check(bank: BankBench) -> None:
    bank.see(d02=True)
    s = bank.core.state.lockers["02"]
    assert (s.alarm, s.check) == (Alarm.FORCED, "forced")
    bank.see(d02=False)
    assert said(bank.tap("ada", "02")).reason is Reason.ALARM


def test_a_door_that_does_not_open_while_its_lock_says_secured_is_jammed(bank: BankBench) -> None:
    bank.pulse(bank.tap("ada"))
    bank.clock.pass_ms(100)
    bank.see()  # while the pulse lasts the lock has not moved
    bank.clock.pass_ms(6_000)
    bank.see()
    (settled,) = bank.of(ev.UnlockSettled)
    assert isinstance(settled, ev.UnlockSettled) and settled.outcome is Outcome.JAMMED
    assert bank.core.state.lockers["03"].alarm is Alarm.JAMMED


def test_a_door_left_open_raises_held_open_and_closing_it_clears_the_alarm(bank: BankBench) -> None:
    bank.open_with("ada")
    bank.clock.pass_ms(61_000)
    bank.see()
    assert bank.core.state.lockers["03"].alarm is Alarm.HELD_OPEN
    bank.see(d03=False)
    assert bank.core.state.lockers["03"].alarm is None


def test_two_taps_at_ones_own_open_door_release_it_when_it_closes(bank: BankBench) -> None:
    bank.open_with("ada")
    bank.clock.pass_ms(4_000)
    bank.tap("ada")
    bank.clock.pass_ms(1_500)
    effects = bank.tap("ada")
    assert isinstance(said(effects), Noted)
    assert io.Light("03", io.Look.RELEASING) in effects
    bank.see(d03=False)
    (ended,) = bank.of(ev.AssignmentEnded)
    assert isinstance(ended, ev.AssignmentEnded) and ended.cause is Cause.RELEASED
    assert bank.core.state.lockers["03"].assignment is None


def test_impatient_taps_right_after_opening_release_nothing(bank: BankBench) -> None:
    bank.open_with("ada")
    for _ in range(3):
        bank.clock.pass_ms(800)
        bank.tap("ada")
    bank.see(d03=False)
    assert bank.core.state.lockers["03"].assignment is not None


def test_at_midnight_the_locker_goes_back_and_the_former_holder_can_still_fetch_their_things(bank: BankBench) -> None:
    bank.open_with("ada")
    bank.see(d03=False)
    bank.tick(13 * HOUR_MS)
    s = bank.core.state.lockers["03"]
    assert s.assignment is None and s.former is not None and s.not_offered() is None
    assert said(bank.tap("ben")).person == "p_ben"


def test_a_right_that_is_used_after_its_end_is_over_even_before_the_timer_comes(bank: BankBench) -> None:
    bank.open_with("ada")
    bank.see(d03=False)
    bank.clock.pass_ms(13 * HOUR_MS)
    decision = said(bank.tap("ben"))
    assert isinstance(decision, Granted) and bank.core.state.lockers["03"].assignment.person == "p_ben"  # type: ignore[union-attr]


def test_where_the_rule_says_check_first_the_locker_is_not_offered_but_opens_for_its_last_holder(
    tmp_path: Path,
) -> None:
    check = Rule(rule="r1", title="Check", contents=Contents.CHECK)
    bank = BankBench(tmp_path).ready(*PEOPLE, check)
    bank.open_with("ada")
    bank.see(d03=False)
    bank.tick(13 * HOUR_MS)
    assert said(bank.tap("ben")).reason is Reason.CHECK_FIRST
    bank.clock.pass_ms(1_000)
    assert isinstance(said(bank.tap("ada")), Granted)
    assert bank.core.state.lockers["03"].assignment is None


def test_a_crash_between_grant_and_outcome_leaves_it_unknown_and_sends_nothing_again(bank: BankBench) -> None:
    (unlock,) = unlocks(bank.tap("ada"))
    bank.store.close()
    core = bank.boot()
    assert not core.state.open_grants()
    (settled,) = bank.of(ev.UnlockSettled)
    assert isinstance(settled, ev.UnlockSettled) and (settled.grant, settled.outcome) == (unlock.grant, Outcome.UNKNOWN)


def test_a_clock_behind_the_journal_is_doubted_and_nothing_ends_early_until_the_server_agrees(tmp_path: Path) -> None:
    bank = BankBench(tmp_path, synced=False).ready()
    bank.open_with("ada")
    bank.see(d03=False)
    bank.store.close()
    bank.clock.wall -= HOUR_MS
    core = bank.boot()
    assert core.state.clock_in_doubt
    bank.see()
    bank.clock.wall += 30 * HOUR_MS
    bank.tick()
    assert core.state.lockers["03"].assignment is not None
    assert isinstance(said(bank.tap("ada")), Granted)
    core.handle([io.ServerAnswered(bank.clock.wall, 5)])
    assert not core.state.clock_in_doubt
    bank.tick()
    assert core.state.lockers["03"].assignment is None


def test_a_locker_given_while_the_clock_is_in_doubt_gets_its_end_once_the_clock_is_trusted(tmp_path: Path) -> None:
    bank = BankBench(tmp_path, synced=False).ready()
    bank.store.close()
    bank.clock.wall -= 2 * HOUR_MS
    core = bank.boot()
    bank.see()
    bank.tap("ada")
    held = core.state.lockers["03"].assignment
    assert held is not None and held.ends_ms is None
    bank.clock.wall += 26 * HOUR_MS
    core.handle([io.ServerAnswered(bank.clock.wall, 5)])
    bank.tick()
    held = core.state.lockers["03"].assignment
    assert held is not None and held.ends_ms == MIDNIGHTS[1]


def test_after_seventy_two_hours_without_contact_free_lockers_are_kept_back_but_holders_open_theirs(
    tmp_path: Path,
) -> None:
    term = Rule(rule="term", title="Permanent", groups=("staff",), mode=None)
    bank = BankBench(tmp_path).ready(*PEOPLE, term)
    bank.core.handle([io.ServerSilent(bank.clock.wall)])
    bank.clock.pass_ms(71 * HOUR_MS)
    bank.open_with("ada")
    bank.see(d03=False)
    bank.clock.pass_ms(2 * HOUR_MS)
    assert said(bank.tap("ben", "04")).reason is Reason.OFFLINE_TOO_LONG
    assert isinstance(said(bank.tap("ada")), Granted)


def test_a_badge_held_against_the_reader_is_one_tap(bank: BankBench) -> None:
    bank.tap("ada")
    bank.clock.pass_ms(300)
    assert bank.tap("ada") == []


def test_a_tap_that_waited_too_long_is_denied_as_late(bank: BankBench) -> None:
    stale = io.TapSeen("03", "uid:ada", bank.clock.mono - 3_000)
    decision = said(bank.core.handle([stale]))
    assert isinstance(decision, Denied) and decision.reason is Reason.LATE


def test_two_people_at_one_door_in_the_same_group_get_one_grant(bank: BankBench) -> None:
    now = bank.clock.mono
    effects = bank.core.handle([io.TapSeen("03", "uid:ada", now), io.TapSeen("03", "uid:ben", now)])
    assert len(unlocks(effects)) == 1
    holder = bank.core.state.lockers["03"].assignment
    assert holder is not None and holder.person == "p_ada"


def test_at_the_shared_reader_the_one_locker_that_is_held_opens_and_otherwise_a_small_plain_one_is_given(
    bank: BankBench,
) -> None:
    first = said(bank.tap("ada", None))
    assert isinstance(first, Granted) and first.locker == "07"
    bank.see(d07=True)
    bank.see(d07=False)
    bank.clock.pass_ms(1_000)
    assert said(bank.tap("ada", None)).locker == "07"


def test_a_silent_board_makes_its_doors_unknown_and_its_free_lockers_are_not_given(bank: BankBench) -> None:
    bank.core.handle([io.LinkDown("bus/1", tuple(bank.core.state.lockers))])
    assert said(bank.tap("ada")).reason is Reason.DOOR_UNKNOWN
    bank.see()
    bank.clock.pass_ms(1_000)
    assert isinstance(said(bank.tap("ada")), Granted)
