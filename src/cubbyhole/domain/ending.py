"""How assignments end, and what becomes of a locker whose contents nobody knows."""

from __future__ import annotations

from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import BankState, LockerState
from cubbyhole.domain.directory import Directory
from cubbyhole.domain.lasting import CalendarRunOut, ends_at_ms
from cubbyhole.domain.layout import parse_columns
from cubbyhole.domain.moment import Moment
from cubbyhole.domain.vocabulary import Cause, Contents, Mode, Occupancy


def due(bank: BankState, s: LockerState, moment: Moment) -> bool:
    """Whether the locker's assignment is over. In doubt about the clock nothing is over early."""
    return cause_of_end(bank, s, moment) is not None


def cause_of_end(bank: BankState, s: LockerState, moment: Moment) -> Cause | None:
    """Why the locker's assignment is over; None where it goes on."""
    a = s.assignment
    if a is None or bank.clock_in_doubt:
        return None
    if a.ends_ms is not None and a.ends_ms <= moment.at_ms:
        return Cause.EXPIRED
    return Cause.LAPSED if a.hold_until_ms is not None and a.hold_until_ms <= moment.at_ms else None


def end(bank: BankState, directory: Directory, s: LockerState, cause: Cause, moment: Moment) -> ev.AssignmentEnded:
    """The event that ends the assignment of ``s``, with the consequences that the rule on contents gives it.

    A sensor that says empty settles it. One that says occupied, or nothing, leaves the former holder the right to
    fetch their things; where the rule says check first the locker is not offered until somebody has looked. Who closed
    the door too soon may open it again for the rule's grace, whatever else holds. A hold that lapsed was never opened
    by its holder: what is inside all the same is somebody else's.
    """
    a = s.assignment
    assert a is not None, "only an assigned locker can end"
    person = directory.people.get(a.person)
    rules = directory.effective(bank.place(s.number), person.groups if person is not None else ())
    former, check, until_ms = False, None, None
    if cause is Cause.HANDED_OVER:
        pass
    elif cause is Cause.LAPSED:
        check = "not_empty" if s.occupancy is Occupancy.OCCUPIED else None
    elif s.occupancy is Occupancy.OCCUPIED:
        former, check = True, "not_empty"
    elif s.occupancy is Occupancy.UNKNOWN and rules.contents is not Contents.RELEASE:
        former, check = True, "contents_unknown" if rules.contents is Contents.CHECK else None
    elif cause is Cause.RELEASED and rules.grace_min and not bank.clock_in_doubt:
        former, until_ms = True, moment.at_ms + rules.grace_min * 60_000
    ended_ms = moment.at_ms
    if cause is Cause.EXPIRED and a.ends_ms is not None:
        ended_ms = a.ends_ms
    elif cause is Cause.LAPSED and a.hold_until_ms is not None:
        ended_ms = a.hold_until_ms
    return ev.AssignmentEnded(
        assignment=a.assignment, locker=s.number, person=a.person, cause=cause, ended_ms=ended_ms,
        former_may_open=former, check=check, former_until_ms=until_ms,
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
    over = ((s, cause_of_end(bank, s, moment)) for s in bank.lockers.values())
    return [end(bank, directory, s, cause, moment) for s, cause in over if cause is not None]


def untimed(bank: BankState, directory: Directory, moment: Moment) -> list[ev.Event]:
    """Ends for the assignments that were given in doubt of the clock, once it is trusted again."""
    if bank.clock_in_doubt:
        return []
    timed: list[ev.Event] = []
    for s in bank.lockers.values():
        a = s.assignment
        if a is None or a.timed or a.mode is Mode.PERMANENT or due(bank, s, moment):
            continue
        person = directory.people.get(a.person)
        rules = directory.effective(bank.place(s.number), person.groups if person is not None else ())
        try:
            ends_ms = ends_at_ms(a.mode, rules, directory.calendar, moment.at_ms)
        except CalendarRunOut:
            continue
        timed.append(ev.AssignmentTimed(assignment=a.assignment, locker=s.number, ends_ms=ends_ms))
    return timed
