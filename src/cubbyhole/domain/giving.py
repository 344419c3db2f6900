"""Giving a locker to somebody: what stands in the way, and how an assignment begins. The same for a tap at the door and
for whoever asks on the phone, at the screen or on the web."""

from __future__ import annotations

from cubbyhole.domain import events as ev
from cubbyhole.domain.case import Case
from cubbyhole.domain.directory import PersonRow
from cubbyhole.domain.lasting import HOUR_MS, CalendarRunOut, ends_at_ms
from cubbyhole.domain.locker import LockerState
from cubbyhole.domain.opening import is_open, minute_of_week
from cubbyhole.domain.rules import Effective
from cubbyhole.domain.vocabulary import Mode, Purpose, Reason

MINUTE_MS = 60_000
FOR_EVERYBODY = (Purpose.PERSONAL, Purpose.TEAM, Purpose.POOL)
_MODES = list(Mode)

Refusal = tuple[Reason, str | None]  # with the rule that says so


def closed_by(case: Case, rules: Effective) -> str | None:
    """The rule that keeps the locker shut at this hour. Where the local time is not known, nobody is locked out."""
    if not rules.opening or case.bank.clock_in_doubt:
        return None
    minute = minute_of_week(case.directory.calendar.offsets, case.moment.at_ms)
    if minute is None:
        return None
    return next((rule for rule, windows in rules.opening if not is_open(windows, minute)), None)


def is_longer(mode: Mode, other: Mode) -> bool:
    return _MODES.index(mode) > _MODES.index(other)


def why_not_given(case: Case, s: LockerState, person: PersonRow, rules: Effective, mode: Mode) -> Refusal | None:
    """Why the person cannot have this locker for ``mode`` now, and the rule that says so; None where they can."""
    if not rules.allowed:
        return Reason.NOT_ENTITLED, rules.by["allowed"]
    if rules.purpose not in FOR_EVERYBODY:
        return Reason.OTHER_PURPOSE, rules.by["purpose"]
    if s.size and s.size not in rules.sizes:
        return Reason.SIZE_NOT_ALLOWED, rules.by["sizes"]
    if is_longer(mode, rules.longest):
        return Reason.MODE_NOT_ALLOWED, rules.by["longest"]
    closed = closed_by(case, rules)
    if closed is not None:
        return Reason.OUTSIDE_HOURS, closed
    reason = s.not_offered()
    if reason is not None:
        return reason, None
    if case.offline_ms is not None and case.offline_ms > rules.give_offline_h * HOUR_MS:
        return Reason.OFFLINE_TOO_LONG, rules.by["give_offline_h"]
    if len(case.held_by(person.person)) >= rules.max_lockers:
        return Reason.LIMIT_REACHED, rules.by["max_lockers"]
    if not case.bank.clock_in_doubt:
        try:
            ends_at_ms(mode, rules, case.directory.calendar, case.moment.at_ms)
        except CalendarRunOut:
            return Reason.OFFLINE_TOO_LONG, rules.by["mode"]
    if s.grant is not None:
        return Reason.BUSY, None
    return None


def start(
    case: Case, s: LockerState, person: PersonRow, rules: Effective, mode: Mode, rule: str, *, hold: bool = False
) -> ev.AssignmentStarted:
    """Begin an assignment. In doubt of the clock its end is set once the clock is trusted. With ``hold`` it lapses
    unless it is opened in time. Raises CalendarRunOut."""
    timed = mode is not Mode.PERMANENT and not case.bank.clock_in_doubt
    ends_ms = ends_at_ms(mode, rules, case.directory.calendar, case.moment.at_ms) if timed else None
    started = ev.AssignmentStarted(
        assignment=case.mint("a"), locker=s.number, person=person.person, mode=mode, ends_ms=ends_ms, rule=rule,
        hold_until_ms=case.moment.at_ms + rules.hold_min * MINUTE_MS if hold else None,
    )  # fmt: skip
    case.bind(person)
    case.events.append(started)
    return started
