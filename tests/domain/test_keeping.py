"""A locker while it is somebody's: got from afar, renewed, shared, handed over, moved, given back."""

from __future__ import annotations

import pytest

from cubbyhole.domain import events as ev
from cubbyhole.domain.decide import GESTURE_AFTER_MS
from cubbyhole.domain.decision import Executed, Granted, Noted
from cubbyhole.domain.ending import all_due, untimed
from cubbyhole.domain.opening import Window
from cubbyhole.domain.vocabulary import Cause, Contents, Mode, Occupancy, Outcome, Purpose, Reason, Way
from tests.domain.bank_in_hand import (
    DAY_MS,
    HOUR_MS,
    MIDNIGHTS,
    NOON_MS,
    BankInHand,
    badge,
    people,
    person,
    rule,
    types,
)

MINUTE_MS = 60_000


def bank_with(*rows: object, names: tuple[str, ...] = ("ada", "ben", "cleo"), **more: object) -> BankInHand:
    return BankInHand(rows=[*people(*names), *rows], **more)  # type: ignore[list-item, arg-type]


def order(bank: BankInHand, kind: str, number: str, **more: object) -> Executed:
    """What somebody asks for themselves about the locker that they hold."""
    held = bank.locker(number).assignment
    said = {"self_service": True, "assignment": held.assignment if held is not None else None, **more}
    return bank.order(kind, number, **said)


def ask(bank: BankInHand, name: str, *candidates: str, **more: object) -> Executed:
    """Somebody asks for a locker from afar."""
    return bank.order(
        "assign", candidates[0], person=f"p_{name}", candidates=candidates, self_service=True, hold=True, **more
    )


def ends(bank: BankInHand, number: str) -> int | None:
    held = bank.locker(number).assignment
    assert held is not None
    return held.ends_ms


# -- got from afar ----------------------------------------------------------------------------------------------


def test_who_asks_gets_the_first_of_the_lockers_that_is_still_free() -> None:
    bank = bank_with()
    bank.take("ben", "02")
    made = ask(bank, "ada", "02", "03", "01")
    assert made.reason is None
    held = bank.locker("03").assignment
    assert held is not None
    assert (held.person, held.ends_ms, held.hold_until_ms) == ("p_ada", MIDNIGHTS[0], NOON_MS + 15 * MINUTE_MS)


def test_a_hold_lapses_unless_it_is_opened_in_time_and_nothing_is_inside() -> None:
    bank = bank_with(rule("check", contents=Contents.CHECK))
    ask(bank, "ada", "01")
    bank.at_ms += 15 * MINUTE_MS - 1
    assert bank.tick() == []
    bank.at_ms += 1
    (ended,) = bank.tick()
    assert isinstance(ended, ev.AssignmentEnded)
    assert (ended.cause, ended.former_may_open, ended.check) == (Cause.LAPSED, False, None)
    assert bank.locker("01").not_offered() is None


def test_a_hold_that_was_opened_stays_until_its_end() -> None:
    bank = bank_with()
    ask(bank, "ada", "01")
    bank.take("ada", "01")
    bank.at_ms += HOUR_MS
    assert bank.tick() == []
    assert ends(bank, "01") == MIDNIGHTS[0]


def test_what_somebody_else_left_in_a_hold_that_lapsed_is_looked_at() -> None:
    bank = bank_with(senses_occupancy=True)
    ask(bank, "ada", "01")
    bank.sense("01", Occupancy.OCCUPIED)
    bank.at_ms += 15 * MINUTE_MS
    (ended,) = bank.tick()
    assert isinstance(ended, ev.AssignmentEnded)
    assert (ended.former_may_open, ended.check) == (False, "not_empty")


