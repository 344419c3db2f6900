"""Who gets which door when somebody taps."""

from __future__ import annotations

import pytest

from cubbyhole.domain import events as ev
from cubbyhole.domain.decision import Denied, Granted
from cubbyhole.domain.directory import Row
from cubbyhole.domain.opening import Window
from cubbyhole.domain.rules import ScopeKind
from cubbyhole.domain.vocabulary import Cause, Contents, Mode, Occupancy, Purpose, Reason, Way
from tests.domain.bank_in_hand import (
    HOUR_MS,
    MIDNIGHTS,
    BankInHand,
    badge,
    people,
    person,
    rule,
    types,
)


def test_a_free_locker_opens_and_is_theirs_until_midnight() -> None:
    bank = BankInHand()
    made = bank.tap("ada", "02")
    assert isinstance(made, Granted)
    assert made.unlock
    assert types(made.events) == ["person.bound", "assignment.started", "access.granted"]
    held = bank.locker("02").assignment
    assert held is not None
    assert (held.person, held.mode, held.ends_ms) == ("p_ada", Mode.DAY, MIDNIGHTS[0])


def test_the_holder_opens_again_without_a_new_assignment_and_is_bound_once() -> None:
    bank = BankInHand()
    bank.take("ada", "02")
    assert types(bank.tap("ada", "02").events) == ["access.granted"]


def test_somebody_else_is_refused_and_the_refusal_is_an_event() -> None:
    bank = BankInHand()
    bank.take("ada", "02")
    assert bank.refused("ben", "02") is Reason.TAKEN


def test_the_limit_holds_and_the_rule_that_set_it_is_named() -> None:
    bank = BankInHand()
    bank.take("ada", "01")
    assert bank.refused("ada", "02") is Reason.LIMIT_REACHED
    bank.learn(rule("two", max_lockers=2))
    bank.take("ada", "02")
    made = bank.tap("ada", "03")
    assert isinstance(made, Denied)
    assert (made.reason, made.rule) == (Reason.LIMIT_REACHED, "two")


def test_an_unknown_badge_is_named_by_its_commitment_only() -> None:
    bank = BankInHand()
    denied = bank.tap("nobody", "01").events[-1]
    assert isinstance(denied, ev.TapDenied)
    assert (denied.reason, denied.credential, denied.person) == (Reason.UNKNOWN_CREDENTIAL, "x_nobody", None)


def test_blocked_inactive_and_expired_people_stay_outside() -> None:
    rows: list[Row] = [person("ada"), badge("ada", blocked=True), person("ben", active=False), badge("ben")]
    rows += [person("cleo", until_ms=BankInHand().at_ms), badge("cleo"), badge("ghost")]
    bank = BankInHand(rows=rows)
    assert bank.refused("ada", "01") is Reason.CREDENTIAL_BLOCKED
    assert bank.refused("ben", "01") is Reason.PERSON_INACTIVE
    assert bank.refused("cleo", "01") is Reason.PERSON_INACTIVE
    assert bank.refused("ghost", "01") is Reason.PERSON_INACTIVE


def test_without_a_directory_nobody_gets_anything() -> None:
    bank = BankInHand()
    bank.directory.version = 0
    assert bank.refused("ada", "01") is Reason.NO_DIRECTORY


def test_a_locker_that_the_bank_does_not_have_is_said_so() -> None:
    assert BankInHand().refused("ada", "99") is Reason.UNKNOWN_LOCKER


