"""Who gets which door: the decisions on a tap, on a live command and on a standing command.

Each function looks at nothing but its arguments (the bank's state, the directory, one reading of the clocks) and
changes nothing; what it decided is in the events that it returns, which the caller journals before anything moves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import BankState, LockerState
from cubbyhole.domain.directory import CredentialRow, Directory, PersonRow
from cubbyhole.domain.ending import due, end
from cubbyhole.domain.moment import Moment, next_midnight_ms
from cubbyhole.domain.rules import Effective
from cubbyhole.domain.vocabulary import Cause, Door, Mode, Outcome, Reason, Way

HOUR_MS = 3_600_000
GESTURE_AFTER_MS = 3_000  # taps sooner after the door opened are impatience, not the release gesture

Mint = Callable[[str], str]  # a fresh id with the given prefix


@dataclass(frozen=True, slots=True)
class Tap:
    """One presentation at a reader. ``digest`` names the credential under the bank's key; ``unknown`` is how the
    journal names it where it is on no file. ``again`` says that the same credential was at this reader moments ago."""

    locker: str | None
    digest: str
    unknown: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class Granted:
    """The door may be opened; with ``unlock`` False it already is."""

    events: tuple[ev.Event, ...]
    locker: str
    grant: str
    unlock: bool
    rule: str
    person: str | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """The door stays shut: ``reason`` has a hint for the person in the locale files, ``rule`` names who said so."""

    events: tuple[ev.Event, ...]
    reason: Reason
    locker: str | None
    rule: str | None = None
    person: str | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """A gesture at the holder's own open door: the release is armed or disarmed."""

    events: tuple[ev.Event, ...]
    locker: str
    armed: bool


@dataclass(frozen=True, slots=True)
class Executed:
    """A command without a door: its events, `CommandDone` last. ``reason`` None means done."""

    events: tuple[ev.Event, ...]
    reason: Reason | None = None


Decision = Granted | Denied | Noted


@dataclass(slots=True)
class _Case:
    """What the steps of one decision share; events pile up in order."""

    bank: BankState
    directory: Directory
    moment: Moment
    mint: Mint
    offline_ms: int | None
    events: list[ev.Event] = field(default_factory=list)

    @property
    def offline(self) -> bool:
        return self.offline_ms is not None

    def bind(self, person: PersonRow) -> None:
        bound = ev.PersonBound(person=person.person, commitment=person.commitment)
        if self.bank.bound.get(person.person) != person.commitment and bound not in self.events:
            self.events.append(bound)

    def rules(self, person: PersonRow | None, number: str) -> Effective:
        return self.directory.effective(self.bank.place(number), person.groups if person is not None else ())


def offline_for_ms(bank: BankState, moment: Moment) -> int | None:
    """How long the bank has been without the server; None while it has contact."""
    return None if bank.contact_lost_ms is None else max(0, moment.at_ms - bank.contact_lost_ms)


def decide_tap(bank: BankState, directory: Directory, tap: Tap, moment: Moment, mint: Mint) -> Decision:
    """Decide one tap. ``tap.locker`` None is the bank's shared reader."""
    case = _Case(bank, directory, moment, mint, offline_for_ms(bank, moment))
    credential = directory.credentials.get(tap.digest)
    person = directory.people.get(credential.person) if credential is not None else None
    refused = _who(case, tap, credential, person)
    if refused is not None:
        return refused
    assert credential is not None and person is not None
    if tap.locker is not None:
        number = tap.locker
        if number not in bank.lockers:
            return _deny(case, Reason.UNKNOWN_LOCKER, None, person, tap)
    else:
        chosen = _at_shared_reader(case, person, tap)
        if isinstance(chosen, Denied):
            return chosen
        number = chosen
    return _at_locker(case, bank.lockers[number], person, credential, tap)


def _who(case: _Case, tap: Tap, credential: CredentialRow | None, person: PersonRow | None) -> Denied | None:
    now = case.moment.at_ms
    if case.directory.version == 0:
        return _deny(case, Reason.NO_DIRECTORY, tap.locker, None, tap)
    if credential is None:
        return _deny(case, Reason.UNKNOWN_CREDENTIAL, tap.locker, None, tap)
    if credential.blocked:
        return _deny(case, Reason.CREDENTIAL_BLOCKED, tap.locker, person, tap)
    if person is None or not person.active:
        return _deny(case, Reason.PERSON_INACTIVE, tap.locker, person, tap)
    if person.from_ms is not None or person.until_ms is not None:
        # Rights with a time of their own are not given on a clock that may be wrong.
        if case.bank.clock_in_doubt:
            return _deny(case, Reason.CLOCK_IN_DOUBT, tap.locker, person, tap)
        if (person.from_ms is not None and now < person.from_ms) or (person.until_ms is not None and now >= person.until_ms):
            return _deny(case, Reason.PERSON_INACTIVE, tap.locker, person, tap)
    return None


