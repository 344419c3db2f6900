"""Random days at one bank: whatever people, sensors, operators and the clock do, the invariants hold."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import BankState, FoldError, LockerState
from cubbyhole.domain.decision import Denied, Granted
from cubbyhole.domain.moment import Moment
from cubbyhole.domain.vocabulary import Alarm, Contents, Door, Lock, Mode, Occupancy, Outcome, Reason
from cubbyhole.protocol.journal import decode_line, decode_state, encode_state, fold_line
from tests.domain.bank_in_hand import EPOCH, HOUR_MS, BankInHand, badge, people, person, rule

NAMES = ("ada", "ben", "cleo", "blocked", "gone", "stranger")
NUMBERS = ("01", "02", "03", "04", "05")
ROWS = [
    *people("ada", "ben", "cleo"), person("blocked"), badge("blocked", blocked=True), person("gone", active=False),
    badge("gone"),
]  # fmt: skip

SENSED = ("open", "close", "force", "held", "lost", "back", "occupied", "empty")
ORDERS = (
    "assign", "end", "out_of_service", "in_service", "checked", "get", "renew", "share", "unshare", "hand_over", "move",
)  # fmt: skip

names = st.sampled_from(NAMES)
numbers = st.sampled_from(NUMBERS)
acts = st.one_of(
    st.tuples(st.just("tap"), names, st.none() | numbers, st.booleans()),
    st.tuples(st.just("tap"), names, numbers, st.booleans()),
    st.tuples(st.just("pass"), st.sampled_from([100, 4_000, HOUR_MS, 13 * HOUR_MS, 80 * HOUR_MS])),
    st.tuples(st.just("settle"), numbers, st.sampled_from(Outcome)),
    st.tuples(st.just("door"), numbers, st.sampled_from(SENSED)),
    st.tuples(st.just("order"), st.sampled_from(ORDERS), numbers, names),
    st.tuples(st.just("remote"), numbers),
    st.tuples(st.just("world"), st.sampled_from(["tick", "offline", "online", "doubt", "trust", "boot"])),
)  # fmt: skip


def act(bank: BankInHand, what: tuple[object, ...]) -> Granted | Denied | None:
    match what:
        case ("tap", str(name), (str() | None) as locker, bool(again)):
            made = bank.tap(name, locker, again=again)
            return made if isinstance(made, Granted | Denied) else None
        case ("pass", int(ms)):
            bank.at_ms += ms
        case ("settle", str(number), Outcome() as outcome):
            settle(bank, number, outcome)
        case ("door", str(number), str(how)):
            sense(bank, number, how)
        case ("order", str(kind), str(number), str(name)):
            order(bank, kind, number, f"p_{name}")
        case ("remote", str(number)):
            bank.remote_open(number)
        case ("world", "tick"):
            bank.tick()
        case ("world", "offline") if bank.state.contact_lost_ms is None:
            bank.fold(ev.ContactLost(last_ms=bank.at_ms))
        case ("world", "online") if bank.state.contact_lost_ms is not None:
            bank.fold(ev.ContactRestored(lost_ms=1))
        case ("world", "doubt"):
            bank.fold(ev.ClockDoubted(why="jump", offset_ms=1))
        case ("world", "trust"):
            bank.fold(ev.ClockTrusted(source="server"))
        case ("world", "boot"):
            bank.fold(ev.BootStarted(version="1"))
            for grant, number in bank.state.open_grants():
                bank.fold(ev.UnlockSettled(grant=grant, locker=number, outcome=Outcome.UNKNOWN))
    return None


def order(bank: BankInHand, kind: str, number: str, person: str) -> None:
    """Operators assign; everything else people do for themselves."""
    held = bank.locker(number).assignment
    more: dict[str, object] = {"assignment": held.assignment if held is not None else None, "person": person}
    if kind == "get":
        bank.order("assign", number, candidates=(number, *NUMBERS), self_service=True, hold=True, **more)
    elif kind in ("share", "hand_over", "move", "renew"):
        bank.order(kind, number, candidates=NUMBERS, self_service=True, once=number > "02", **more)
    elif kind == "unshare":
        bank.order(kind, number, share=held.shares[0].share if held is not None and held.shares else "s_none", **more)
    else:
        bank.order(kind, number, **more)


def settle(bank: BankInHand, number: str, outcome: Outcome) -> None:
    s = bank.locker(number)
    if s.grant is None:
        return
    if s.link_lost:
        outcome = Outcome.UNKNOWN  # what a silent board did nobody knows
    if outcome is Outcome.OPENED:
        bank.fold(ev.DoorOpened(locker=number, grant=s.grant))
    bank.fold(ev.UnlockSettled(grant=s.grant, locker=number, outcome=outcome))


def sense(bank: BankInHand, number: str, how: str) -> None:
    events: dict[str, ev.Event] = {
        "open": ev.DoorOpened(locker=number),
        "close": ev.DoorClosed(locker=number, open_ms=1),
        "force": ev.DoorForced(locker=number),
        "held": ev.DoorHeldOpen(locker=number, open_ms=1),
        "lost": ev.LinkLost(link="bus", lockers=(number,)),
        "back": ev.LinkRestored(link="bus", lockers=(number,)),
        "occupied": ev.OccupancyChanged(locker=number, occupancy=Occupancy.OCCUPIED),
        "empty": ev.OccupancyChanged(locker=number, occupancy=Occupancy.EMPTY),
    }
    if not bank.locker(number).link_lost or how == "back":  # a silent board reports nothing
        bank.fold(events[how])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(acts, min_size=25, max_size=50),
    st.sampled_from(Contents),
    st.integers(0, 2),
    st.sampled_from([Mode.DAY, Mode.PERMANENT]),
)
def test_the_invariants_hold_whatever_happens(
    day: list[tuple[object, ...]], contents: Contents, most: int, mode: Mode
) -> None:
    bank = BankInHand(rows=[*ROWS, rule("all", contents=contents, max_lockers=most, mode=mode)])
    over_limit_by_hand: set[str] = set()
    for what in day:
        before = decode_state(encode_state(bank.state))
        written = len(bank.lines)
        made = act(bank, what)
        new = [line.event for line in map(decode_line, bank.lines[written:])]
        over_limit_by_hand.update(e.person for e in new if isinstance(e, ev.LimitExceeded))
        if isinstance(made, Denied):
            assert isinstance(new[-1], ev.TapDenied), "a refusal is an event"
            assert not any(isinstance(e, ev.AssignmentStarted | ev.AccessGranted) for e in new)
        if isinstance(made, Granted):
            grants = [e for e in new if isinstance(e, ev.AccessGranted)]
            assert [g.grant for g in grants] == [made.grant], "one grant for one tap"
            is_entitled(bank, before, made)
        for e in new:
            if isinstance(e, ev.AssignmentStarted):
                held = before.lockers[e.locker].assignment
                ended = any(isinstance(x, ev.AssignmentEnded) and x.locker == e.locker for x in new)
                assert held is None or ended, "one holder per locker"
        at_a_time(bank, most, over_limit_by_hand)
    replayed = BankState(bank="A")
    for line in bank.journal:
        fold_line(replayed, line)
    assert encode_state(replayed) == encode_state(bank.state), "the bytes fold to the same state"


def is_entitled(bank: BankInHand, before: BankState, made: Granted) -> None:
    """A tap's grant needs a person with a right: their own locker, a free one, or what they left behind."""
    assert made.person in ("p_ada", "p_ben", "p_cleo"), "nobody else has any right here"
    was, now = before.lockers[made.locker], bank.locker(made.locker)
    assert was.grant is None, "one pulse at a time"
    assert not was.link_lost, "no door is opened blindly"
    if was.assignment is not None and any(x.person == made.person for x in was.assignment.shares):
        return
    holds = now.assignment is not None and now.assignment.person == made.person
    left = now.former is not None and now.former.person == made.person and now.assignment is None
    assert holds or left
    was_held = was.assignment is not None and was.assignment.person == made.person
    if holds and not was_held and was.assignment is None:
        assert was.not_offered() is None, "only a free locker is given"


