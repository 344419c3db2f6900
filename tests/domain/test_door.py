"""The door's table and what the sensors make of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import LockerState
from cubbyhole.domain.door import DOOR_TABLE, DoorFact, DoorNews, DoorState, step
from cubbyhole.domain.vocabulary import Door, Lock, Mode, Occupancy, Outcome, Reason
from cubbyhole.domain.watch import Limits, Reading, Watch
from tests.domain.bank_in_hand import NOON_MS, BankInHand, types

OPENING = (DoorState.OPEN, DoorState.HELD_OPEN, DoorState.FORCED)


@given(st.lists(st.sampled_from(DoorFact), max_size=60))
def test_a_walk_through_the_table_never_lies(facts: list[DoorFact]) -> None:
    state, may_open = DoorState.BLIND, False
    for fact in facts:
        before = state
        state, news = step(state, fact)
        if fact is DoorFact.RELEASED:
            may_open = True
        if news is DoorNews.OPENED:
            assert may_open, "a door opened by a grant needs one"
        if news is DoorNews.FORCED:
            assert before is DoorState.CLOSED, "only a door seen closed and not released can be forced"
        if fact is DoorFact.OPENS:
            assert state in OPENING
        if fact is DoorFact.LOST:
            assert state is DoorState.BLIND
            assert news is None
        if fact is DoorFact.CLOSES:
            assert state not in OPENING
        if news is DoorNews.CLOSED:
            assert before in OPENING
        if before in OPENING and state not in OPENING:
            may_open = False


def test_every_state_can_be_reached_and_left() -> None:
    assert {state for state, _ in DOOR_TABLE.values()} == set(DoorState)
    assert {state for state, _ in DOOR_TABLE} == set(DoorState)
    assert {news for _, news in DOOR_TABLE.values()} - {None} == set(DoorNews)


# -- the watch ------------------------------------------------------------------------------------------------------


class Bench:
    """One locker under watch; what is read is folded at once, as the controller does it."""

    def __init__(self, *, door: bool | None = False, lock: bool | None = True, occupied: bool | None = None) -> None:
        self.bank = BankInHand(seen=False)
        self.watch = Watch()
        self.door, self.lock, self.occupied = door, lock, occupied
        self.mono_ms = 0
        self.polls(2)

    @property
    def locker(self) -> LockerState:
        return self.bank.locker("01")

    def polls(self, times: int = 2, every_ms: int = 100, limits: Limits | None = None) -> list[ev.Event]:
        made: list[ev.Event] = []
        for _ in range(times):
            self.mono_ms += every_ms
            self.bank.at_ms = NOON_MS + self.mono_ms
            for event in self.watch.read(self.locker, Reading(self.door, self.lock, self.occupied), self.mono_ms):
                self.bank.fold(event)
                made.append(event)
            for event in self.watch.tick(self.locker, limits or Limits(), self.mono_ms):
                self.bank.fold(event)
                made.append(event)
        return made

    def release(self, *, confirmed: bool = True) -> str:
        made = self.bank.tap("ada", "01")
        grant = self.locker.grant
        assert grant is not None, made
        self.watch.released(grant, self.mono_ms, self.mono_ms, confirmed)
        return grant


def test_one_odd_poll_is_no_fact() -> None:
    bench = Bench()
    bench.door = True
    assert bench.polls(1) == []
    bench.door = False
    assert bench.polls(3) == []


def test_the_first_reading_is_nobodys_act() -> None:
    bench = Bench()
    assert bench.locker.door is Door.CLOSED
    assert "door.seen" in types(
        line.event for line in bench.bank.journal if not isinstance(line.event, ev.UnknownEvent)
    )


def test_a_granted_door_opens_and_closes() -> None:
    bench = Bench()
    grant = bench.release()
    bench.door, bench.lock = True, False
    opened = bench.polls()
    assert types(opened) == ["lock.changed", "door.opened", "unlock.settled"]
    settled = opened[-1]
    assert isinstance(settled, ev.UnlockSettled)
    assert (settled.grant, settled.outcome, settled.tap_to_open_ms) == (grant, Outcome.OPENED, 200)
    bench.door, bench.lock = False, True
    assert types(bench.polls()) == ["lock.changed", "door.closed"]
    assert bench.bank.state.open_grants() == []


def test_a_door_that_nothing_released_is_forced_and_a_free_locker_is_checked_first() -> None:
    bench = Bench()
    bench.door = True
    assert types(bench.polls()) == ["door.forced", "locker.check_needed"]
    assert bench.locker.not_offered() is not None


def test_a_door_left_open_is_said_once_and_ends_by_closing() -> None:
    bench = Bench()
    bench.release()
    bench.door = True
    bench.polls()
    held = bench.polls(times=20, every_ms=1_000, limits=Limits(held_open_ms=5_000))
    assert types(held) == ["door.held_open"]
    bench.door = False
    bench.polls()
    assert bench.locker.alarm is None


@pytest.mark.parametrize(
    ("lock_during", "lock_after", "springs", "outcome"),
    [
        (True, True, False, Outcome.JAMMED),  # the lock never moved
        (False, True, False, Outcome.NOT_OPENED),  # it moved and caught again: nobody pulled
        (None, None, True, Outcome.JAMMED),  # a door that springs and did not
        (None, None, False, Outcome.NOT_OPENED),
        (False, False, False, Outcome.NOT_OPENED),  # it waits to be pulled
    ],
)
def test_what_a_pulse_without_an_opening_means(
    lock_during: bool | None, lock_after: bool | None, springs: bool, outcome: Outcome
) -> None:
    bench = Bench(lock=None if lock_during is None else True)
    bench.release()
    bench.lock = lock_during
    bench.polls(1)
    bench.lock = lock_after
    made = bench.polls(times=8, every_ms=1_000, limits=Limits(springs=springs))
    settled = [e for e in made if isinstance(e, ev.UnlockSettled)]
    assert [e.outcome for e in settled] == [outcome]
    assert bench.bank.state.open_grants() == []


def test_a_latch_that_nobody_looked_at_while_its_pulse_lasted_is_not_called_jammed() -> None:
    bench = Bench()
    bench.release()
    made = bench.polls(times=16, every_ms=400)  # many boards on a slow bus: it has fallen back before it is read
    assert [e.outcome for e in made if isinstance(e, ev.UnlockSettled)] == [Outcome.NOT_OPENED]
    assert bench.locker.alarm is None


def test_a_sprung_door_that_stays_shut_is_jammed_even_if_nobody_looked_in_time() -> None:
    bench = Bench()
    bench.release()
    made = bench.polls(times=16, every_ms=400, limits=Limits(springs=True))
    assert [e.outcome for e in made if isinstance(e, ev.UnlockSettled)] == [Outcome.JAMMED]


def test_a_reading_before_the_latch_can_have_moved_does_not_make_it_jammed() -> None:
    bench = Bench()
    bench.release()
    bench.polls(times=2, every_ms=20)
    made = bench.polls(times=16, every_ms=400)
    assert [e.outcome for e in made if isinstance(e, ev.UnlockSettled)] == [Outcome.NOT_OPENED]


def forced_before_its_pulse() -> tuple[Bench, str]:
    """The key opened the door between the tap and the pulse, which therefore went to an open door."""
    bench = Bench()
    bench.bank.tap("ada", "01")
    grant = bench.locker.grant
    assert grant is not None
    bench.door = True
    assert types(bench.polls())[0] == "door.forced"
    bench.watch.released(grant, bench.mono_ms, bench.mono_ms)
    return bench, grant


def test_a_pulse_to_an_open_door_ends_as_already_open_while_it_stands_open() -> None:
    bench, grant = forced_before_its_pulse()
    settled = [e for e in bench.polls(times=8, every_ms=1_000) if isinstance(e, ev.UnlockSettled)]
    assert [(e.grant, e.outcome) for e in settled] == [(grant, Outcome.ALREADY_OPEN)]


def test_a_door_that_is_pushed_shut_behind_its_pulse_may_be_opened_and_is_not_called_already_open() -> None:
    bench, grant = forced_before_its_pulse()
    bench.door = False
    assert types(bench.polls()) == ["door.closed"]
    bench.door = True
    made = bench.polls()
    assert types(made) == ["door.opened", "unlock.settled"]
    assert isinstance(made[0], ev.DoorOpened) and made[0].grant == grant


def test_a_door_that_is_pushed_shut_behind_its_pulse_and_left_is_not_opened() -> None:
    bench, _ = forced_before_its_pulse()
    bench.door = False
    made = bench.polls(times=8, every_ms=1_000)
    assert [e.outcome for e in made if isinstance(e, ev.UnlockSettled)] == [Outcome.NOT_OPENED]


def test_a_latch_that_waits_to_be_pulled_is_not_forced_and_not_busy_for_ever() -> None:
    bench = Bench()
    grant = bench.release()
    bench.lock = False
    bench.polls(times=10, every_ms=1_000)
    assert bench.locker.grant is None, "or the door would be busy for ever"
    bench.door = True
    made = bench.polls()
    assert types(made) == ["door.opened"]
    opened = made[0]
    assert isinstance(opened, ev.DoorOpened)
    assert opened.grant == grant


def test_a_latch_that_caught_again_makes_the_next_opening_a_forced_one() -> None:
    bench = Bench()
    bench.release()
    bench.lock = False
    bench.polls(times=10, every_ms=1_000)
    bench.lock = True
    bench.polls()
    bench.door = True
    assert types(bench.polls())[0] == "door.forced"


def test_a_frame_that_no_board_confirmed_ends_unknown() -> None:
    bench = Bench()
    bench.release(confirmed=False)
    made = bench.polls(times=8, every_ms=1_000)
    assert [e.outcome for e in made if isinstance(e, ev.UnlockSettled)] == [Outcome.UNKNOWN]


def test_a_lost_board_makes_the_outcome_unknown_and_the_next_reading_nobodys_act() -> None:
    bench = Bench()
    bench.release()
    made = bench.watch.lost(bench.locker)
    bench.bank.fold(*made, ev.LinkLost(link="bus", lockers=("01",)))
    assert [e.outcome for e in made if isinstance(e, ev.UnlockSettled)] == [Outcome.UNKNOWN]
    assert bench.locker.door is Door.UNKNOWN
    bench.bank.fold(ev.LinkRestored(link="bus", lockers=("01",)))
    bench.door = True
    assert types(bench.polls()) == ["lock.changed", "door.seen"]


def test_a_sensor_that_is_not_there_stays_unknown() -> None:
    bench = Bench(lock=None, occupied=None)
    assert bench.polls(5) == []
    assert (bench.locker.lock, bench.locker.occupancy) == (Lock.UNKNOWN, Occupancy.UNKNOWN)


def test_a_locker_without_a_door_contact_is_never_offered_and_opens_for_its_holder_unconfirmed() -> None:
    bench = Bench(door=None)
    assert bench.locker.not_offered() is Reason.DOOR_UNKNOWN
    bench.bank.tap("ada", "01")
    assert bench.locker.grant is None, "a stranger gets nothing"
    bench.bank.fold(
        ev.AssignmentStarted(assignment="a_1", locker="01", person="p_ada", mode=Mode.DAY, ends_ms=None, rule="default")
    )
    bench.release()
    made = bench.polls(times=8, every_ms=1_000)
    assert types(made) == ["unlock.settled"]
    assert isinstance(made[0], ev.UnlockSettled) and made[0].outcome is Outcome.NOT_OPENED
    assert bench.locker.door is Door.UNKNOWN


def test_emptied_by_the_former_holder_the_locker_is_free_once_its_door_is_closed() -> None:
    bench = Bench(occupied=True)
    bench.bank.fold(
        ev.AssignmentStarted(assignment="a_1", locker="01", person="p_ada", mode=Mode.DAY, ends_ms=None, rule="default")
    )
    bench.bank.end("01")
    assert bench.locker.check == "not_empty"
    bench.release()
    bench.door, bench.occupied = True, False
    assert "locker.checked" not in types(bench.polls()), "a hand may still be inside"
    bench.door = False
    assert types(bench.polls()) == ["door.closed", "locker.checked"]
    assert bench.locker.not_offered() is None
    assert bench.locker.former is None
