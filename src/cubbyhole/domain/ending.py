"""How assignments end, and what becomes of a locker whose contents nobody knows."""

from __future__ import annotations

from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import BankState, LockerState
from cubbyhole.domain.directory import Directory
from cubbyhole.domain.layout import parse_columns
from cubbyhole.domain.moment import Moment, next_midnight_ms
from cubbyhole.domain.vocabulary import Cause, Contents, Mode, Occupancy


def due(bank: BankState, s: LockerState, moment: Moment) -> bool:
    """Whether the locker's assignment is over. In doubt about the clock nothing is over early."""
    a = s.assignment
    return a is not None and a.ends_ms is not None and a.ends_ms <= moment.at_ms and not bank.clock_in_doubt


def end(bank: BankState, directory: Directory, s: LockerState, cause: Cause, moment: Moment) -> ev.AssignmentEnded:
    """The event that ends the assignment of ``s``, with the consequences that the rule on contents gives it.

    A sensor that says empty settles it. One that says occupied, or nothing, leaves the former holder the right to
    fetch their things; where the rule says check first the locker is not offered until somebody has looked.
    """
    a = s.assignment
    assert a is not None, "only an assigned locker can end"
    person = directory.people.get(a.person)
    policy = directory.effective(bank.place(s.number), person.groups if person is not None else ()).contents
    former, check = False, None
    if s.occupancy is Occupancy.OCCUPIED:
        former, check = True, "not_empty"
    elif s.occupancy is Occupancy.UNKNOWN and policy is not Contents.RELEASE:
        former, check = True, "contents_unknown" if policy is Contents.CHECK else None
    ended_ms = a.ends_ms if cause is Cause.EXPIRED and a.ends_ms is not None else moment.at_ms
    return ev.AssignmentEnded(
        assignment=a.assignment, locker=s.number, person=a.person, cause=cause, ended_ms=ended_ms,
        former_may_open=former, check=check,
    )  # fmt: skip


def leaving(bank: BankState, columns: tuple[str, ...], moment: Moment) -> list[ev.Event]:
    """What ends because the bank is to be built of ``columns`` from here on, which lack some of its lockers.

    Whatever the rule on contents says: nobody can open such a locker with a badge any more, so a hand must fetch what
    is inside. Unless its sensor says empty it stays listed (`BankState.removed`) until somebody has looked.
    """
    stay = {spec.number for spec in parse_columns(columns)}
    ended: list[ev.Event] = []
    for s in bank.lockers.values():
        a = s.assignment
        if s.number in stay or a is None:
            continue
        check = {Occupancy.EMPTY: None, Occupancy.OCCUPIED: "not_empty"}.get(s.occupancy, "contents_unknown")
        ended.append(
            ev.AssignmentEnded(
                assignment=a.assignment, locker=s.number, person=a.person, cause=Cause.REMOVED, ended_ms=moment.at_ms,
                former_may_open=check is not None, check=check,
            )
        )  # fmt: skip
    return ended


def all_due(bank: BankState, directory: Directory, moment: Moment) -> list[ev.Event]:
    """What the timer finds to end now."""
    return [end(bank, directory, s, Cause.EXPIRED, moment) for s in bank.lockers.values() if due(bank, s, moment)]


def untimed(bank: BankState, directory: Directory, moment: Moment) -> list[ev.Event]:
    """Ends for the assignments that were given in doubt of the clock, once it is trusted again."""
    if bank.clock_in_doubt:
        return []
    ends_ms = next_midnight_ms(directory.calendar.midnights, moment.at_ms)
    if ends_ms is None:
        return []
    return [
        ev.AssignmentTimed(assignment=s.assignment.assignment, locker=s.number, ends_ms=ends_ms)
        for s in bank.lockers.values()
        if s.assignment is not None and not s.assignment.timed and s.assignment.mode is not Mode.PERMANENT
    ]