def is_over(s: LockerState, at_ms: int) -> bool:
    a = s.assignment
    return a is not None and any(end is not None and end <= at_ms for end in (a.ends_ms, a.hold_until_ms))


def at_a_time(bank: BankInHand, most: int, by_hand: set[str]) -> None:
    for name in ("ada", "ben", "cleo"):
        held = bank.state.held_by(f"p_{name}")
        given = [s for s in held if s.assignment is not None and s.assignment.rule != "operator"]
        due = [s for s in given if is_over(s, bank.at_ms)]
        doubted = bank.state.clock_in_doubt
        assert doubted or len(given) - len(due) <= most or f"p_{name}" in by_hand, "the limit holds at this bank"
    for s in bank.state.lockers.values():
        if s.assignment is not None:
            assert s.former is None
            assert not s.unverified
        if s.link_lost:
            assert s.door is Door.UNKNOWN
            assert s.lock is Lock.UNKNOWN
        if s.not_offered() is None:
            assert s.door is Door.CLOSED
            assert s.alarm is None
            assert s.occupancy is not Occupancy.OCCUPIED


@settings(max_examples=60, deadline=None)
@given(st.lists(acts, min_size=10, max_size=40), st.data())
def test_a_snapshot_and_the_events_after_it_are_the_fresh_state(
    day: list[tuple[object, ...]], data: st.DataObject
) -> None:
    bank = BankInHand(rows=ROWS)
    for what in day:
        act(bank, what)
    cut = data.draw(st.integers(0, len(bank.lines)))
    early = BankState(bank="A")
    for line in bank.journal[:cut]:
        fold_line(early, line)
    late = decode_state(encode_state(early))
    assert late == early
    for line in bank.journal[cut:]:
        fold_line(late, line)
    assert encode_state(late) == encode_state(bank.state)


