"""Changes that wait for their bank: they hit what was meant or are refused for good."""

from __future__ import annotations

import pytest

from cubbyhole.domain import events as ev
from cubbyhole.domain.standing import Standing, is_waiting
from cubbyhole.domain.vocabulary import Cause, Contents, Mode, Occupancy, Reason
from tests.domain.bank_in_hand import DAY_MS, MIDNIGHTS, BankInHand, badge, people, person, rule, types


def test_assigning_by_hand_starts_a_day_and_binds_the_person() -> None:
    bank = BankInHand()
    made = bank.order("assign", "02", person="p_ada")
    assert made.reason is None
    assert types(made.events) == ["person.bound", "assignment.started", "command.done"]
    held = bank.locker("02").assignment
    assert held is not None
    assert (held.person, held.mode, held.ends_ms, held.rule) == ("p_ada", Mode.DAY, MIDNIGHTS[0], "operator")
    bank.take("ada", "02")


def test_an_end_and_a_mode_that_the_command_names_are_taken() -> None:
    bank = BankInHand()
    bank.order("assign", "02", person="p_ada", mode=Mode.TERM, ends_ms=MIDNIGHTS[9])
    held = bank.locker("02").assignment
    assert held is not None
    assert (held.mode, held.ends_ms) == (Mode.TERM, MIDNIGHTS[9])
    bank.order("assign", "03", person="p_ben", mode=Mode.PERMANENT)
    held = bank.locker("03").assignment
    assert held is not None
    assert (held.ends_ms, held.timed) == (None, True)


@pytest.mark.parametrize(
    ("number", "settings", "reason"),
    [
        ("01", {"person": "p_ben"}, Reason.TAKEN),
        ("02", {"person": "p_nobody"}, Reason.PERSON_INACTIVE),
        ("02", {"person": "p_gone"}, Reason.PERSON_INACTIVE),
        ("02", {}, Reason.PERSON_INACTIVE),
        ("03", {"person": "p_ben"}, Reason.OUT_OF_SERVICE),
        ("99", {"person": "p_ben"}, Reason.UNKNOWN_LOCKER),
        ("02", {"person": "p_ben", "not_after_ms": 1}, Reason.LATE),
        ("02", {"person": "p_ben", "ends_ms": 1}, Reason.LATE),
    ],
)
def test_an_assignment_that_cannot_be_is_refused_and_changes_nothing_else(
    number: str, settings: dict[str, object], reason: Reason
) -> None:
    bank = BankInHand(rows=[*people("ada", "ben"), person("gone", active=False), badge("gone")])
    bank.take("ada", "01")
    bank.fold(ev.OutOfService(locker="03", reason="hinge"))
    before = {n: s.assignment for n, s in bank.state.lockers.items()}
    made = bank.order("assign", number, **settings)
    assert made.reason is reason
    assert types(made.events) == ["command.done"]
    assert {n: s.assignment for n, s in bank.state.lockers.items()} == before


def test_refused_or_done_the_queue_moves_on_and_the_outcome_is_remembered() -> None:
    bank = BankInHand()
    for _ in range(3):
        made = bank.order("end", "01", assignment="a_of_yesterday")
        done = made.events[-1]
        assert isinstance(done, ev.CommandDone)
        assert bank.state.standing == done.ordinal
        assert bank.state.answered[done.command].reason == Reason.ASSIGNMENT_CHANGED


def test_ending_names_the_assignment_and_never_hits_the_next_one() -> None:
    bank = BankInHand()
    bank.take("ada", "01")
    first = bank.locker("01").assignment
    assert first is not None
    bank.at_ms = MIDNIGHTS[0]
    bank.take("ben", "01")
    assert bank.order("end", "01", assignment=first.assignment).reason is Reason.ASSIGNMENT_CHANGED
    second = bank.locker("01").assignment
    assert second is not None
    made = bank.order("end", "01", assignment=second.assignment)
    assert made.reason is None
    ended = made.events[0]
    assert isinstance(ended, ev.AssignmentEnded)
    assert ended.cause is Cause.OPERATOR
    assert bank.locker("01").assignment is None


