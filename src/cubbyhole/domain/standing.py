"""Standing commands: changes that wait for their bank and hit what was meant, or are refused for good."""

from __future__ import annotations

from dataclasses import dataclass

from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import BankState, LockerState
from cubbyhole.domain.decide import Executed, Mint, after_end
from cubbyhole.domain.directory import Directory
from cubbyhole.domain.ending import due, end
from cubbyhole.domain.moment import Moment, next_midnight_ms
from cubbyhole.domain.vocabulary import Cause, Mode, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One standing command. ``assignment`` names the assignment that it changes; for ``assign`` the locker must have
    none. ``needs_directory`` is the directory version that it was made under."""

    command: str
    ordinal: int
    kind: str
    locker: str
    reason: str
    not_after_ms: int
    needs_directory: int
    assignment: str | None = None
    person: str | None = None
    mode: Mode | None = None
    ends_ms: int | None = None
    note: str | None = None


def is_waiting(directory: Directory, command: Standing) -> bool:
    """Whether the command must wait until the bank has pulled the directory that it was made under."""
    return directory.version < command.needs_directory


def execute(bank: BankState, directory: Directory, command: Standing, moment: Moment, mint: Mint) -> Executed:
    """Do it or refuse it, once. The outcome is in the journal with the change itself; a duplicate gets it again."""
    s = bank.lockers.get(command.locker)
    if moment.at_ms > command.not_after_ms and not bank.clock_in_doubt:
        return _done(command, (), Reason.LATE)
    if s is None and command.kind == "checked" and command.locker in bank.removed:
        return _done(command, (ev.Checked(locker=command.locker, command=command.command),))
    if s is None:
        return _done(command, (), Reason.UNKNOWN_LOCKER)
    match command.kind:
        case "assign":
            return _assign(bank, directory, s, command, moment, mint)
        case "end":
            if s.assignment is None or s.assignment.assignment != command.assignment:
                return _done(command, (), Reason.ASSIGNMENT_CHANGED)
            return _done(command, (end(bank, directory, s, Cause.OPERATOR, moment),))
        case "out_of_service":
            return _done(command, (ev.OutOfService(locker=s.number, reason=command.reason, note=command.note),))
        case "in_service":
            return _done(command, (ev.InService(locker=s.number, reason=command.reason, note=command.note),))
        case "checked":
            return _done(command, (ev.Checked(locker=s.number, command=command.command),))
        case _:
            return _done(command, (), Reason.UNKNOWN_KIND)


def _assign(bank: BankState, directory: Directory, s: LockerState, c: Standing, moment: Moment, mint: Mint) -> Executed:
    person = directory.people.get(c.person or "")
    if person is None or not person.active:
        return _done(c, (), Reason.PERSON_INACTIVE)
    if c.ends_ms is not None and c.ends_ms <= moment.at_ms and not bank.clock_in_doubt:
        return _done(c, (), Reason.LATE)
    made: list[ev.Event] = []
    if due(bank, s, moment):
        ended = end(bank, directory, s, Cause.EXPIRED, moment)
        made.append(ended)
        s = after_end(s, ended)
    if s.assignment is not None:
        return _done(c, (), Reason.TAKEN)
    if s.out_of_service is not None:
        return _done(c, (), Reason.OUT_OF_SERVICE)
    rules = directory.effective(bank.place(s.number), person.groups)
    mode = c.mode or rules.mode
    ends_ms = c.ends_ms
    if ends_ms is None and mode is not Mode.PERMANENT and not bank.clock_in_doubt:
        ends_ms = next_midnight_ms(directory.calendar.midnights, moment.at_ms)
    if bank.bound.get(person.person) != person.commitment:
        made.append(ev.PersonBound(person=person.person, commitment=person.commitment))
    if s.check is not None or s.unverified:
        # Whoever assigns it by hand vouches for it; the record says so.
        made.append(ev.Checked(locker=s.number, command=c.command))
    made.append(
        ev.AssignmentStarted(
            assignment=mint("a"), locker=s.number, person=person.person, mode=mode, ends_ms=ends_ms, rule="operator"
        )
    )
    held = 1 + sum(1 for h in bank.held_by(person.person) if h.number != s.number and not due(bank, h, moment))
    if held > rules.max_lockers:
        # A hand may exceed the limit; it is said, and nobody is thrown out.
        made.append(ev.LimitExceeded(person=person.person, held=held, limit=rules.max_lockers))
    return _done(c, tuple(made))


def _done(command: Standing, made: tuple[ev.Event, ...], reason: Reason | None = None) -> Executed:
    outcome = "done" if reason is None else "refused"
    done = ev.CommandDone(
        command=command.command, kind=command.kind, outcome=outcome, reason=reason, ordinal=command.ordinal
    )
    return Executed((*made, done), reason)