@pytest.mark.parametrize(
    "event",
    [
        ev.DoorOpened(locker="99"),
        ev.LinkLost(link="bus", lockers=("01", "99")),
        ev.LinkRestored(link="bus", lockers=("01", "99")),
        ev.EpochStarted(controller="c", journal_key="k"),
        ev.BankConfigured(
            label="", area="", site="", columns=("Q",), reader="door", senses_lock=True, senses_occupancy=True,
            drives_lights=True,
        ),
    ],
)  # fmt: skip
def test_a_line_that_cannot_have_happened_is_refused_and_changes_nothing(event: ev.Event) -> None:
    bank = BankInHand()
    before = encode_state(bank.state)
    with pytest.raises(FoldError):
        bank.state.apply(event, bank.state.seq + 1, bank.now)
    assert encode_state(bank.state) == before


def test_an_event_of_a_newer_release_is_counted_and_the_rest_goes_on() -> None:
    bank = BankInHand()
    bank.state.apply(ev.UnknownEvent("locker.painted"), bank.state.seq + 1, bank.now)
    assert bank.state.unknown_types == 1
    bank.take("ada", "01")


def test_a_replaced_controller_keeps_what_was_known_and_offers_nothing_else() -> None:
    held = ev.Assigned(
        assignment="a_1", locker="02", person="p_ada", mode=Mode.DAY, since_ms=1, ends_ms=None, rule="default"
    )
    started = ev.EpochStarted(
        controller="ctl_2", journal_key="k", previous_epoch="d" * 32, previous_seq=70, previous_hash="0" * 64,
        assignments=(held,), disabled=(ev.Disabled(locker="03", reason="hinge"),),
        answered=(ev.Answered(command="c_1", outcome="done"),), standing=4,
    )  # fmt: skip
    bank = BankInHand(started=started)
    assert bank.take("ada", "02") == "02"
    assert bank.refused("ben", "01") is Reason.UNVERIFIED
    assert bank.refused("ben", "03") is Reason.OUT_OF_SERVICE
    assert (bank.state.standing, bank.state.answered["c_1"].outcome) == (4, "done")
    bank.order("checked", "01")
    bank.take("ben", "01")
    given_in_doubt = bank.locker("02").assignment
    assert given_in_doubt is not None
    assert not given_in_doubt.timed, "it still needs the end that the dead controller had not set"
    assert [e.TYPE for e in bank.tick()] == ["assignment.timed"]


def test_time_never_runs_below_the_journals_highest() -> None:
    bank = BankInHand()
    highest = bank.state.highest_ms
    bank.state.apply(ev.DoorClosed(locker="01"), bank.state.seq + 1, Moment(highest - 5, 0, "b", True))
    assert bank.state.highest_ms == highest


def test_held_open_is_an_alarm_only_until_the_door_closes_and_never_hides_a_forced_one() -> None:
    bank = BankInHand()
    bank.fold(ev.DoorForced(locker="01"), ev.DoorHeldOpen(locker="01", open_ms=1))
    assert bank.locker("01").alarm is Alarm.FORCED
    bank.fold(ev.DoorClosed(locker="01"))
    assert bank.locker("01").alarm is Alarm.FORCED


def test_a_state_is_plain_json() -> None:
    bank = BankInHand()
    assert msgspec.json.decode(encode_state(bank.state))["epoch"] == EPOCH