def test_a_locker_whose_holders_time_is_over_can_be_assigned_before_the_timer_came() -> None:
    bank = BankInHand()
    bank.take("ada", "01")
    bank.at_ms = MIDNIGHTS[0]
    made = bank.order("assign", "01", person="p_ben")
    assert types(made.events) == ["assignment.ended", "person.bound", "assignment.started", "command.done"]


def test_assigning_over_the_limit_is_done_and_said() -> None:
    bank = BankInHand()
    bank.take("ada", "01")
    made = bank.order("assign", "02", person="p_ada")
    exceeded = made.events[-2]
    assert isinstance(exceeded, ev.LimitExceeded)
    assert (exceeded.person, exceeded.held, exceeded.limit) == ("p_ada", 2, 1)
    assert len(bank.state.held_by("p_ada")) == 2, "nobody is thrown out"


def test_checking_frees_a_locker_and_leaves_an_assigned_one_to_its_holder() -> None:
    bank = BankInHand(rows=[*people("ada", "ben"), rule("look", contents=Contents.CHECK)])
    bank.take("ada", "01")
    bank.order("checked", "01")
    held = bank.locker("01").assignment
    assert held is not None
    assert held.person == "p_ada"
    bank.end("01")
    assert bank.refused("ben", "01") is Reason.CHECK_FIRST
    bank.order("checked", "01")
    assert bank.locker("01").former is None
    bank.take("ben", "01")


def test_whoever_assigns_an_unchecked_locker_by_hand_vouches_for_it() -> None:
    bank = BankInHand()
    bank.fold(ev.CheckNeeded(locker="01", why="forced"))
    made = bank.order("assign", "01", person="p_ada")
    assert types(made.events) == ["person.bound", "locker.checked", "assignment.started", "command.done"]
    assert bank.locker("01").check is None


def test_out_of_service_and_back() -> None:
    bank = BankInHand()
    bank.order("out_of_service", "01")
    assert bank.refused("ada", "01") is Reason.OUT_OF_SERVICE
    bank.order("in_service", "01")
    bank.take("ada", "01")


def test_a_kind_of_a_newer_server_is_refused_and_blocks_nothing() -> None:
    bank = BankInHand()
    assert bank.order("teleport", "01").reason is Reason.UNKNOWN_KIND
    assert bank.order("checked", "01").reason is None


def test_a_command_waits_for_the_directory_that_it_was_made_under() -> None:
    bank = BankInHand()
    c = Standing(
        command="c_1", ordinal=1, kind="assign", locker="01", reason="desk", not_after_ms=bank.at_ms + DAY_MS,
        needs_directory=2, person="p_new",
    )  # fmt: skip
    assert is_waiting(bank.directory, c)
    bank.learn(person("new"), badge("new"))
    assert not is_waiting(bank.directory, c)


def test_given_in_doubt_by_hand_it_is_not_late() -> None:
    bank = BankInHand()
    bank.fold(ev.ClockDoubted(why="jump", offset_ms=0))
    assert bank.order("assign", "01", person="p_ada", not_after_ms=1).reason is None


@pytest.mark.parametrize(
    ("occupancy", "policy", "former", "check"),
    [
        (Occupancy.EMPTY, Contents.CHECK, False, None),
        (Occupancy.EMPTY, Contents.RELEASE, False, None),
        (Occupancy.OCCUPIED, Contents.RELEASE, True, "not_empty"),
        (Occupancy.OCCUPIED, Contents.RETRIEVE, True, "not_empty"),
        (Occupancy.UNKNOWN, Contents.CHECK, True, "contents_unknown"),
        (Occupancy.UNKNOWN, Contents.RETRIEVE, True, None),
        (Occupancy.UNKNOWN, Contents.RELEASE, False, None),
    ],
)
def test_what_becomes_of_a_locker_when_its_assignment_ends(
    occupancy: Occupancy, policy: Contents, former: bool, check: str | None
) -> None:
    bank = BankInHand(rows=[*people("ada"), rule("contents", contents=policy)], senses_occupancy=True)
    bank.take("ada", "01")
    if occupancy is not Occupancy.UNKNOWN:
        bank.sense("01", occupancy)
    ended = bank.end("01", Cause.EXPIRED)
    assert (ended.former_may_open, ended.check) == (former, check)
    assert (bank.locker("01").not_offered() is None) == (check is None)
