"""Taps without the server or without the time, the release gesture, and opening from afar."""

from __future__ import annotations

from cubbyhole.domain import events as ev
from cubbyhole.domain.decide import GESTURE_AFTER_MS
from cubbyhole.domain.decision import Denied, Granted, Noted
from cubbyhole.domain.vocabulary import Alarm, Door, Mode, Outcome, Reason, Way
from tests.domain.bank_in_hand import (
    DAY_MS,
    HOUR_MS,
    MIDNIGHTS,
    BankInHand,
    badge,
    directory_of,
    people,
    person,
    rule,
    types,
)

# -- without the server, without the time ---------------------------------------------------------------------------


def test_offline_free_lockers_are_given_for_three_days_and_own_ones_open_for_thirty() -> None:
    bank = BankInHand()
    bank.learn(rule("long", mode=Mode.PERMANENT))
    bank.fold(ev.ContactLost(last_ms=bank.at_ms))
    bank.take("ada", "01")
    bank.at_ms += 72 * HOUR_MS
    bank.take("ben", "02")
    bank.at_ms += 1
    assert bank.refused("cleo", "03") is Reason.OFFLINE_TOO_LONG
    bank.at_ms += 27 * DAY_MS - 1
    bank.take("ada", "01")
    bank.at_ms += 1
    assert bank.refused("ada", "01") is Reason.OFFLINE_TOO_LONG
    bank.fold(ev.ContactRestored(lost_ms=0))
    bank.take("ada", "01")


def test_a_grant_without_the_server_says_so() -> None:
    bank = BankInHand()
    bank.fold(ev.ContactLost(last_ms=bank.at_ms))
    granted = bank.tap("ada", "01").events[-1]
    assert isinstance(granted, ev.AccessGranted)
    assert granted.offline


def test_when_the_calendar_has_run_out_no_day_locker_is_given() -> None:
    bank = BankInHand()
    bank.directory = directory_of(bank.rows, midnights=())
    assert bank.refused("ada", "01") is Reason.OFFLINE_TOO_LONG


def test_in_doubt_of_the_clock_nothing_ends_early_and_visitors_wait() -> None:
    rows = [*people("ada", "ben"), person("vera", until_ms=MIDNIGHTS[5]), badge("vera")]
    bank = BankInHand(rows=rows)
    bank.take("ada", "01")
    bank.take("vera", "02")
    bank.fold(ev.ClockDoubted(why="jump", offset_ms=0))
    bank.at_ms = MIDNIGHTS[0] + HOUR_MS
    assert bank.tick() == []
    bank.take("ada", "01")
    assert bank.refused("ben", "01") is Reason.TAKEN
    assert bank.refused("vera", "02") is Reason.CLOCK_IN_DOUBT


def test_an_assignment_given_in_doubt_gets_its_end_once_the_clock_is_trusted() -> None:
    bank = BankInHand()
    bank.fold(ev.ClockDoubted(why="jump", offset_ms=0))
    bank.take("ada", "01")
    held = bank.locker("01").assignment
    assert held is not None
    assert (held.ends_ms, held.timed) == (None, False)
    assert bank.tick() == []
    bank.fold(ev.ClockTrusted(source="server"))
    assert types(bank.tick()) == ["assignment.timed"]
    held = bank.locker("01").assignment
    assert held is not None
    assert (held.ends_ms, held.timed) == (MIDNIGHTS[0], True)
    assert bank.tick() == []


# -- the release gesture --------------------------------------------------------------------------------------------


def test_a_second_tap_at_the_open_door_arms_the_release_and_a_third_disarms_it() -> None:
    bank = BankInHand()
    bank.tap_and_open("ada", "01")
    assert isinstance(bank.tap("ada", "01", again=True), Granted), "too soon: that is impatience"
    bank.at_ms += GESTURE_AFTER_MS
    made = bank.tap("ada", "01", again=True)
    assert isinstance(made, Noted)
    assert made.armed
    assert bank.locker("01").armed
    made = bank.tap("ada", "01", again=True)
    assert isinstance(made, Noted)
    assert not bank.locker("01").armed


def test_somebody_elses_badge_at_the_open_door_releases_nothing() -> None:
    bank = BankInHand()
    bank.tap_and_open("ada", "01")
    bank.at_ms += GESTURE_AFTER_MS
    assert isinstance(bank.tap("ben", "01", again=True), Denied)
    assert not bank.locker("01").armed


# -- opening from afar ----------------------------------------------------------------------------------------------


def test_an_operator_opens_any_door_with_a_reason_and_the_holder_keeps_the_locker() -> None:
    bank = BankInHand()
    bank.take("ada", "01")
    made = bank.remote_open("01")
    assert isinstance(made, Granted)
    granted = made.events[0]
    assert isinstance(granted, ev.AccessGranted)
    assert (granted.way, granted.reason, granted.person) == (Way.COMMAND, "desk", None)
    assert types(made.events) == ["access.granted", "command.done"]
    assert bank.locker("01").assignment is not None


def test_a_door_is_not_opened_from_afar_blindly_twice_at_once_or_against_the_rule() -> None:
    bank = BankInHand(rows=[person("ada", "board"), badge("ada"), rule("no", groups=("board",), remote_open=False)])
    assert isinstance(bank.remote_open("01"), Granted)
    for number, reason in (("01", Reason.BUSY), ("77", Reason.UNKNOWN_LOCKER)):
        made = bank.remote_open(number)
        assert isinstance(made, Denied)
        assert made.reason is reason
        assert types(made.events) == ["command.done"]
    bank.take("ada", "02")
    made = bank.remote_open("02")
    assert isinstance(made, Denied)
    assert made.reason is Reason.NOT_ALLOWED_REMOTELY, "the rule of the holder's group counts"
    bank.fold(ev.LinkLost(link="bus", lockers=("03",)))
    made = bank.remote_open("03")
    assert isinstance(made, Denied)
    assert made.reason is Reason.DOOR_UNKNOWN


def test_a_jammed_door_raises_an_alarm_that_opening_by_its_holder_clears() -> None:
    bank = BankInHand()
    made = bank.tap("ada", "01")
    assert isinstance(made, Granted)
    bank.fold(ev.UnlockSettled(grant=made.grant, locker="01", outcome=Outcome.JAMMED))
    assert bank.locker("01").alarm is Alarm.JAMMED
    bank.take("ada", "01")
    assert bank.locker("01").alarm is None
    assert bank.locker("01").door is Door.CLOSED
