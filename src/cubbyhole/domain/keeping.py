"""What becomes of an assignment while it lasts: renewed, shared, handed over, moved, brought into line with new rules.

Each function gives the events that do it, or the reason why not. Whoever acts for themselves keeps to the rules; an
operator may go beyond limits and modes, but not against what the locker is.
"""

from __future__ import annotations

from collections.abc import Sequence

from cubbyhole.domain import ending
from cubbyhole.domain import events as ev
from cubbyhole.domain.case import Case
from cubbyhole.domain.directory import PersonRow
from cubbyhole.domain.giving import is_longer, why_not_given
from cubbyhole.domain.lasting import CalendarRunOut, ends_at_ms
from cubbyhole.domain.locker import Assignment, LockerState
from cubbyhole.domain.vocabulary import Cause, Mode, Reason

SHARES_MOST = 20

Made = tuple[ev.Event, ...] | Reason


def renewal(case: Case, s: LockerState, a: Assignment, person: PersonRow) -> ev.AssignmentRenewed | Reason:
    """The holder keeps the locker for another of its mode: days from its end, a term from now.

    One that would end no later than a new one today cannot be renewed yet, so that nobody collects days ahead.
    """
    rules = case.rules(person, s.number)
    if not rules.allowed:
        return Reason.NOT_ENTITLED
    if s.out_of_service is not None:
        return Reason.OUT_OF_SERVICE
    if case.bank.clock_in_doubt:
        return Reason.CLOCK_IN_DOUBT
    if a.ends_ms is None:
        return Reason.TOO_EARLY
    if is_longer(a.mode, rules.longest):
        return Reason.MODE_NOT_ALLOWED
    if a.renewed >= rules.renewals:
        return Reason.NO_RENEWALS_LEFT
    if len(case.held_by(person.person)) > rules.max_lockers:
        return Reason.LIMIT_REACHED
    now_ms, calendar = case.moment.at_ms, case.directory.calendar
    try:
        today_ms = ends_at_ms(a.mode, rules, calendar, now_ms)
        ends_ms = ends_at_ms(a.mode, rules, calendar, now_ms if a.mode is Mode.TERM else a.ends_ms)
    except CalendarRunOut:
        return Reason.OFFLINE_TOO_LONG
    if ends_ms is None or today_ms is None or a.ends_ms > today_ms or ends_ms <= a.ends_ms:
        return Reason.TOO_EARLY
    return ev.AssignmentRenewed(
        assignment=a.assignment, locker=s.number, person=a.person, ends_ms=ends_ms, rule=rules.by["renewals"]
    )


def share(
    case: Case, s: LockerState, a: Assignment, person: str | None, group: str | None, until_ms: int | None, once: bool
) -> Made:
    """Let a person or a group open the locker too."""
    holder = case.directory.people.get(a.person)
    if not case.rules(holder, s.number).sharing or len(a.shares) >= SHARES_MOST:
        return Reason.SHARING_NOT_ALLOWED
    if (person is None) is (group is None) or person == a.person:
        return Reason.SHARING_NOT_ALLOWED
    if until_ms is not None and until_ms <= case.moment.at_ms and not case.bank.clock_in_doubt:
        return Reason.LATE
    made: list[ev.Event] = []
    if person is not None:
        other = case.directory.people.get(person)
        if other is None or not other.active:
            return Reason.PERSON_INACTIVE
        if not case.rules(other, s.number).allowed:
            return Reason.NOT_ENTITLED
        case.bind(other)
        made += case.events
    shared = ev.AssignmentShared(
        assignment=a.assignment, locker=s.number, share=case.mint("s"), person=person, group=group, until_ms=until_ms,
        once=once,
    )  # fmt: skip
    return (*made, shared)


def unshare(s: LockerState, a: Assignment, name: str) -> Made:
    """Take a share back."""
    found = next((x for x in a.shares if x.share == name), None)
    if found is None:
        return Reason.ASSIGNMENT_CHANGED
    return (
        ev.ShareEnded(assignment=a.assignment, locker=s.number, share=name, person=found.person, cause="withdrawn"),
    )


def hand_over(case: Case, s: LockerState, a: Assignment, to: PersonRow | None, self_service: bool) -> Made:
    """The locker with what is in it becomes somebody else's, for as long as it would have been the holder's."""
    if to is None or not to.active:
        return Reason.PERSON_INACTIVE
    if to.person == a.person:
        return Reason.ASSIGNMENT_CHANGED
    if s.out_of_service is not None:
        return Reason.OUT_OF_SERVICE
    rules = case.rules(to, s.number)
    if self_service:
        if not rules.allowed:
            return Reason.NOT_ENTITLED
        if is_longer(a.mode, rules.longest):
            return Reason.MODE_NOT_ALLOWED
        if len(case.held_by(to.person)) >= rules.max_lockers:
            return Reason.LIMIT_REACHED
    case.bind(to)
    case.events.append(ending.end(case.bank, case.directory, s, Cause.HANDED_OVER, case.moment))
    case.events.append(_again(case, s.number, a, to.person, "handed_over"))
    return tuple(case.events)


def move(
    case: Case, s: LockerState, a: Assignment, candidates: Sequence[str], person: PersonRow | None, self_service: bool
) -> Made:
    """The assignment goes on in the first of ``candidates`` that is free; what is in the old one may be fetched."""
    if person is None or not person.active:
        return Reason.PERSON_INACTIVE
    refusals: set[Reason] = set()
    for number in candidates:
        new = case.bank.lockers.get(number)
        if new is None or number == s.number:
            continue
        refused = _why_not_moved(case, new, person, a, self_service)
        if refused is not None:
            refusals.add(refused)
            continue
        case.bind(person)
        started = _again(case, number, a, a.person, a.rule)
        shares = [
            ev.AssignmentShared(
                assignment=started.assignment, locker=number, share=case.mint("s"), person=x.person, group=x.group,
                until_ms=x.until_ms, once=x.once,
            )
            for x in a.shares
        ]  # fmt: skip
        case.events += [ending.end(case.bank, case.directory, s, Cause.MOVED, case.moment), started, *shares]
        return tuple(case.events)
    return refusals.pop() if len(refusals) == 1 else Reason.NOTHING_FREE


def _why_not_moved(case: Case, new: LockerState, person: PersonRow, a: Assignment, self_service: bool) -> Reason | None:
    if not self_service:
        return new.not_offered()
    refused = why_not_given(case, new, person, case.rules(person, new.number), a.mode)
    # The one that is left does not count.
    return None if refused is None or refused[0] is Reason.LIMIT_REACHED else refused[0]


def retime(case: Case, s: LockerState, a: Assignment, ends_ms: int | None) -> Made:
    """Give the assignment another end, never one that has passed."""
    if ends_ms is not None and ends_ms <= case.moment.at_ms:
        return Reason.LATE
    return (ev.AssignmentTimed(assignment=a.assignment, locker=s.number, ends_ms=ends_ms),)


def _again(case: Case, number: str, a: Assignment, person: str, rule: str) -> ev.AssignmentStarted:
    """The same right once more: another person's, or in another locker."""
    return ev.AssignmentStarted(
        assignment=case.mint("a"), locker=number, person=person, mode=a.mode, ends_ms=a.ends_ms, rule=rule
    )