def test_an_operator_who_looks_inside_does_not_take_a_hold_up_for_its_holder() -> None:
    bank = bank_with()
    ask(bank, "ada", "01")
    made = bank.remote_open("01")
    assert isinstance(made, Granted)
    bank.open_door("01", made.grant)
    bank.at_ms += 15 * MINUTE_MS
    (ended,) = bank.tick()
    assert isinstance(ended, ev.AssignmentEnded) and ended.cause is Cause.LAPSED


def test_a_lapsed_hold_is_the_next_ones_at_once_without_a_timer() -> None:
    bank = bank_with()
    ask(bank, "ada", "01")
    bank.at_ms += 16 * MINUTE_MS
    assert bank.take("ben", "01") == "01"
    assert bank.take("ada", "02") == "02"


def test_who_asks_for_themselves_keeps_to_the_limit_and_an_operator_need_not() -> None:
    bank = bank_with()
    bank.take("ada", "01")
    assert ask(bank, "ada", "02", "03").reason is Reason.LIMIT_REACHED
    assert "limit.exceeded" in types(bank.order("assign", "02", person="p_ada").events)


@pytest.mark.parametrize(
    ("settings", "more", "reason"),
    [
        ({"only_groups": ("board",)}, {}, Reason.NOT_ENTITLED),
        ({"sizes": ("L",)}, {}, Reason.SIZE_NOT_ALLOWED),
        ({}, {"mode": Mode.TERM}, Reason.MODE_NOT_ALLOWED),
        ({"longest": Mode.HOURS}, {"mode": Mode.DAY}, Reason.MODE_NOT_ALLOWED),
        ({"opening": (Window(0, 780, 1020),)}, {}, Reason.OUTSIDE_HOURS),  # it is Monday noon
        ({"opening": (Window(0, 420, 1020),)}, {}, None),
        ({"purpose": Purpose.PARCEL}, {}, Reason.OTHER_PURPOSE),
    ],
)
def test_who_asks_for_themselves_keeps_to_the_rules(
    settings: dict[str, object], more: dict[str, object], reason: Reason | None
) -> None:
    bank = bank_with(rule("r", **settings))
    assert ask(bank, "ada", "01", "02", **more).reason is reason


def test_a_mode_that_the_rules_allow_is_given_with_its_own_end() -> None:
    bank = bank_with(rule("r", longest=Mode.TERM, hours=3, term_days=10, max_lockers=3))
    for number, mode in (("01", Mode.HOURS), ("02", Mode.TERM)):
        assert ask(bank, "ada", number, mode=mode).reason is None
    assert (ends(bank, "01"), ends(bank, "02")) == (NOON_MS + 3 * HOUR_MS, MIDNIGHTS[9])


def test_a_hold_given_in_doubt_of_the_clock_that_lapsed_gets_no_end_any_more() -> None:
    bank = bank_with()
    bank.fold(ev.ClockDoubted(why="jump", offset_ms=1))
    ask(bank, "ada", "01")
    bank.at_ms += 16 * MINUTE_MS
    bank.fold(ev.ClockTrusted(source="server"))
    state = bank.state
    assert types(all_due(state, bank.directory, bank.now)) == ["assignment.ended"]
    assert untimed(state, bank.directory, bank.now) == []


# -- renewed ----------------------------------------------------------------------------------------------------


def test_a_day_is_renewed_to_the_next_midnight_once_a_day() -> None:
    bank = bank_with()
    bank.take("ada", "01")
    assert order(bank, "renew", "01").reason is None
    assert ends(bank, "01") == MIDNIGHTS[1]
    assert order(bank, "renew", "01").reason is Reason.TOO_EARLY
    bank.at_ms += DAY_MS
    assert bank.tick() == []
    assert order(bank, "renew", "01").reason is None
    assert ends(bank, "01") == MIDNIGHTS[2]


def test_a_term_is_renewed_from_the_day_on_which_it_is_asked() -> None:
    bank = bank_with(rule("r", mode=Mode.TERM, term_days=10))
    bank.take("ada", "01")
    assert order(bank, "renew", "01").reason is Reason.TOO_EARLY
    bank.at_ms += 3 * DAY_MS
    order(bank, "renew", "01")
    assert ends(bank, "01") == MIDNIGHTS[12]


