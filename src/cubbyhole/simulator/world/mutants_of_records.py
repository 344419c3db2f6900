"""Faulty variants of what is recorded, sent, timed and reported: the second half of `mutants`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from cubbyhole.domain import chain, decide, ending, standing
from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import BankState, LockerState
from cubbyhole.domain.decision import Denied, Tap
from cubbyhole.domain.directory import Calendar, Directory
from cubbyhole.domain.moment import Moment
from cubbyhole.domain.vocabulary import Cause, Reason
from cubbyhole.edge import inputs as io
from cubbyhole.edge import ledger
from cubbyhole.edge.clock import BankTime, ClockJudge
from cubbyhole.edge.conversation import Ask, Conversation
from cubbyhole.edge.core import BankCore
from cubbyhole.edge.ledger import Ledger
from cubbyhole.protocol import journal
from cubbyhole.protocol import messages as m
from cubbyhole.server.banks import receive
from cubbyhole.server.directory.calendar import calendar_for
from cubbyhole.simulator.world import office
from cubbyhole.simulator.world.mutants import Patch, execute_variant, tap_variant

# -- 5 ----------------------------------------------------------------------------------------------------------


def heads_not_checked() -> list[Patch]:
    return [(receive, "_check_heads", lambda *args: None)]


def all_acknowledged() -> list[Patch]:
    took, beaten = Conversation.took, Conversation._beaten

    def believes(self: Conversation, reply: m.EventsReply) -> list[io.Input]:
        made = took(self, reply)
        self.acked = self.core.state.seq
        return made

    def does_not_listen(self: Conversation, ask: Ask, reply: m.BeatReply) -> list[io.Input]:
        return beaten(self, ask, msgspec.structs.replace(reply, acked_epoch=None))  # or heartbeats would mend it

    return [(Conversation, "took", believes), (Conversation, "_beaten", does_not_listen)]


def batch_without_last() -> list[Patch]:
    real = Conversation.batch

    def variant(self: Conversation) -> m.Events | None:
        made = real(self)
        if made is None or len(made.lines) < 2:
            return made
        return msgspec.structs.replace(made, lines=made.lines[:-1])

    return [(Conversation, "batch", variant)]


def lines_not_chained() -> list[Patch]:
    real = chain.link
    return [(ledger, "link", lambda previous, line: real(bytes(32), line))]


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
    real = Conversation._compare

    def variant(self: Conversation, directory: int, ordinal: int) -> None:
        real(self, min(directory, self.core.directory.version), ordinal)

    return [(Conversation, "_compare", variant)]


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
    return [(ending, "cause_of_end", lambda *args: None)]


def due_in_doubt() -> list[Patch]:
    def variant(bank: BankState, s: LockerState, moment: Moment) -> Cause | None:
        over = s.assignment is not None and s.assignment.ends_ms is not None and s.assignment.ends_ms <= moment.at_ms
        return Cause.EXPIRED if over else None

    return [(ending, "cause_of_end", variant)]


def midnight_is_utc() -> list[Patch]:
    def variant(timezone: str, now_ms: int) -> Calendar:
        return calendar_for("UTC", now_ms)

    return [(office, "calendar_for", variant)]


def time_runs_back() -> list[Patch]:
    def variant(self: BankTime, state: BankState) -> Moment:
        wall_ms = self._clock.wall_ms() + self._judge.offset_ms
        return Moment(wall_ms, self._clock.mono_ms(), self._boot, not state.clock_in_doubt)

    return [(BankTime, "moment", variant)]


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

    return tap_variant(change)


def actor_is_nobody() -> list[Patch]:
    real = Ledger.append

    def variant(self: Ledger, event: ev.Event, actor: str | None, moment: Moment) -> None:
        real(self, event, None, moment)

    return [(Ledger, "append", variant)]


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

    return tap_variant(change)


# -- 10 ---------------------------------------------------------------------------------------------------------


def strange_tap_breaks() -> list[Patch]:
    def change(bank: BankState, tap: Tap, mint: Callable[[str], str], made: Any) -> Any:
        if tap.locker is not None:
            bank.lockers[tap.locker]
        return made

    return tap_variant(change)


def strange_command_breaks() -> list[Patch]:
    def change(bank: BankState, c: standing.Standing) -> standing.Standing:
        bank.lockers[c.locker]
        return c

    return execute_variant(change)


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