def _at_shared_reader(case: _Case, person: PersonRow, tap: Tap) -> str | Denied:
    held = case.bank.held_by(person.person)
    alive = [s for s in held if not due(case.bank, s, case.moment)]
    if len(alive) == 1:
        return alive[0].number
    if len(alive) > 1:
        return _deny(case, Reason.SEVERAL_LOCKERS, None, person, tap)
    former = [s for s in case.bank.lockers.values() if s.former is not None and s.former.person == person.person and s.not_offered() is not None]
    if len(former) == 1:
        return former[0].number
    entitled = [s for s in case.bank.offered() if case.rules(person, s.number).allowed]
    if not entitled:
        refused = next(case.bank.offered(), None)
        reason = Reason.NOTHING_FREE if refused is None else Reason.NOT_ENTITLED
        rule = None if refused is None else case.rules(person, refused.number).allowed_by
        return _deny(case, reason, None, person, tap, rule)
    # Scarce kinds stay for those who need them: the smallest plain locker first, then by number.
    sizes = ["S", "M", "L", "XL"]
    return min(entitled, key=lambda s: (len(s.features), sizes.index(s.size) if s.size in sizes else 9, s.number)).number


def _at_locker(case: _Case, s: LockerState, person: PersonRow, credential: CredentialRow, tap: Tap) -> Decision:
    rules = case.rules(person, s.number)
    if case.offline_ms is not None and case.offline_ms > rules.open_offline_h * HOUR_MS:
        return _deny(case, Reason.OFFLINE_TOO_LONG, s.number, person, tap)
    if due(case.bank, s, case.moment):
        # Rights end when they are used too late, not when a timer comes.
        ended = end(case.bank, case.directory, s, Cause.EXPIRED, case.moment)
        case.events.append(ended)
        s = after_end(s, ended)
    held = s.assignment
    if held is not None and held.person == person.person:
        if s.link_lost:
            return _deny(case, Reason.DOOR_UNKNOWN, s.number, person, tap)
        return _own(case, s, person, credential, tap, held.rule)
    if held is None and s.former is not None and s.former.person == person.person and s.not_offered() is not None:
        return _grant(case, s, person, credential, Way.RETRIEVE, rules.contents_by, None)
    return _fresh(case, s, person, credential, tap, rules)


def _own(case: _Case, s: LockerState, person: PersonRow, credential: CredentialRow, tap: Tap, rule: str) -> Decision:
    assert s.assignment is not None
    opened = s.opened_ms
    if s.door is Door.OPEN and tap.again and opened is not None and case.moment.at_ms - opened >= GESTURE_AFTER_MS:
        case.bind(person)
        name = s.assignment.assignment
        made: ev.Event = (
            ev.ReleaseDisarmed(locker=s.number, assignment=name) if s.armed else ev.ReleaseArmed(locker=s.number, assignment=name)
        )
        return Noted((*case.events, made), s.number, not s.armed)
    return _grant(case, s, person, credential, Way.TAP, rule, s.assignment.assignment)


def _fresh(case: _Case, s: LockerState, person: PersonRow, credential: CredentialRow, tap: Tap, rules: Effective) -> Decision:
    if not rules.allowed:
        return _deny(case, Reason.NOT_ENTITLED, s.number, person, tap, rules.allowed_by)
    reason = s.not_offered()
    if reason is not None:
        return _deny(case, reason, s.number, person, tap)
    if case.offline_ms is not None and case.offline_ms > rules.give_offline_h * HOUR_MS:
        return _deny(case, Reason.OFFLINE_TOO_LONG, s.number, person, tap)
    alive = [h for h in case.bank.held_by(person.person) if h.number != s.number and not due(case.bank, h, case.moment)]
    if len(alive) >= rules.max_lockers:
        return _deny(case, Reason.LIMIT_REACHED, s.number, person, tap, rules.max_by)
    ends_ms: int | None = None
    if rules.mode is not Mode.PERMANENT and not case.bank.clock_in_doubt:
        ends_ms = next_midnight_ms(case.directory.calendar.midnights, case.moment.at_ms)
        if ends_ms is None:
            return _deny(case, Reason.OFFLINE_TOO_LONG, s.number, person, tap, rules.mode_by)
    assignment = case.mint("a")
    case.bind(person)
    case.events.append(
        ev.AssignmentStarted(
            assignment=assignment, locker=s.number, person=person.person, mode=rules.mode, ends_ms=ends_ms, rule=rules.mode_by
        )
    )
    return _grant(case, s, person, credential, Way.TAP, rules.mode_by, assignment)