def test_it_is_renewed_as_often_as_the_rule_allows() -> None:
    bank = bank_with(rule("r", renewals=1))
    bank.take("ada", "01")
    order(bank, "renew", "01")
    bank.at_ms += DAY_MS
    assert order(bank, "renew", "01").reason is Reason.NO_RENEWALS_LEFT


def test_who_holds_more_than_allowed_cannot_renew_and_is_not_thrown_out() -> None:
    bank = bank_with()
    bank.take("ada", "01")
    bank.order("assign", "02", person="p_ada")
    assert order(bank, "renew", "01").reason is Reason.LIMIT_REACHED
    assert bank.tick() == []


def test_nothing_is_renewed_in_doubt_of_the_clock_nor_what_has_no_end() -> None:
    bank = bank_with(rule("r", mode=Mode.PERMANENT))
    bank.take("ada", "01")
    assert order(bank, "renew", "01").reason is Reason.TOO_EARLY
    bank.fold(ev.ClockDoubted(why="jump", offset_ms=1))
    assert order(bank, "renew", "01").reason is Reason.CLOCK_IN_DOUBT


def test_at_the_door_two_taps_give_it_back_and_two_more_keep_it_for_longer() -> None:
    bank = bank_with()
    bank.tap_and_open("ada", "01")
    bank.at_ms += GESTURE_AFTER_MS
    armed = bank.tap("ada", "01", again=True)
    assert isinstance(armed, Noted) and armed.armed
    kept = bank.tap("ada", "01", again=True)
    assert isinstance(kept, Noted) and not kept.armed
    assert types(kept.events) == ["release.disarmed", "assignment.renewed"]
    assert ends(bank, "01") == MIDNIGHTS[1]
    bank.tap("ada", "01", again=True)
    assert types(bank.tap("ada", "01", again=True).events) == ["release.disarmed"], "once a day"


# -- shared -----------------------------------------------------------------------------------------------------


def test_somebody_with_whom_it_is_shared_opens_it_and_the_record_says_for_whom() -> None:
    bank = bank_with()
    bank.take("ada", "01")
    assert bank.refused("ben", "01") is Reason.TAKEN
    order(bank, "share", "01", person="p_ben")
    made = bank.tap_and_open("ben", "01")
    granted = made.events[-1]
    assert isinstance(granted, ev.AccessGranted)
    held = bank.locker("01").assignment
    assert held is not None
    assert (granted.way, granted.person, granted.assignment) == (Way.SHARED, "p_ben", held.assignment)
    assert held.person == "p_ada"


def test_a_share_for_once_is_over_with_its_use() -> None:
    bank = bank_with()
    bank.take("ada", "01")
    order(bank, "share", "01", person="p_ben", once=True)
    assert bank.take("ben", "01") == "01"
    assert bank.refused("ben", "01") is Reason.TAKEN


def test_a_share_with_a_time_ends_when_it_is_used_too_late() -> None:
    bank = bank_with()
    bank.take("ada", "01")
    order(bank, "share", "01", person="p_ben", ends_ms=NOON_MS + HOUR_MS)
    bank.at_ms += HOUR_MS
    assert bank.refused("ben", "01") is Reason.TAKEN


def test_a_group_opens_what_is_shared_with_it() -> None:
    bank = BankInHand(rows=[*people("ada"), person("ben", "press"), badge("ben")])
    bank.take("ada", "01")
    order(bank, "share", "01", group="press")
    bank.take("ben", "01")
    held = bank.locker("01").assignment
    assert held is not None
    (share,) = held.shares
    order(bank, "unshare", "01", share=share.share)
    assert bank.refused("ben", "01") is Reason.TAKEN
    assert order(bank, "unshare", "01", share=share.share).reason is Reason.ASSIGNMENT_CHANGED


