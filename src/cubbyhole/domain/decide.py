"""Who gets which door: the decisions on a tap, on a live command and on a standing command.

Each function looks at nothing but its arguments (the bank's state, the directory, one reading of the clocks) and
changes nothing; what it decided is in the events that it returns, which the caller journals before anything moves.
"""

from __future__ import annotations

from cubbyhole.domain import events as ev
from cubbyhole.domain.bank import Assignment, BankState, LockerState, Share
from cubbyhole.domain.case import Case, offline_for_ms
from cubbyhole.domain.decision import Decision, Denied, Granted, Mint, Noted, Tap
from cubbyhole.domain.directory import CredentialRow, Directory, PersonRow
from cubbyhole.domain.ending import due
from cubbyhole.domain.giving import Refusal, closed_by, start, why_not_given
from cubbyhole.domain.keeping import renewal
from cubbyhole.domain.lasting import HOUR_MS
from cubbyhole.domain.moment import Moment
from cubbyhole.domain.vocabulary import Door, Outcome, Reason, Way

GESTURE_AFTER_MS = 3_000  # taps sooner after the door opened are impatience, not the release gesture

_WHEREVER = (Reason.LIMIT_REACHED, Reason.OFFLINE_TOO_LONG)  # no other locker of the bank would be given either
_SIZES = {"S": 0, "M": 1, "L": 2, "XL": 3}


def decide_tap(bank: BankState, directory: Directory, tap: Tap, moment: Moment, mint: Mint) -> Decision:
    """Decide one tap. ``tap.locker`` None is the bank's shared reader."""
    case = Case(bank, directory, moment, mint, offline_for_ms(bank, moment))
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


def _who(case: Case, tap: Tap, credential: CredentialRow | None, person: PersonRow | None) -> Denied | None:
    if case.directory.version == 0:
        return _deny(case, Reason.NO_DIRECTORY, tap.locker, None, tap)
    if credential is None:
        return _deny(case, Reason.UNKNOWN_CREDENTIAL, tap.locker, None, tap)
    if credential.blocked:
        return _deny(case, Reason.CREDENTIAL_BLOCKED, tap.locker, person, tap)
    reason = _not_now(case, person)
    return None if reason is None else _deny(case, reason, tap.locker, person, tap)


def _not_now(case: Case, person: PersonRow | None) -> Reason | None:
    """Why the person has no rights at this moment, wherever they are."""
    if person is None or not person.active:
        return Reason.PERSON_INACTIVE
    if person.from_ms is not None or person.until_ms is not None:
        # Rights with a time of their own are not given on a clock that may be wrong.
        if case.bank.clock_in_doubt:
            return Reason.CLOCK_IN_DOUBT
        now_ms = case.moment.at_ms
        early = person.from_ms is not None and now_ms < person.from_ms
        if early or (person.until_ms is not None and now_ms >= person.until_ms):
            return Reason.PERSON_INACTIVE
    return None


def _at_shared_reader(case: Case, person: PersonRow, tap: Tap) -> str | Denied:
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
    left = [s for s in lockers if _is_left_by(s, person, case.moment) and not s.link_lost]
    if left:
        # Once it has been opened for that, the next tap goes on to the next one, or to a free locker.
        return max(left, key=lambda s: (s.former.ended_ms if s.former is not None else 0, s.number)).number
    shared = [s for s in lockers if s.assignment is not None and _share_with(s.assignment, person, case.moment)]
    if len(shared) == 1:
        return shared[0].number
    offered = [s for s in lockers if s.not_offered() is None]
    if not offered:
        return _deny(case, Reason.NOTHING_FREE, None, person, tap)
    refused: Refusal | None = None
    fit = []
    for s in offered:
        rules = case.rules(person, s.number)
        refused = why_not_given(case, s, person, rules, rules.mode)
        if refused is None:
            fit.append(s)
    if not fit and refused is not None and refused[0] not in _WHEREVER:
        return _deny(case, refused[0], None, person, tap, refused[1])
    # Scarce kinds stay for those who need them: the smallest plain locker first, then by number.
    return min(fit or offered, key=lambda s: (len(s.features), _SIZES.get(s.size, len(_SIZES)), s.number)).number


def _is_left_by(s: LockerState, person: PersonRow, moment: Moment) -> bool:
    """Whether what is inside may be the person's, who may fetch it and has not."""
    former = s.former
    if former is None or former.person != person.person or former.fetched:
        return False
    return former.until_ms is None or moment.at_ms < former.until_ms


def _share_with(held: Assignment, person: PersonRow, moment: Moment) -> Share | None:
    """What lets the person open somebody else's locker."""
    for share in held.shares:
        is_theirs = share.person == person.person or (share.group is not None and share.group in person.groups)
        if is_theirs and (share.until_ms is None or moment.at_ms < share.until_ms):
            return share
    return None