def test_a_rule_keeps_lockers_for_a_group_and_is_named() -> None:
    it = rule("it-only", only_groups=("it",))
    bank = BankInHand(rows=[person("ada", "it"), badge("ada"), *people("ben"), it])
    made = bank.tap("ben", "01")
    assert isinstance(made, Denied)
    assert (made.reason, made.rule) == (Reason.NOT_ENTITLED, "it-only")
    bank.take("ada", "01")


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (ev.OutOfService(locker="01", reason="hinge"), Reason.OUT_OF_SERVICE),
        (ev.CheckNeeded(locker="01", why="forced"), Reason.CHECK_FIRST),
        (ev.OccupancyChanged(locker="01", occupancy=Occupancy.OCCUPIED), Reason.NOT_EMPTY),
        (ev.DoorOpened(locker="01"), Reason.DOOR_OPEN),
        (ev.LinkLost(link="bus", lockers=("01",)), Reason.DOOR_UNKNOWN),
        (ev.DoorForced(locker="01"), Reason.ALARM),
    ],
)
def test_a_locker_that_is_not_surely_free_is_not_given(event: ev.Event, reason: Reason) -> None:
    bank = BankInHand()
    bank.fold(event)
    assert bank.refused("ada", "01") is reason
    assert bank.locker("01").assignment is None


def test_a_door_that_was_never_read_is_not_given() -> None:
    assert BankInHand(seen=False).refused("ada", "01") is Reason.DOOR_UNKNOWN


def test_holders_open_their_own_out_of_service_or_alarmed_locker_but_not_a_blind_one() -> None:
    bank = BankInHand()
    bank.take("ada", "01")
    bank.fold(ev.OutOfService(locker="01", reason="hinge"), ev.DoorForced(locker="01"), ev.DoorClosed(locker="01"))
    bank.take("ada", "01")
    assert bank.locker("01").alarm is None, "its holder has looked"
    bank.fold(ev.LinkLost(link="bus", lockers=("01",)))
    assert bank.refused("ada", "01") is Reason.DOOR_UNKNOWN


def test_an_open_door_needs_no_pulse() -> None:
    bank = BankInHand()
    made = bank.tap_and_open("ada", "01")
    again = bank.tap("ada", "01")
    assert isinstance(again, Granted)
    assert not again.unlock
    assert again.grant != made.grant
    assert types(again.events) == ["access.granted", "unlock.settled"]
    assert bank.state.open_grants() == []


def test_one_pulse_at_a_time_and_no_assignment_beside_a_refusal() -> None:
    bank = BankInHand()
    assert isinstance(bank.remote_open("01"), Granted)
    made = bank.tap("ada", "01")
    assert isinstance(made, Denied)
    assert made.reason is Reason.BUSY
    assert "assignment.started" not in types(made.events), "or she would hold what did not open"
    assert bank.locker("01").assignment is None


# -- the end of the day ---------------------------------------------------------------------------------------------


def test_a_right_ends_when_it_is_used_too_late_not_when_a_timer_comes() -> None:
    bank = BankInHand()
    bank.take("ada", "01")
    bank.at_ms = MIDNIGHTS[0]
    made = bank.tap("ben", "01")
    assert isinstance(made, Granted)
    ended = made.events[0]
    assert isinstance(ended, ev.AssignmentEnded)
    assert (ended.cause, ended.ended_ms, ended.person) == (Cause.EXPIRED, MIDNIGHTS[0], "p_ada")
    held = bank.locker("01").assignment
    assert held is not None
    assert held.person == "p_ben"


def test_a_right_is_good_until_the_last_millisecond() -> None:
    bank = BankInHand()
    bank.take("ada", "01")
    bank.at_ms = MIDNIGHTS[0] - 1
    assert bank.refused("ben", "01") is Reason.TAKEN
    assert types(bank.tap("ada", "01").events) == ["access.granted"]


def test_the_same_person_gets_a_new_day_at_the_same_locker() -> None:
    bank = BankInHand()
    bank.take("ada", "01")
    first = bank.locker("01").assignment
    bank.at_ms = MIDNIGHTS[0] + HOUR_MS
    assert types(bank.tap("ada", "01").events) == ["assignment.ended", "assignment.started", "access.granted"]
    second = bank.locker("01").assignment
    assert first is not None
    assert second is not None
    assert first.assignment != second.assignment
    assert second.ends_ms == MIDNIGHTS[1]


def test_a_due_locker_elsewhere_does_not_count_against_the_limit() -> None:
    bank = BankInHand()
    bank.take("ada", "01")
    bank.at_ms = MIDNIGHTS[0]
    bank.take("ada", "02")