def _grant(
    case: _Case, s: LockerState, person: PersonRow, credential: CredentialRow, way: Way, rule: str, assignment: str | None
) -> Decision:
    if s.grant is not None:
        # One pulse at a time per door; the one under way opens it for the same hand.
        return _deny(case, Reason.BUSY, s.number, person, None, credential=credential.credential)
    grant = case.mint("g")
    case.bind(person)
    case.events.append(
        ev.AccessGranted(
            grant=grant, locker=s.number, way=way, person=person.person, assignment=assignment,
            credential=credential.credential, rule=rule, offline=case.offline,
        )
    )  # fmt: skip
    unlock = s.door is not Door.OPEN
    if not unlock:
        case.events.append(ev.UnlockSettled(grant=grant, locker=s.number, outcome=Outcome.ALREADY_OPEN))
    return Granted(tuple(case.events), s.number, grant, unlock, rule, person.person)


def _deny(
    case: _Case, reason: Reason, locker: str | None, person: PersonRow | None, tap: Tap | None, rule: str | None = None,
    credential: str | None = None,
) -> Denied:  # fmt: skip
    if person is not None:
        case.bind(person)
    elif tap is not None and reason is Reason.UNKNOWN_CREDENTIAL:
        credential = tap.unknown
    if credential is None and tap is not None and (row := case.directory.credentials.get(tap.digest)) is not None:
        credential = row.credential
    name = person.person if person is not None else None
    case.events.append(
        ev.TapDenied(reason=reason, locker=locker, person=name, credential=credential, rule=rule, offline=case.offline)
    )
    return Denied(tuple(case.events), reason, locker, rule, name)


def after_end(s: LockerState, ended: ev.AssignmentEnded) -> LockerState:
    """A copy of ``s`` as it will be once ``ended`` is folded: the same decision goes on from there."""
    copy = LockerState(**{name: getattr(s, name) for name in LockerState.__slots__})
    scratch = BankState(bank="", lockers={s.number: copy})
    scratch.apply(ended, 1, Moment(ended.ended_ms, 0, "", True))
    return copy


def decide_open(
    bank: BankState, directory: Directory, command: str, number: str, reason: str, note: str | None, person: str | None,
    moment: Moment, mint: Mint,
) -> Granted | Denied:  # fmt: skip
    """Decide a live command to open a door. An operator's opening is an override: always with a reason; what the
    locker holds does not matter, but a door that the bank cannot see is not opened blindly."""
    case = _Case(bank, directory, moment, mint, offline_for_ms(bank, moment))

    def refuse(why: Reason) -> Denied:
        done = ev.CommandDone(command=command, kind="open", outcome="refused", reason=why)
        return Denied((done,), why, number)

    s = bank.lockers.get(number)
    if s is None:
        return refuse(Reason.UNKNOWN_LOCKER)
    if not directory.effective(bank.place(number), ()).remote_open:
        return refuse(Reason.NOT_ALLOWED_REMOTELY)
    if s.link_lost:
        return refuse(Reason.DOOR_UNKNOWN)
    if s.grant is not None:
        return refuse(Reason.BUSY)
    grant = mint("g")
    held = s.assignment.assignment if s.assignment is not None else None
    case.events.append(
        ev.AccessGranted(
            grant=grant, locker=number, way=Way.COMMAND, person=person, assignment=held, command=command, reason=reason, note=note
        )
    )
    unlock = s.door is not Door.OPEN
    if not unlock:
        case.events.append(ev.UnlockSettled(grant=grant, locker=number, outcome=Outcome.ALREADY_OPEN))
    case.events.append(ev.CommandDone(command=command, kind="open", outcome="done"))
    return Granted(tuple(case.events), number, grant, unlock, "override", person)