def _at_locker(case: Case, number: str, person: PersonRow, credential: CredentialRow, tap: Tap) -> Decision:
    rules = case.rules(person, number)
    if case.offline_ms is not None and case.offline_ms > rules.open_offline_h * HOUR_MS:
        return _deny(case, Reason.OFFLINE_TOO_LONG, number, person, tap, rules.by["open_offline_h"])
    closed = closed_by(case, rules)
    if closed is not None:
        return _deny(case, Reason.OUTSIDE_HOURS, number, person, tap, closed)
    if rules.second_factor and not tap.second_factor:
        return _deny(case, Reason.SECOND_FACTOR, number, person, tap, rules.by["second_factor"])
    case.expire(number)
    s = case.locker(number)
    held = s.assignment
    if held is not None and held.person == person.person:
        return _own(case, s, held, person, credential, tap)
    share = _share_with(held, person, case.moment) if held is not None else None
    if held is not None and share is not None:
        return _shared(case, s, held, share, person, credential, tap)
    refused = why_not_given(case, s, person, rules, rules.mode)
    if refused is None:
        started = start(case, s, person, rules, rules.mode, rules.by["mode"])
        return _open(case, s, person, credential, tap, Way.TAP, started.rule, started.assignment)
    if held is None and s.former is not None and s.former.person == person.person:
        # Not theirs any more and not theirs again, but what they left inside is.
        until_ms = s.former.until_ms
        if until_ms is None or case.moment.at_ms < until_ms:
            return _open(case, s, person, credential, tap, Way.RETRIEVE, rules.by["contents"], None)
    reason, rule = refused
    return _deny(case, reason, number, person, tap, rule)


def _shared(
    case: Case, s: LockerState, held: Assignment, share: Share, person: PersonRow, credential: CredentialRow, tap: Tap
) -> Decision:
    if case.bank.clock_in_doubt:
        return _deny(case, Reason.CLOCK_IN_DOUBT, s.number, person, tap)
    made = _open(case, s, person, credential, tap, Way.SHARED, held.rule, held.assignment)
    if isinstance(made, Denied) or not share.once:
        return made
    used = _used(held, s.number, share, person.person)
    return Granted((*made.events, used), made.locker, made.grant, made.unlock, made.rule, made.person)


def _own(
    case: Case, s: LockerState, held: Assignment, person: PersonRow, credential: CredentialRow, tap: Tap
) -> Decision:
    opened = s.opened_ms
    if s.door is Door.OPEN and tap.again and opened is not None and case.moment.at_ms - opened >= GESTURE_AFTER_MS:
        case.bind(person)
        if not s.armed:
            case.events.append(ev.ReleaseArmed(locker=s.number, assignment=held.assignment))
            return Noted(tuple(case.events), s.number, True)
        # Whoever keeps it after all keeps it for longer, where the rules let them.
        case.events.append(ev.ReleaseDisarmed(locker=s.number, assignment=held.assignment))
        renewed = renewal(case, s, held, person)
        if isinstance(renewed, ev.AssignmentRenewed):
            case.events.append(renewed)
        return Noted(tuple(case.events), s.number, False)
    return _open(case, s, person, credential, tap, Way.TAP, held.rule, held.assignment)


def _open(
    case: Case, s: LockerState, person: PersonRow, credential: CredentialRow, tap: Tap, way: Way, rule: str,
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
    case: Case, reason: Reason, locker: str | None, person: PersonRow | None, tap: Tap, rule: str | None = None
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


def decide_open(
    bank: BankState, directory: Directory, command: str, number: str, reason: str, note: str | None, person: str | None,
    moment: Moment, mint: Mint,
) -> Granted | Denied:  # fmt: skip
    """Decide a live command to open a door. An operator's opening is an override: always with a reason; what the
    locker holds does not matter, but a door that the bank cannot see is not opened blindly. With ``person`` somebody
    acts for themselves, and opens what a tap of theirs would open."""
    case = Case(bank, directory, moment, mint, offline_for_ms(bank, moment))

    def refuse(why: Reason) -> Denied:
        done = ev.CommandDone(command=command, kind="open", outcome="refused", reason=why)
        return Denied((done,), why, number)

    s = bank.lockers.get(number)
    if s is None:
        return refuse(Reason.UNKNOWN_LOCKER)
    holder = directory.people.get(s.assignment.person) if s.assignment is not None else None
    if not case.rules(holder, number).remote_open:
        return refuse(Reason.NOT_ALLOWED_REMOTELY)
    share: Share | None = None
    if person is not None:
        theirs = _may_open(case, s, directory.people.get(person))
        if isinstance(theirs, Reason):
            return refuse(theirs)
        share = theirs
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
    if share is not None and share.once and s.assignment is not None:
        case.events.append(_used(s.assignment, number, share, person))
    case.events.append(ev.CommandDone(command=command, kind="open", outcome="done"))
    return Granted(tuple(case.events), number, grant, unlock, "override", person)


def _may_open(case: Case, s: LockerState, person: PersonRow | None) -> Share | Reason | None:
    """Whether the person may open this locker from afar: as its holder (None) or by a share; else why not."""
    reason = _not_now(case, person)
    if reason is not None or person is None:
        return reason
    if closed_by(case, case.rules(person, s.number)) is not None:
        return Reason.OUTSIDE_HOURS
    held = s.assignment
    if held is None or due(case.bank, s, case.moment):
        return Reason.ASSIGNMENT_CHANGED
    if held.person == person.person:
        return None
    share = _share_with(held, person, case.moment)
    if share is None:
        return Reason.TAKEN
    return Reason.CLOCK_IN_DOUBT if case.bank.clock_in_doubt else share


def _used(held: Assignment, number: str, share: Share, person: str | None) -> ev.ShareEnded:
    return ev.ShareEnded(
        assignment=held.assignment, locker=number, share=share.share, person=person, cause="used"
    )  # fmt: skip