def test_where_the_rule_says_check_first_the_former_holder_fetches_and_nobody_else_gets_it() -> None:
    bank = BankInHand(rows=[*people("ada", "ben"), rule("look", contents=Contents.CHECK)])
    bank.take("ada", "01")
    bank.at_ms = MIDNIGHTS[0]
    bank.tick()
    assert bank.locker("01").check == "contents_unknown"
    assert bank.refused("ben", "01") is Reason.CHECK_FIRST
    made = bank.tap_and_open("ada", "01")
    granted = next(e for e in made.events if isinstance(e, ev.AccessGranted))
    assert (granted.way, granted.assignment, granted.rule) == (Way.RETRIEVE, None, "look")
    assert bank.locker("01").assignment is None


def test_a_former_holder_over_the_limit_still_fetches_what_is_inside() -> None:
    bank = BankInHand()
    bank.take("ada", "01")
    bank.at_ms = MIDNIGHTS[0]
    bank.tick()
    bank.take("ada", "02")
    granted = next(e for e in bank.tap("ada", "01").events if isinstance(e, ev.AccessGranted))
    assert granted.way is Way.RETRIEVE


def test_a_former_holder_who_lost_the_entitlement_still_fetches_what_is_inside() -> None:
    bank = BankInHand()
    bank.take("ada", "01")
    bank.at_ms = MIDNIGHTS[0]
    bank.tick()
    bank.learn(rule("it-only", only_groups=("it",)))
    granted = next(e for e in bank.tap("ada", "01").events if isinstance(e, ev.AccessGranted))
    assert granted.way is Way.RETRIEVE


def test_a_former_holder_is_not_let_into_a_door_that_the_bank_cannot_see() -> None:
    bank = BankInHand()
    bank.take("ada", "01")
    bank.at_ms = MIDNIGHTS[0]
    bank.tick()
    bank.fold(ev.LinkLost(link="bus", lockers=("01",)))
    assert bank.refused("ada", "01") is Reason.DOOR_UNKNOWN


def test_a_former_holder_has_no_right_once_somebody_took_it_or_where_it_was_empty() -> None:
    bank = BankInHand(senses_occupancy=True)
    bank.take("ada", "01")
    bank.sense("01", Occupancy.EMPTY)
    bank.at_ms = MIDNIGHTS[0]
    bank.tick()
    assert bank.locker("01").former is None
    bank.take("ben", "02")
    bank.at_ms = MIDNIGHTS[1]
    bank.tick()
    bank.take("cleo", "02")
    assert bank.refused("ben", "02") is Reason.TAKEN


def test_an_operator_ends_it_and_the_things_inside_stay_the_former_holders() -> None:
    bank = BankInHand(senses_occupancy=True)
    bank.take("ada", "01")
    bank.sense("01", Occupancy.OCCUPIED)
    ended = bank.end("01", Cause.OPERATOR)
    assert (ended.former_may_open, ended.check, ended.ended_ms) == (True, "not_empty", bank.at_ms)
    assert bank.refused("ben", "01") is Reason.CHECK_FIRST
    assert isinstance(bank.tap("ada", "01"), Granted)


# -- the bank's shared reader ---------------------------------------------------------------------------------------


def test_at_the_shared_reader_the_smallest_plain_locker_is_given_then_ones_own_opens() -> None:
    bank = BankInHand()
    assert bank.take("ada", None) == "01", "05 is smaller, but low, and stays for those who need it"
    assert bank.take("ada", None) == "01"
    assert bank.take("ben", None) == "02"


def test_at_the_shared_reader_several_lockers_need_a_choice() -> None:
    bank = BankInHand(rows=[*people("ada"), rule("two", max_lockers=2)])
    bank.take("ada", "01")
    bank.take("ada", "02")
    assert bank.refused("ada", None) is Reason.SEVERAL_LOCKERS


