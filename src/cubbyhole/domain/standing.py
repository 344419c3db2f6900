"""Standing commands: changes that wait for their bank and hit what was meant, or are refused for good."""

from __future__ import annotations

from dataclasses import dataclass

from cubbyhole.domain import events as ev
from cubbyhole.domain import keeping
from cubbyhole.domain.bank import BankState, LockerState
from cubbyhole.domain.case import Case, offline_for_ms
from cubbyhole.domain.decision import Executed, Mint
from cubbyhole.domain.directory import Directory, PersonRow
from cubbyhole.domain.ending import due, end
from cubbyhole.domain.giving import start, why_not_given
from cubbyhole.domain.keeping import Made
from cubbyhole.domain.lasting import CalendarRunOut, ends_at_ms
from cubbyhole.domain.locker import Assignment
from cubbyhole.domain.moment import Moment
from cubbyhole.domain.vocabulary import Cause, Mode, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One standing command. ``assignment`` names the assignment that it changes; for ``assign`` the locker must have
    none. ``needs_directory`` is the directory version that it was made under.

    ``candidates`` are the lockers to choose from, the best first, where somebody asked for any that fits (``locker`` is
    the first of them then). ``self_service``: somebody acts for themselves and keeps to the rules; else it is an
    operator, whose hand goes beyond limits and modes. ``hold``: what is given lapses unless it is opened in time.
    """

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
    candidates: tuple[str, ...] = ()
    self_service: bool = False
    hold: bool = False
    group: str | None = None
    share: str | None = None
    once: bool = False


def is_waiting(directory: Directory, command: Standing) -> bool:
    """Whether the command must wait until the bank has pulled the directory that it was made under."""
    return directory.version < command.needs_directory


def execute(bank: BankState, directory: Directory, command: Standing, moment: Moment, mint: Mint) -> Executed:
    """Do it or refuse it, once. The outcome is in the journal with the change itself; a duplicate gets it again."""
    if moment.at_ms > command.not_after_ms and not bank.clock_in_doubt:
        return _done(command, Reason.LATE)
    case = Case(bank, directory, moment, mint, offline_for_ms(bank, moment))
    s = bank.lockers.get(command.locker)
    if s is None and command.kind == "checked" and command.locker in bank.removed:
        return _done(command, (ev.Checked(locker=command.locker, command=command.command),))
    if s is None:
        return _done(command, Reason.UNKNOWN_LOCKER)
    match command.kind:
        case "assign":
            return _done(command, _assign(case, s, command))
        case "end" | "renew" | "share" | "unshare" | "hand_over" | "move" | "retime":
            a = s.assignment
            if a is None or a.assignment != command.assignment:
                return _done(command, Reason.ASSIGNMENT_CHANGED)
            return _done(command, _change(case, s, a, command))
        case "out_of_service":
            return _done(command, (ev.OutOfService(locker=s.number, reason=command.reason, note=command.note),))
        case "in_service":
            return _done(command, (ev.InService(locker=s.number, reason=command.reason, note=command.note),))
        case "checked":
            return _done(command, (ev.Checked(locker=s.number, command=command.command),))
        case _:
            return _done(command, Reason.UNKNOWN_KIND)


def _change(case: Case, s: LockerState, a: Assignment, c: Standing) -> Made:
    """Change the assignment that the command names."""
    people = case.directory.people
    match c.kind:
        case "end":
            cause = Cause.RELEASED if c.self_service else Cause.OPERATOR
            return (end(case.bank, case.directory, s, cause, case.moment),)
        case "renew":
            holder = people.get(a.person)
            made = keeping.renewal(case, s, a, holder) if holder is not None else Reason.PERSON_INACTIVE
            return made if isinstance(made, Reason) else (made,)
        case "share":
            return keeping.share(case, s, a, c.person, c.group, c.ends_ms, c.once)
        case "unshare":
            return keeping.unshare(s, a, c.share or "")
        case "hand_over":
            return keeping.hand_over(case, s, a, people.get(c.person or ""), c.self_service)
        case "move":
            return keeping.move(case, s, a, c.candidates, people.get(a.person), c.self_service)
        case _:
            return keeping.retime(case, s, a, c.ends_ms)


def _assign(case: Case, s: LockerState, c: Standing) -> Made:
    person = case.directory.people.get(c.person or "")
    if person is None or not person.active:
        return Reason.PERSON_INACTIVE
    if c.ends_ms is not None and c.ends_ms <= case.moment.at_ms and not case.bank.clock_in_doubt:
        return Reason.LATE
    if c.self_service:
        return _take(case, c, person)
    case.expire(s.number)
    s = case.locker(s.number)
    if s.assignment is not None:
        return Reason.TAKEN
    if s.out_of_service is not None:
        return Reason.OUT_OF_SERVICE
    return _by_hand(case, s, c, person)


def _take(case: Case, c: Standing, person: PersonRow) -> Made:
    """Somebody gets the first locker of those that fit which is still free and may be theirs."""
    for held in case.bank.held_by(person.person):
        case.expire(held.number)
    refusals: set[Reason] = set()
    for number in c.candidates or (c.locker,):
        if number not in case.bank.lockers:
            continue
        case.expire(number)
        s = case.locker(number)
        rules = case.rules(person, number)
        mode = c.mode or rules.mode
        refused = why_not_given(case, s, person, rules, mode)
        if refused is None:
            start(case, s, person, rules, mode, rules.by["longest" if c.mode is not None else "mode"], hold=c.hold)
            return tuple(case.events)
        refusals.add(refused[0])
    return refusals.pop() if len(refusals) == 1 else Reason.NOTHING_FREE


def _by_hand(case: Case, s: LockerState, c: Standing, person: PersonRow) -> Made:
    """An operator gives the locker: what the rules say about the person is not asked."""
    bank, moment = case.bank, case.moment
    rules = case.rules(person, s.number)
    mode = c.mode or rules.mode
    ends_ms = c.ends_ms
    if ends_ms is None and mode is not Mode.PERMANENT and not bank.clock_in_doubt:
        try:
            ends_ms = ends_at_ms(mode, rules, case.directory.calendar, moment.at_ms)
        except CalendarRunOut:
            return Reason.OFFLINE_TOO_LONG
    case.bind(person)
    if s.check is not None or s.unverified:
        # Whoever assigns it by hand vouches for it; the record says so.
        case.events.append(ev.Checked(locker=s.number, command=c.command))
    case.events.append(
        ev.AssignmentStarted(
            assignment=case.mint("a"), locker=s.number, person=person.person, mode=mode, ends_ms=ends_ms,
            rule="operator",
        )
    )  # fmt: skip
    held = 1 + sum(1 for h in bank.held_by(person.person) if h.number != s.number and not due(bank, h, moment))
    if held > rules.max_lockers:
        # A hand may exceed the limit; it is said, and nobody is thrown out.
        case.events.append(ev.LimitExceeded(person=person.person, held=held, limit=rules.max_lockers))
    return tuple(case.events)


def _done(command: Standing, made: Made) -> Executed:
    reason = made if isinstance(made, Reason) else None
    events = () if isinstance(made, Reason) else made
    done = ev.CommandDone(
        command=command.command, kind=command.kind, outcome="done" if reason is None else "refused", reason=reason,
        ordinal=command.ordinal,
    )  # fmt: skip
    return Executed((*events, done), reason)
