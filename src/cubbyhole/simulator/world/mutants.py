"""The faulty variants themselves: each function returns what to replace by what. Only `mutations` uses them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from cubbyhole.domain import decide, ending, standing
from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import BankState, LockerState
from cubbyhole.domain.decision import Denied, Granted, Tap
from cubbyhole.domain.directory import Directory
from cubbyhole.domain.moment import Moment
from cubbyhole.domain.vocabulary import Reason, Way
from cubbyhole.edge import core as edge
from cubbyhole.edge import inputs as io
from cubbyhole.edge.core import BankCore
from cubbyhole.protocol import messages as m

Patch = tuple[Any, str, Any]


def neighbour(bank: BankState, number: str) -> str:
    numbers = list(bank.lockers)
    return numbers[(numbers.index(number) + 1) % len(numbers)]


def tap_variant(change: Callable[[BankState, Tap, Callable[[str], str], Any], Any]) -> list[Patch]:
    """Replace what the core calls to decide a tap: ``change`` gets the real decision and returns the faulty one."""
    real = decide.decide_tap

    def variant(bank: BankState, directory: Directory, tap: Tap, moment: Moment, mint: Callable[[str], str]) -> Any:
        return change(bank, tap, mint, real(bank, directory, tap, moment, mint))

    return [(edge, "decide_tap", variant)]


def execute_variant(change: Callable[[BankState, standing.Standing], standing.Standing]) -> list[Patch]:
    real = standing.execute

    def variant(bank: BankState, directory: Directory, command: standing.Standing, *rest: Any) -> Any:
        return real(bank, directory, change(bank, command), *rest)

    return [(edge, "execute", variant)]


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

    return tap_variant(change)


def door_beside_opens() -> list[Patch]:
    def change(bank: BankState, tap: Tap, mint: Callable[[str], str], made: Any) -> Any:
        return replace(made, locker=neighbour(bank, made.locker)) if isinstance(made, Granted) else made

    return tap_variant(change)


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

    return [*_offers(Reason.NOT_EMPTY), (edge, "end", variant), (standing, "end", variant), (ending, "end", variant)]


def unverified_is_given() -> list[Patch]:
    return _offers(Reason.UNVERIFIED)


def desk_assigns_taken() -> list[Patch]:
    real = standing._assign

    def variant(case: Any, s: LockerState, command: standing.Standing) -> Any:
        held, s.assignment = s.assignment, None
        try:
            return real(case, s, command)
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

    return tap_variant(change)


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
        return msgspec.structs.replace(c, locker=neighbour(core.state, c.locker)) if known else c

    return _claimed_variant(change)


def command_done_twice() -> list[Patch]:
    real = decide.decide_open

    def variant(*args: Any) -> Any:
        made = real(*args)
        return replace(made, events=(*made.events, made.events[-1]))

    return [(edge, "decide_open", variant)]


# -- 4 ----------------------------------------------------------------------------------------------------------


def release_ends_any() -> list[Patch]:
    def change(bank: BankState, c: standing.Standing) -> standing.Standing:
        held = bank.lockers[c.locker].assignment if c.locker in bank.lockers else None
        return replace(c, assignment=held.assignment) if c.kind == "end" and held is not None else c

    return execute_variant(change)


def standing_never_late() -> list[Patch]:
    return execute_variant(lambda bank, c: replace(c, not_after_ms=1 << 50))


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