def test_at_the_shared_reader_a_locker_whose_time_is_over_is_no_choice_any_more() -> None:
    bank = BankInHand()
    bank.take("ada", "01")
    bank.order("assign", "02", person="p_ada", mode=Mode.PERMANENT)
    assert bank.refused("ada", None) is Reason.SEVERAL_LOCKERS
    bank.at_ms = MIDNIGHTS[0]
    made = bank.tap("ada", None)
    assert isinstance(made, Granted)
    assert made.locker == "02"
    assert types(made.events) == ["assignment.ended", "access.granted"]


def test_at_the_shared_reader_yesterdays_things_come_first_and_then_a_new_locker() -> None:
    bank = BankInHand(rows=[*people("ada", "ben"), rule("look", contents=Contents.CHECK)])
    bank.take("ada", "03")
    bank.at_ms = MIDNIGHTS[0] + 8 * HOUR_MS  # no timer has ended it
    made = bank.tap_and_open("ada", None)
    assert made.locker == "03"
    assert types(made.events)[0] == "assignment.ended"
    bank.fold(ev.DoorClosed(locker="03"))
    assert bank.take("ada", None) == "01"


def test_at_the_shared_reader_a_full_bank_and_a_bank_for_others_are_told_apart() -> None:
    bank = BankInHand(rows=[person("ada", "it"), badge("ada"), *people("ben")], columns=("M",))
    bank.learn(rule("it-only", only_groups=("it",)))
    assert bank.refused("ben", None) is Reason.NOT_ENTITLED
    bank.take("ada", None)
    assert bank.refused("ben", None) is Reason.NOTHING_FREE


# -- what rules say at the door ---------------------------------------------------------------------------------


def test_a_locker_of_another_purpose_or_size_is_not_given_by_a_tap() -> None:
    parcels = rule("parcels", scope=ScopeKind.LOCKER, scope_value="A-01", purpose=Purpose.PARCEL)
    small = rule("small", scope=ScopeKind.LOCKER, scope_value="A-04", sizes=("S",))
    bank = BankInHand(rows=[*people("ada"), parcels, small])
    assert bank.refused("ada", "01") is Reason.OTHER_PURPOSE
    assert bank.refused("ada", "04") is Reason.SIZE_NOT_ALLOWED
    assert bank.take("ada", "02") == "02"


def test_at_the_shared_reader_only_what_may_be_theirs_is_looked_at() -> None:
    parcels = rule("parcels", scope=ScopeKind.LOCKER, scope_value="A-01", purpose=Purpose.PARCEL)
    bank = BankInHand(rows=[*people("ada", "ben"), parcels])
    assert bank.take("ada", None) != "01"
    nothing = BankInHand(rows=[*people("ada"), rule("all", purpose=Purpose.PARCEL)])
    assert nothing.refused("ada", None) is Reason.OTHER_PURPOSE


def test_outside_its_hours_a_locker_opens_for_nobody_and_the_rule_is_named() -> None:
    bank = BankInHand(rows=[*people("ada"), rule("week", opening=(Window(0, 420, 1140),))])
    bank.take("ada", "01")
    bank.at_ms += 8 * HOUR_MS
    made = bank.tap("ada", "01")
    assert isinstance(made, Denied)
    assert (made.reason, made.rule) == (Reason.OUTSIDE_HOURS, "week")


def test_in_doubt_of_the_clock_nobody_is_kept_from_their_own_by_opening_hours() -> None:
    bank = BankInHand(rows=[*people("ada"), rule("week", opening=(Window(0, 420, 1140),))])
    bank.take("ada", "01")
    bank.fold(ev.ClockDoubted(why="jump", offset_ms=1))
    bank.at_ms += 8 * HOUR_MS
    bank.take("ada", "01")


def test_where_a_rule_wants_a_second_factor_a_badge_alone_opens_nothing() -> None:
    bank = BankInHand(rows=[*people("ada"), rule("pin", second_factor=True)])
    assert bank.refused("ada", "01") is Reason.SECOND_FACTOR
    assert isinstance(bank.tap("ada", "01", second_factor=True), Granted)
