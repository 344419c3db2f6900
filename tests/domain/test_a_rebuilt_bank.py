"""What ends when a bank is built with fewer lockers, and what of them is remembered."""

from __future__ import annotations

import pytest

from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import BankState
from cubbyhole.domain.ending import leaving
from cubbyhole.domain.moment import Moment
from cubbyhole.domain.vocabulary import Cause, Mode, Occupancy

NOW = Moment(1_000_000, 5, "b" * 32, True)


def configured(*columns: str) -> ev.BankConfigured:
    return ev.BankConfigured(
        label="L", area="A", site="S", columns=columns, reader="door", senses_lock=True, senses_occupancy=True,
        drives_lights=False,
    )  # fmt: skip


def bank(*events: ev.Event) -> BankState:
    state = BankState(bank="A")
    started = ev.EpochStarted(controller="ctl_1", journal_key="k")
    for event in (started, configured("M M", "S S"), *events):
        state.apply(event, state.seq + 1, NOW)
    return state


def given(locker: str) -> ev.AssignmentStarted:
    return ev.AssignmentStarted(
        assignment=f"a_{locker}", locker=locker, person="p_1", mode=Mode.PERMANENT, ends_ms=None, rule="r"
    )


def rebuild(state: BankState, *columns: str) -> list[ev.Event]:
    ended = leaving(state, columns, NOW)
    for event in (*ended, configured(*columns)):
        state.apply(event, state.seq + 1, NOW)
    return ended


@pytest.mark.parametrize(
    ("seen", "check", "listed"),
    [
        (Occupancy.EMPTY, None, []),
        (Occupancy.OCCUPIED, "not_empty", ["04"]),
        (Occupancy.UNKNOWN, "contents_unknown", ["04"]),
    ],
)
def test_what_the_sensor_says_decides_whether_somebody_must_look(
    seen: Occupancy, check: str | None, listed: list[str]
) -> None:
    state = bank(given("04"), ev.OccupancyChanged(locker="04", occupancy=seen))
    (ended,) = rebuild(state, "M M")
    assert isinstance(ended, ev.AssignmentEnded)
    assert (ended.cause, ended.check, ended.former_may_open) == (Cause.REMOVED, check, check is not None)
    assert list(state.removed) == listed


@pytest.mark.parametrize(
    "before",
    [
        ev.CheckNeeded(locker="04", why="contents_unknown"),
        ev.OccupancyChanged(locker="04", occupancy=Occupancy.OCCUPIED),
    ],
)
def test_a_free_locker_that_nobody_knows_to_be_empty_is_listed_too(before: ev.Event) -> None:
    state = bank(before)
    assert rebuild(state, "M M") == []
    assert list(state.removed) == ["04"]


def test_a_free_locker_is_simply_gone() -> None:
    state = bank()
    assert rebuild(state, "M M") == []
    assert not state.removed and list(state.lockers) == ["01", "02"]


def test_a_journal_in_which_an_earlier_release_dropped_an_assignment_lists_the_locker() -> None:
    state = bank(given("04"))
    state.apply(configured("M M"), state.seq + 1, NOW)
    former = state.removed["04"].former
    assert former is not None and (former.person, former.assignment) == ("p_1", "a_04")


def test_looking_into_it_settles_it_and_a_locker_of_the_same_number_is_another_matter() -> None:
    state = bank(given("04"))
    rebuild(state, "M M")
    state.apply(ev.Checked(locker="04"), state.seq + 1, NOW)
    assert not state.removed
    rebuild(state, "M M", "S S")
    assert state.lockers["04"].check is None