def test_shared_rights_rest_while_the_clock_is_in_doubt_and_the_holders_do_not() -> None:
    bank = bank_with()
    bank.take("ada", "01")
    order(bank, "share", "01", person="p_ben")
    bank.fold(ev.ClockDoubted(why="jump", offset_ms=1))
    assert bank.refused("ben", "01") is Reason.CLOCK_IN_DOUBT
    bank.take("ada", "01")


@pytest.mark.parametrize(
    ("settings", "more", "reason"),
    [
        ({"sharing": False}, {"person": "p_ben"}, Reason.SHARING_NOT_ALLOWED),
        ({}, {}, Reason.SHARING_NOT_ALLOWED),
        ({}, {"person": "p_ben", "group": "press"}, Reason.SHARING_NOT_ALLOWED),
        ({}, {"person": "p_ada"}, Reason.SHARING_NOT_ALLOWED),
        ({}, {"person": "p_nobody"}, Reason.PERSON_INACTIVE),
        ({}, {"person": "p_ben", "ends_ms": 1}, Reason.LATE),
    ],
)
def test_what_cannot_be_shared_is_refused(
    settings: dict[str, object], more: dict[str, object], reason: Reason
) -> None:
    bank = bank_with(rule("r", **settings))
    bank.take("ada", "01")
    assert order(bank, "share", "01", **more).reason is reason


def test_a_share_ends_with_the_assignment() -> None:
    bank = bank_with()
    bank.take("ada", "01")
    order(bank, "share", "01", person="p_ben")
    bank.at_ms += DAY_MS
    bank.tick()
    assert bank.take("cleo", "01") == "01"
    assert bank.refused("ben", "01") is Reason.TAKEN


# -- handed over, moved, given back -----------------------------------------------------------------------------


def test_what_is_handed_over_is_the_other_ones_with_what_is_inside() -> None:
    bank = bank_with(senses_occupancy=True)
    bank.take("ada", "01")
    bank.sense("01", Occupancy.OCCUPIED)
    made = order(bank, "hand_over", "01", person="p_ben")
    assert types(made.events) == ["person.bound", "assignment.ended", "assignment.started", "command.done"]
    held = bank.locker("01").assignment
    assert held is not None
    assert (held.person, held.ends_ms, held.rule) == ("p_ben", MIDNIGHTS[0], "handed_over")
    assert (bank.locker("01").former, bank.locker("01").check) == (None, None)
    bank.take("ben", "01")
    assert bank.refused("ada", "01") is Reason.TAKEN


def test_it_is_not_handed_to_somebody_who_may_not_have_it() -> None:
    bank = BankInHand(rows=[*people("ada", "ben"), person("gone", active=False)])
    bank.take("ada", "01")
    bank.take("ben", "02")
    assert order(bank, "hand_over", "01", person="p_ben").reason is Reason.LIMIT_REACHED
    assert order(bank, "hand_over", "01", person="p_gone").reason is Reason.PERSON_INACTIVE
    by_hand = order(bank, "hand_over", "01", person="p_ben", self_service=False)
    assert by_hand.reason is None, "an operator may"


def test_who_moves_keeps_end_and_shares_and_may_fetch_what_is_in_the_old_one() -> None:
    bank = bank_with()
    bank.take("ada", "01")
    bank.take("cleo", "02")
    order(bank, "share", "01", person="p_ben")
    assert order(bank, "move", "01", candidates=("02", "03")).reason is None
    held = bank.locker("03").assignment
    assert held is not None
    assert (held.person, held.ends_ms, [x.person for x in held.shares]) == ("p_ada", MIDNIGHTS[0], ["p_ben"])
    former = bank.locker("01").former
    assert former is not None and former.person == "p_ada"
    fetched = bank.tap_and_open("ada", "01")
    granted = next(e for e in fetched.events if isinstance(e, ev.AccessGranted))
    assert granted.way is Way.RETRIEVE
    bank.fold(ev.DoorClosed(locker="01"))
    bank.take("ada", "03")


