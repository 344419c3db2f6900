"""The faulty variants themselves: each function returns what to replace by what. Only `mutations` uses them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from cubbyhole.domain import chain, decide, ending, standing
from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import BankState, LockerState
from cubbyhole.domain.decide import Denied, Granted, Tap
from cubbyhole.domain.directory import Calendar, Directory
from cubbyhole.domain.moment import Moment
from cubbyhole.domain.vocabulary import Reason, Way
from cubbyhole.edge import core as edge
from cubbyhole.edge import inputs as io
from cubbyhole.edge.clock import ClockJudge
from cubbyhole.edge.core import BankCore
from cubbyhole.edge.uplink import Uplink
from cubbyhole.protocol import journal
from cubbyhole.protocol import messages as m
from cubbyhole.server.banks import receive
from cubbyhole.server.directory.calendar import calendar_for
from cubbyhole.simulator.world import office

Patch = tuple[Any, str, Any]


def _neighbour(bank: BankState, number: str) -> str:
    numbers = list(bank.lockers)
    return numbers[(numbers.index(number) + 1) % len(numbers)]


def _tap_variant(change: Callable[[BankState, Tap, Callable[[str], str], Any], Any]) -> list[Patch]:
    """Replace what the core calls to decide a tap: ``change`` gets the real decision and returns the faulty one."""
    real = decide.decide_tap

    def variant(bank: BankState, directory: Directory, tap: Tap, moment: Moment, mint: Callable[[str], str]) -> Any:
        return change(bank, tap, mint, real(bank, directory, tap, moment, mint))

    return [(edge, "decide_tap", variant)]


# -- 1 ----------------------------------------------------------------------------------------------------------


def full_disk_does_not_deny() -> list[Patch]:
    real = BankCore._refuse_all

    def variant(self: BankCore, effects: list[io.Effect], moment: Moment) -> list[io.Effect]:
        real(self, list(effects), moment)
        return effects

    return [(BankCore, "_refuse_all", variant)]


def denied_tap_opens() -> list[Patch]:
    def change(bank: BankState, tap: Tap, mint: Callable[[str], str], made: Any) -> Any:
        if isinstance(made, Denied) and made.reason is Reason.TAKEN and made.locker is not None:
            return Granted(made.events, made.locker, mint("g"), True, "default")
        return made

    return _tap_variant(change)


def door_beside_opens() -> list[Patch]:
    def change(bank: BankState, tap: Tap, mint: Callable[[str], str], made: Any) -> Any:
        return replace(made, locker=_neighbour(bank, made.locker)) if isinstance(made, Granted) else made

    return _tap_variant(change)


def unlock_waits() -> list[Patch]:
    return [(io, "UNLOCK_LIVES_MS", 60_000)]


def losses_not_counted() -> list[Patch]:
    real = BankCore._tick

    def variant(self: BankCore, item: io.Tick, moment: Moment) -> None:
        self._lost = None
        real(self, item, moment)

    return [(BankCore, "_tick", variant)]


# -- 2 ----------------------------------------------------------------------------------------------------------


def _offers(reason: Reason) -> list[Patch]:
    real = LockerState.not_offered

    def variant(self: LockerState) -> Reason | None:
        found = real(self)
        return None if found is reason else found

    return [(LockerState, "not_offered", variant)]


def taken_is_given() -> list[Patch]:
    return _offers(Reason.TAKEN)


def full_locker_is_given() -> list[Patch]:
    real = ending.end

    def variant(*args: Any) -> ev.AssignmentEnded:
        return replace(real(*args), check=None)

    return [*_offers(Reason.NOT_EMPTY), (edge, "end", variant), (decide, "end", variant), (ending, "end", variant)]


def unverified_is_given() -> list[Patch]:
    return _offers(Reason.UNVERIFIED)


def desk_assigns_taken() -> list[Patch]:
    real = standing._assign

    def variant(bank: BankState, directory: Directory, s: LockerState, *rest: Any) -> Any:
        held, s.assignment = s.assignment, None
        try:
            return real(bank, directory, s, *rest)
        finally:
            s.assignment = held

    return [(standing, "_assign", variant)]


def one_more_than_allowed() -> list[Patch]:
    real = Directory.effective

    def variant(self: Directory, *args: Any) -> Any:
        found = real(self, *args)
        return replace(found, max_lockers=found.max_lockers + 1)

    return [(Directory, "effective", variant)]


def every_badge_opens() -> list[Patch]:
    def change(bank: BankState, tap: Tap, mint: Callable[[str], str], made: Any) -> Any:
        if (
            not isinstance(made, Denied)
            or made.reason is not Reason.TAKEN
            or made.locker is None
            or made.person is None
        ):
            return made
        held, grant = bank.lockers[made.locker].assignment, mint("g")
        name = held.assignment if held is not None else None
        access = ev.AccessGranted(grant=grant, locker=made.locker, way=Way.TAP, person=made.person, assignment=name)
        return Granted((access,), made.locker, grant, True, "default", made.person)

    return _tap_variant(change)


# -- 3 ----------------------------------------------------------------------------------------------------------


def claim_is_good_for_ever() -> list[Patch]:
    return [(edge, "CLAIM_VALID_MS", 60_000)]


def _claimed_variant(change: Callable[[BankCore, m.LiveCommand], m.LiveCommand]) -> list[Patch]:
    real = BankCore._claimed

    def variant(self: BankCore, item: io.Claimed, moment: Moment, effects: list[io.Effect]) -> None:
        real(self, replace(item, command=change(self, item.command)), moment, effects)

    return [(BankCore, "_claimed", variant)]


def command_of_nobody() -> list[Patch]:
    return _claimed_variant(lambda core, c: msgspec.structs.replace(c, actor="op:server"))


def command_opens_beside() -> list[Patch]:
    def change(core: BankCore, c: m.LiveCommand) -> m.LiveCommand:
        known = c.locker in core.state.lockers
        return msgspec.structs.replace(c, locker=_neighbour(core.state, c.locker)) if known else c

    return _claimed_variant(change)


def command_done_twice() -> list[Patch]:
    real = decide.decide_open

    def variant(*args: Any) -> Any:
        made = real(*args)
        return replace(made, events=(*made.events, made.events[-1]))

    return [(edge, "decide_open", variant)]


# -- 4 ----------------------------------------------------------------------------------------------------------


def _execute_variant(change: Callable[[BankState, standing.Standing], standing.Standing]) -> list[Patch]:
    real = standing.execute

    def variant(bank: BankState, directory: Directory, command: standing.Standing, *rest: Any) -> Any:
        return real(bank, directory, change(bank, command), *rest)

    return [(edge, "execute", variant)]


def release_ends_any() -> list[Patch]:
    def change(bank: BankState, c: standing.Standing) -> standing.Standing:
        held = bank.lockers[c.locker].assignment if c.locker in bank.lockers else None
        return replace(c, assignment=held.assignment) if c.kind == "end" and held is not None else c

    return _execute_variant(change)


def standing_never_late() -> list[Patch]:
    return _execute_variant(lambda bank, c: replace(c, not_after_ms=1 << 50))


def standing_newest_first() -> list[Patch]:
    real = BankCore._standing

    def variant(self: BankCore, commands: Any, moment: Moment) -> None:
        for command in sorted(commands, key=lambda c: -c.ordinal):
            real(self, (command,), moment)

    return [(BankCore, "_standing", variant)]


def refused_blocks() -> list[Patch]:
    real = standing.execute

    def variant(*args: Any) -> Any:
        made = real(*args)
        return made if made.reason is None else replace(made, events=())

    return [(edge, "execute", variant)]


# -- 5 ----------------------------------------------------------------------------------------------------------


def heads_not_checked() -> list[Patch]:
    return [(receive, "_check_heads", lambda *args: None)]


def all_acknowledged() -> list[Patch]:
    real = Uplink.took

    def variant(self: Uplink, reply: m.EventsReply) -> None:
        real(self, reply)
        self._acked = self._core.state.seq

    return [(Uplink, "took", variant)]


def batch_without_last() -> list[Patch]:
    real = Uplink.batch

    def variant(self: Uplink) -> m.Events | None:
        made = real(self)
        if made is None or len(made.lines) < 2:
            return made
        return msgspec.structs.replace(made, lines=made.lines[:-1])

    return [(Uplink, "batch", variant)]


def lines_not_chained() -> list[Patch]:
    real = chain.link
    return [(edge, "link", lambda previous, line: real(bytes(32), line))]


# -- 6 ----------------------------------------------------------------------------------------------------------


def _snapshot_variant(spoil: Callable[[BankState], None]) -> list[Patch]:
    real = journal.decode_state

    def variant(raw: bytes) -> BankState:
        state = real(raw)
        spoil(state)
        return state

    return [(receive, "decode_state", variant)]


def snapshot_forgets_former() -> list[Patch]:
    def spoil(state: BankState) -> None:
        for s in state.lockers.values():
            s.former = None

    return _snapshot_variant(spoil)


def snapshot_forgets_outcomes() -> list[Patch]:
    return _snapshot_variant(lambda state: state.answered.clear())


def state_without_event() -> list[Patch]:
    real = BankCore._tap

    def variant(self: BankCore, item: io.TapSeen, *rest: Any) -> None:
        real(self, item, *rest)
        self.state.bound.pop(next(iter(self.state.bound), ""), None)

    return [(BankCore, "_tap", variant)]


# -- 7 ----------------------------------------------------------------------------------------------------------


def blocked_is_ignored() -> list[Patch]:
    real = decide._who

    def variant(case: Any, tap: Tap, credential: Any, person: Any) -> Any:
        return real(case, tap, replace(credential, blocked=False) if credential is not None else None, person)

    return [(decide, "_who", variant)]


def bank_never_pulls() -> list[Patch]:
    real = Uplink._compare

    def variant(self: Uplink, directory: int, ordinal: int) -> None:
        real(self, min(directory, self._core.directory.version), ordinal)

    return [(Uplink, "_compare", variant)]


def delta_does_not_replace() -> list[Patch]:
    real = Directory.apply

    def variant(self: Directory, *, full: bool, **rest: Any) -> None:
        before = {} if full else dict(self.credentials)
        real(self, full=full, **rest)
        self.credentials.update(before)

    return [(Directory, "apply", variant)]


def deltas_are_dropped() -> list[Patch]:
    real = BankCore._directory

    def variant(self: BankCore, item: io.DirectoryCame, *rest: Any) -> None:
        if item.reply.full:
            real(self, item, *rest)

    return [(BankCore, "_directory", variant)]


# -- 8 ----------------------------------------------------------------------------------------------------------


def nothing_is_due() -> list[Patch]:
    return [(decide, "due", lambda *args: False), (ending, "due", lambda *args: False)]


def due_in_doubt() -> list[Patch]:
    def variant(bank: BankState, s: LockerState, moment: Moment) -> bool:
        return s.assignment is not None and s.assignment.ends_ms is not None and s.assignment.ends_ms <= moment.at_ms

    return [(decide, "due", variant), (ending, "due", variant)]


def midnight_is_utc() -> list[Patch]:
    def variant(timezone: str, now_ms: int) -> Calendar:
        return calendar_for("UTC", now_ms)

    return [(office, "calendar_for", variant)]


def time_runs_back() -> list[Patch]:
    def variant(self: BankCore) -> Moment:
        wall_ms = self._clock.wall_ms() + self._judge.offset_ms
        return Moment(wall_ms, self._clock.mono_ms(), self._boot, not self.state.clock_in_doubt)

    return [(BankCore, "_moment", variant)]


def visitors_in_doubt() -> list[Patch]:
    real = decide._who

    def variant(case: Any, *rest: Any) -> Any:
        doubt, case.bank.clock_in_doubt = case.bank.clock_in_doubt, False
        try:
            return real(case, *rest)
        finally:
            case.bank.clock_in_doubt = doubt

    return [(decide, "_who", variant)]


def jump_is_no_doubt() -> list[Patch]:
    return [(ClockJudge, "tick", lambda *args: None)]


# -- 9 ----------------------------------------------------------------------------------------------------------


def denials_not_journaled() -> list[Patch]:
    def change(bank: BankState, tap: Tap, mint: Callable[[str], str], made: Any) -> Any:
        return replace(made, events=()) if isinstance(made, Denied) else made

    return _tap_variant(change)


def actor_is_nobody() -> list[Patch]:
    real = BankCore._stage

    def variant(self: BankCore, event: ev.Event, actor: str | None, moment: Moment) -> None:
        real(self, event, None, moment)

    return [(BankCore, "_stage", variant)]


def late_taps_dropped() -> list[Patch]:
    real = BankCore._tap

    def variant(self: BankCore, item: io.TapSeen, moment: Moment, effects: list[io.Effect]) -> None:
        if moment.mono_ms - item.mono_ms <= io.TAP_LIVES_MS:
            real(self, item, moment, effects)

    return [(BankCore, "_tap", variant)]


def other_reason() -> list[Patch]:
    def change(bank: BankState, tap: Tap, mint: Callable[[str], str], made: Any) -> Any:
        if not isinstance(made, Denied) or not isinstance(made.events[-1], ev.TapDenied):
            return made
        return replace(made, events=(*made.events[:-1], replace(made.events[-1], reason=Reason.BUSY)))

    return _tap_variant(change)


# -- 10 ---------------------------------------------------------------------------------------------------------


def strange_tap_breaks() -> list[Patch]:
    def change(bank: BankState, tap: Tap, mint: Callable[[str], str], made: Any) -> Any:
        if tap.locker is not None:
            bank.lockers[tap.locker]
        return made

    return _tap_variant(change)


def strange_command_breaks() -> list[Patch]:
    def change(bank: BankState, c: standing.Standing) -> standing.Standing:
        bank.lockers[c.locker]
        return c

    return _execute_variant(change)


def strange_tap_silences() -> list[Patch]:
    real = BankCore._tap
    deaf: set[int] = set()

    def variant(self: BankCore, item: io.TapSeen, *rest: Any) -> None:
        if id(self) in deaf:
            return
        if item.locker is not None and item.locker not in self.state.lockers:
            deaf.add(id(self))
        real(self, item, *rest)

    return [(BankCore, "_tap", variant)]


def garbage_breaks() -> list[Patch]:
    def variant(kind: Any, payload: bytes) -> Any:
        return msgspec.json.decode(payload, type=kind)

    return [(m, "decode", variant)]
