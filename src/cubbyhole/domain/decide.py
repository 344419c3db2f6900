"""Who gets which door: the decisions on a tap, on a live command and on a standing command.

Each function looks at nothing but its arguments (the bank's state, the directory, one reading of the clocks) and
changes nothing; what it decided is in the events that it returns, which the caller journals before anything moves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import Assignment, BankState, LockerState
from cubbyhole.domain.directory import CredentialRow, Directory, PersonRow
from cubbyhole.domain.ending import due, end
from cubbyhole.domain.moment import Moment, next_midnight_ms
from cubbyhole.domain.rules import Effective
from cubbyhole.domain.vocabulary import Cause, Door, Mode, Outcome, Reason, Way

HOUR_MS = 3_600_000
GESTURE_AFTER_MS = 3_000  # taps sooner after the door opened are impatience, not the release gesture

_SIZES = {"S": 0, "M": 1, "L": 2, "XL": 3}

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
    ended: dict[str, LockerState] = field(default_factory=dict)

    @property
    def offline(self) -> bool:
        return self.offline_ms is not None

    def bind(self, person: PersonRow) -> None:
        if self.bank.bound.get(person.person) != person.commitment:
            bound = ev.PersonBound(person=person.person, commitment=person.commitment)
            if bound not in self.events:
                self.events.append(bound)

    def locker(self, number: str) -> LockerState:
        """The locker as it stands after what this decision has ended."""
        return self.ended.get(number) or self.bank.lockers[number]

    def expire(self, number: str) -> None:
        """Rights end when they are used too late, not when a timer comes."""
        s = self.bank.lockers[number]
        if number not in self.ended and due(self.bank, s, self.moment):
            ended = end(self.bank, self.directory, s, Cause.EXPIRED, self.moment)
            self.events.append(ended)
            self.ended[number] = after_end(s, ended)

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
    assert credential is not None, "or it was refused"
    assert person is not None, "or it was refused"
    if tap.locker is not None:
        number = tap.locker
        if number not in bank.lockers:
            return _deny(case, Reason.UNKNOWN_LOCKER, None, person, tap)
    else:
        chosen = _at_shared_reader(case, person, tap)
        if isinstance(chosen, Denied):
            return chosen
        number = chosen
    return _at_locker(case, number, person, credential, tap)


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
        early = person.from_ms is not None and now < person.from_ms
        if early or (person.until_ms is not None and now >= person.until_ms):
            return _deny(case, Reason.PERSON_INACTIVE, tap.locker, person, tap)
    return None


def _at_shared_reader(case: _Case, person: PersonRow, tap: Tap) -> str | Denied:
    """The number of the one locker that a tap at the bank's reader means: the person's own, else one that still holds
    their things, else the best free one."""
    for held in case.bank.held_by(person.person):
        case.expire(held.number)
    lockers = [case.locker(number) for number in case.bank.lockers]
    own = [s for s in lockers if s.assignment is not None and s.assignment.person == person.person]
    if len(own) > 1:
        return _deny(case, Reason.SEVERAL_LOCKERS, None, person, tap)
    if own:
        return own[0].number
    left = [s for s in lockers if _is_left_by(s, person) and not s.link_lost]
    if left:
        # Once it has been opened for that, the next tap goes on to the next one, or to a free locker.
        return max(left, key=lambda s: (s.former.ended_ms if s.former is not None else 0, s.number)).number
    offered = [s for s in lockers if s.not_offered() is None]
    entitled = [s for s in offered if case.rules(person, s.number).allowed]
    if not offered:
        return _deny(case, Reason.NOTHING_FREE, None, person, tap)
    if not entitled:
        return _deny(case, Reason.NOT_ENTITLED, None, person, tap, case.rules(person, offered[0].number).by["allowed"])
    # Scarce kinds stay for those who need them: the smallest plain locker first, then by number.
    return min(entitled, key=lambda s: (len(s.features), _SIZES.get(s.size, len(_SIZES)), s.number)).number


def _is_left_by(s: LockerState, person: PersonRow) -> bool:
    return s.former is not None and s.former.person == person.person and not s.former.fetched


def _at_locker(case: _Case, number: str, person: PersonRow, credential: CredentialRow, tap: Tap) -> Decision:
    rules = case.rules(person, number)
    if case.offline_ms is not None and case.offline_ms > rules.open_offline_h * HOUR_MS:
        return _deny(case, Reason.OFFLINE_TOO_LONG, number, person, tap)
    case.expire(number)
    s = case.locker(number)
    held = s.assignment
    if held is not None and held.person == person.person:
        return _own(case, s, held, person, credential, tap)
    refused = _why_not_given(case, s, person, rules)
    if refused is None:
        return _give(case, s, person, credential, tap, rules)
    if held is None and s.former is not None and s.former.person == person.person:
        # Not theirs any more and not theirs again, but what they left inside is.
        return _open(case, s, person, credential, tap, Way.RETRIEVE, rules.by["contents"], None)
    reason, rule = refused
    return _deny(case, reason, number, person, tap, rule)


def _own(
    case: _Case, s: LockerState, held: Assignment, person: PersonRow, credential: CredentialRow, tap: Tap
) -> Decision:
    opened = s.opened_ms
    if s.door is Door.OPEN and tap.again and opened is not None and case.moment.at_ms - opened >= GESTURE_AFTER_MS:
        case.bind(person)
        kind = ev.ReleaseDisarmed if s.armed else ev.ReleaseArmed
        return Noted((*case.events, kind(locker=s.number, assignment=held.assignment)), s.number, not s.armed)
    return _open(case, s, person, credential, tap, Way.TAP, held.rule, held.assignment)


def _why_not_given(
    case: _Case, s: LockerState, person: PersonRow, rules: Effective
) -> tuple[Reason, str | None] | None:
    """Why the person cannot have this locker now, and the rule that says so; None where they can."""
    if not rules.allowed:
        return Reason.NOT_ENTITLED, rules.by["allowed"]
    reason = s.not_offered()
    if reason is not None:
        return reason, None
    if case.offline_ms is not None and case.offline_ms > rules.give_offline_h * HOUR_MS:
        return Reason.OFFLINE_TOO_LONG, None
    alive = [h for h in case.bank.held_by(person.person) if not due(case.bank, h, case.moment)]
    if len(alive) >= rules.max_lockers:
        return Reason.LIMIT_REACHED, rules.by["max_lockers"]
    if rules.mode is not Mode.PERMANENT and not case.bank.clock_in_doubt and _midnight(case) is None:
        return Reason.OFFLINE_TOO_LONG, rules.by["mode"]
    if s.grant is not None:
        return Reason.BUSY, None
    return None


def _give(
    case: _Case, s: LockerState, person: PersonRow, credential: CredentialRow, tap: Tap, rules: Effective
) -> Decision:
    """Start an assignment and open its door. In doubt of the clock the end is set once the clock is trusted."""
    timed = rules.mode is not Mode.PERMANENT and not case.bank.clock_in_doubt
    started = ev.AssignmentStarted(
        assignment=case.mint("a"), locker=s.number, person=person.person, mode=rules.mode,
        ends_ms=_midnight(case) if timed else None, rule=rules.by["mode"],
    )  # fmt: skip
    case.bind(person)
    case.events.append(started)
    return _open(case, s, person, credential, tap, Way.TAP, rules.by["mode"], started.assignment)


def _midnight(case: _Case) -> int | None:
    return next_midnight_ms(case.directory.calendar.midnights, case.moment.at_ms)


def _open(
    case: _Case, s: LockerState, person: PersonRow, credential: CredentialRow, tap: Tap, way: Way, rule: str,
    assignment: str | None,
) -> Granted | Denied:  # fmt: skip
    if s.link_lost:
        return _deny(case, Reason.DOOR_UNKNOWN, s.number, person, tap)
    if s.grant is not None:
        # One pulse at a time per door; the one under way opens it for the same hand.
        return _deny(case, Reason.BUSY, s.number, person, tap)
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
    case: _Case, reason: Reason, locker: str | None, person: PersonRow | None, tap: Tap, rule: str | None = None
) -> Denied:
    row = case.directory.credentials.get(tap.digest)
    credential = row.credential if row is not None else None
    if reason is Reason.UNKNOWN_CREDENTIAL:
        credential = tap.unknown
    if person is not None:
        case.bind(person)
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
    holder = directory.people.get(s.assignment.person) if s.assignment is not None else None
    if not case.rules(holder, number).remote_open:
        return refuse(Reason.NOT_ALLOWED_REMOTELY)
    if s.link_lost:
        return refuse(Reason.DOOR_UNKNOWN)
    if s.grant is not None:
        return refuse(Reason.BUSY)
    grant = mint("g")
    held = s.assignment.assignment if s.assignment is not None else None
    case.events.append(
        ev.AccessGranted(
            grant=grant, locker=number, way=Way.COMMAND, person=person, assignment=held, command=command,
            reason=reason, note=note, offline=case.offline,
        )
    )  # fmt: skip
    unlock = s.door is not Door.OPEN
    if not unlock:
        case.events.append(ev.UnlockSettled(grant=grant, locker=number, outcome=Outcome.ALREADY_OPEN))
    case.events.append(ev.CommandDone(command=command, kind="open", outcome="done"))
    return Granted(tuple(case.events), number, grant, unlock, "override", person)