def test_nobody_moves_into_what_is_not_free() -> None:
    bank = bank_with()
    bank.take("ada", "01")
    bank.take("ben", "02")
    assert order(bank, "move", "01", candidates=("02",)).reason is Reason.TAKEN
    assert order(bank, "move", "01", candidates=("02", "99")).reason is Reason.TAKEN
    assert order(bank, "move", "01", candidates=()).reason is Reason.NOTHING_FREE


def test_who_closed_the_door_too_soon_may_open_it_again_for_a_moment() -> None:
    bank = bank_with(rule("r", contents=Contents.RELEASE, grace_min=2))
    bank.take("ada", "01")
    order(bank, "end", "01")
    ended = bank.journal[-2].event
    assert isinstance(ended, ev.AssignmentEnded)
    assert (ended.cause, ended.former_until_ms) == (Cause.RELEASED, NOON_MS + 2 * MINUTE_MS)
    bank.take("ben", "02")
    bank.learn(rule("none", max_lockers=0))
    bank.take("ada", "01")
    bank.at_ms += 2 * MINUTE_MS
    assert bank.refused("ada", "01") is Reason.LIMIT_REACHED


def test_new_rules_reach_an_assignment_only_by_a_command_that_names_it() -> None:
    bank = bank_with(rule("r", mode=Mode.PERMANENT))
    bank.take("ada", "01")
    held = bank.locker("01").assignment
    assert held is not None
    assert bank.order("retime", "01", assignment=held.assignment, ends_ms=MIDNIGHTS[0]).reason is None
    assert ends(bank, "01") == MIDNIGHTS[0]
    assert bank.order("retime", "01", assignment=held.assignment, ends_ms=NOON_MS).reason is Reason.LATE
    assert bank.order("retime", "01", assignment="a_other", ends_ms=MIDNIGHTS[1]).reason is Reason.ASSIGNMENT_CHANGED


# -- opened from afar -------------------------------------------------------------------------------------------


def test_its_holder_and_whom_it_is_shared_with_open_it_from_afar_and_nobody_else() -> None:
    bank = bank_with()
    bank.take("ada", "01")
    assert isinstance(bank.remote_open("01", "p_ada"), Granted)
    bank.fold(ev.UnlockSettled(grant=bank.state.open_grants()[0][0], locker="01", outcome=Outcome.NOT_OPENED))
    assert bank.remote_open("01", "p_ben").reason is Reason.TAKEN  # type: ignore[union-attr]
    order(bank, "share", "01", person="p_ben", once=True)
    made = bank.remote_open("01", "p_ben")
    assert isinstance(made, Granted)
    assert types(made.events) == ["access.granted", "share.ended", "command.done"]
    bank.fold(ev.UnlockSettled(grant=made.grant, locker="01", outcome=Outcome.NOT_OPENED))
    assert bank.remote_open("01", "p_ben").reason is Reason.TAKEN  # type: ignore[union-attr]
    assert bank.remote_open("02", "p_ada").reason is Reason.ASSIGNMENT_CHANGED  # type: ignore[union-attr]


def test_from_afar_the_same_hours_and_ends_hold_as_at_the_door() -> None:
    bank = bank_with(rule("week", opening=(Window(0, 420, 1140),)))
    bank.take("ada", "01")
    bank.at_ms += 8 * HOUR_MS
    assert bank.remote_open("01", "p_ada").reason is Reason.OUTSIDE_HOURS  # type: ignore[union-attr]
    ended = bank_with()
    ended.take("ada", "01")
    ended.at_ms += DAY_MS
    assert ended.remote_open("01", "p_ada").reason is Reason.ASSIGNMENT_CHANGED  # type: ignore[union-attr]
