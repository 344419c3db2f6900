"""What each event of a journal does to a bank's state, one function an event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cubbyhole.domain import events as ev
from cubbyhole.domain.layout import parse_columns
from cubbyhole.domain.locker import Assignment, Former, LockerState, Share
from cubbyhole.domain.moment import Moment
from cubbyhole.domain.snapshot import BankNow, GapMark
from cubbyhole.domain.vocabulary import Alarm, Door, Lock, Mode, Occupancy, Outcome, Way

if TYPE_CHECKING:
    from cubbyhole.domain.bank import BankState

MAX_ANSWERED = 2000
MAX_GAPS = 64


def _epoch_started(bank: BankState, e: ev.EpochStarted, m: Moment) -> None:
    # A new epoch forgets what the old journal said but for the snapshot that it names.
    fresh = type(bank)(bank=bank.bank)
    for name in fresh.__slots__:
        setattr(bank, name, getattr(fresh, name))
    bank.replaced = e.previous_epoch is not None
    bank.standing = e.standing
    bank.answered = {a.command: a for a in e.answered[-MAX_ANSWERED:]}
    out = {d.locker: d.reason for d in e.disabled}
    held = {a.locker: a for a in e.assignments}
    for number in sorted(out.keys() | held.keys()):  # a set has another order in every process
        a = held.get(number)
        bank.lockers[number] = LockerState(
            number=number, size="", out_of_service=out.get(number), unverified=a is None,
            assignment=None if a is None else _as_assigned(a),
        )  # fmt: skip


def _as_assigned(a: ev.Assigned) -> Assignment:
    return Assignment(
        assignment=a.assignment, person=a.person, mode=a.mode, since_ms=a.since_ms, ends_ms=a.ends_ms, rule=a.rule,
        timed=a.ends_ms is not None or a.mode is Mode.PERMANENT, renewed=a.renewed, hold_until_ms=a.hold_until_ms,
        shares=a.shares,
    )  # fmt: skip


def _boot_started(bank: BankState, e: ev.BootStarted, m: Moment) -> None:
    for s in bank.lockers.values():
        s.door, s.lock, s.occupancy, s.link_lost = Door.UNKNOWN, Lock.UNKNOWN, Occupancy.UNKNOWN, False
        s.opened_ms = None


def _bank_configured(bank: BankState, e: ev.BankConfigured, m: Moment) -> None:
    specs = parse_columns(e.columns)
    bank.label, bank.area, bank.site, bank.columns, bank.reader = e.label, e.area, e.site, e.columns, e.reader
    bank.senses_lock, bank.senses_occupancy = e.senses_lock, e.senses_occupancy
    old, left = bank.lockers, bank.removed
    bank.lockers = {}
    for spec in specs:
        s = old.pop(spec.number, None) or left.pop(spec.number, None)
        s = s or LockerState(number=spec.number, size=spec.size, unverified=bank.replaced)
        s.size, s.features = spec.size, spec.features
        bank.lockers[spec.number] = s
    left.update((s.number, _as_removed(s, m)) for s in old.values() if s.may_hold_things())
    bank.removed = dict(sorted(left.items()))


def _as_removed(s: LockerState, m: Moment) -> LockerState:
    """What is kept of a locker that the bank is not built with any more: whose things may be in it."""
    a, former = s.assignment, s.former
    if a is not None:  # a controller of an earlier release did not end it
        former = Former(assignment=a.assignment, person=a.person, ended_ms=m.at_ms)
    why = s.check or ("not_empty" if s.occupancy is Occupancy.OCCUPIED else "contents_unknown")
    return LockerState(number=s.number, size=s.size, features=s.features, check=why, former=former)


def _directory_applied(bank: BankState, e: ev.DirectoryApplied, m: Moment) -> None:
    bank.directory_version = e.version


def _contact_lost(bank: BankState, e: ev.ContactLost, m: Moment) -> None:
    bank.contact_lost_ms = bank.last_contact_ms = e.last_ms


def _contact_restored(bank: BankState, e: ev.ContactRestored, m: Moment) -> None:
    bank.contact_lost_ms, bank.last_contact_ms = None, m.at_ms


def _clock_doubted(bank: BankState, e: ev.ClockDoubted, m: Moment) -> None:
    bank.clock_in_doubt = True


def _clock_trusted(bank: BankState, e: ev.ClockTrusted, m: Moment) -> None:
    bank.clock_in_doubt = False


def _person_bound(bank: BankState, e: ev.PersonBound, m: Moment) -> None:
    bank.bound[e.person] = e.commitment


def _access_granted(bank: BankState, e: ev.AccessGranted, m: Moment) -> None:
    s = bank.lockers[e.locker]
    s.grant = e.grant
    a = s.assignment
    if a is not None and a.hold_until_ms is not None and e.person == a.person:
        s.assignment = replace(a, hold_until_ms=None)
    if e.way is Way.RETRIEVE and s.former is not None and s.former.person == e.person:
        s.former = replace(s.former, fetched=True)


def _unlock_settled(bank: BankState, e: ev.UnlockSettled, m: Moment) -> None:
    s = bank.lockers[e.locker]
    if s.grant == e.grant:
        s.grant = None
    if e.outcome is Outcome.JAMMED:
        s.alarm = Alarm.JAMMED
    elif e.outcome is Outcome.OPENED and s.alarm in (Alarm.JAMMED, Alarm.FORCED) and s.assignment is not None:
        s.alarm = None  # its holder has opened it and looked


def _nothing(bank: BankState, e: ev.Event, m: Moment) -> None:
    """A fact for the record that changes no state."""


def _assignment_started(bank: BankState, e: ev.AssignmentStarted, m: Moment) -> None:
    s = bank.lockers[e.locker]
    s.former, s.armed = None, False
    s.assignment = Assignment(
        assignment=e.assignment, person=e.person, mode=e.mode, since_ms=m.at_ms, ends_ms=e.ends_ms, rule=e.rule,
        timed=e.ends_ms is not None or e.mode is Mode.PERMANENT, hold_until_ms=e.hold_until_ms,
    )  # fmt: skip


def _assignment_timed(bank: BankState, e: ev.AssignmentTimed, m: Moment) -> None:
    s = bank.lockers[e.locker]
    if s.assignment is not None and s.assignment.assignment == e.assignment:
        s.assignment = replace(s.assignment, ends_ms=e.ends_ms, timed=True)


def _assignment_renewed(bank: BankState, e: ev.AssignmentRenewed, m: Moment) -> None:
    s = bank.lockers[e.locker]
    if s.assignment is not None and s.assignment.assignment == e.assignment:
        s.assignment = replace(s.assignment, ends_ms=e.ends_ms, renewed=s.assignment.renewed + 1)


def _assignment_shared(bank: BankState, e: ev.AssignmentShared, m: Moment) -> None:
    s = bank.lockers[e.locker]
    if s.assignment is not None and s.assignment.assignment == e.assignment:
        share = Share(share=e.share, person=e.person, group=e.group, until_ms=e.until_ms, once=e.once)
        s.assignment = replace(s.assignment, shares=(*s.assignment.shares, share))


def _share_ended(bank: BankState, e: ev.ShareEnded, m: Moment) -> None:
    s = bank.lockers[e.locker]
    if s.assignment is not None and s.assignment.assignment == e.assignment:
        s.assignment = replace(s.assignment, shares=tuple(x for x in s.assignment.shares if x.share != e.share))


def _assignment_ended(bank: BankState, e: ev.AssignmentEnded, m: Moment) -> None:
    s = bank.lockers[e.locker]
    s.assignment, s.armed = None, False
    s.former = None
    if e.former_may_open:
        s.former = Former(
            assignment=e.assignment, person=e.person, ended_ms=e.ended_ms, until_ms=e.former_until_ms
        )  # fmt: skip
    if e.check is not None:
        s.check = e.check


def _release_armed(bank: BankState, e: ev.ReleaseArmed, m: Moment) -> None:
    bank.lockers[e.locker].armed = True


def _release_disarmed(bank: BankState, e: ev.ReleaseDisarmed, m: Moment) -> None:
    bank.lockers[e.locker].armed = False


def _check_needed(bank: BankState, e: ev.CheckNeeded, m: Moment) -> None:
    bank.lockers[e.locker].check = e.why


def _checked(bank: BankState, e: ev.Checked, m: Moment) -> None:
    if e.locker in bank.removed and e.locker not in bank.lockers:
        del bank.removed[e.locker]
        return
    s = bank.lockers[e.locker]
    s.check, s.alarm, s.unverified, s.former = None, None, False, None


def _out_of_service(bank: BankState, e: ev.OutOfService, m: Moment) -> None:
    bank.lockers[e.locker].out_of_service = e.reason


def _in_service(bank: BankState, e: ev.InService, m: Moment) -> None:
    s = bank.lockers[e.locker]
    s.out_of_service = None
    if s.alarm is Alarm.JAMMED:
        s.alarm = None


def _door_opened(bank: BankState, e: ev.DoorOpened, m: Moment) -> None:
    s = bank.lockers[e.locker]
    s.door, s.opened_ms = Door.OPEN, m.at_ms


def _door_closed(bank: BankState, e: ev.DoorClosed, m: Moment) -> None:
    s = bank.lockers[e.locker]
    s.door, s.opened_ms = Door.CLOSED, None
    if s.alarm is Alarm.HELD_OPEN:
        s.alarm = None


def _door_forced(bank: BankState, e: ev.DoorForced, m: Moment) -> None:
    s = bank.lockers[e.locker]
    s.door, s.opened_ms, s.alarm = Door.OPEN, m.at_ms, Alarm.FORCED


def _door_held_open(bank: BankState, e: ev.DoorHeldOpen, m: Moment) -> None:
    s = bank.lockers[e.locker]
    if s.alarm is None:
        s.alarm = Alarm.HELD_OPEN


def _door_seen(bank: BankState, e: ev.DoorSeen, m: Moment) -> None:
    s = bank.lockers[e.locker]
    s.door = e.door
    s.opened_ms = m.at_ms if e.door is Door.OPEN else None
    if e.door is Door.CLOSED and s.alarm is Alarm.HELD_OPEN:
        s.alarm = None


def _lock_changed(bank: BankState, e: ev.LockChanged, m: Moment) -> None:
    bank.lockers[e.locker].lock = e.lock


def _occupancy_changed(bank: BankState, e: ev.OccupancyChanged, m: Moment) -> None:
    bank.lockers[e.locker].occupancy = e.occupancy


def _link_lost(bank: BankState, e: ev.LinkLost, m: Moment) -> None:
    for s in [bank.lockers[number] for number in e.lockers]:
        s.door, s.lock, s.occupancy, s.link_lost = Door.UNKNOWN, Lock.UNKNOWN, Occupancy.UNKNOWN, True
        s.opened_ms = None


def _link_restored(bank: BankState, e: ev.LinkRestored, m: Moment) -> None:
    for s in [bank.lockers[number] for number in e.lockers]:
        s.link_lost = False


def _command_done(bank: BankState, e: ev.CommandDone, m: Moment) -> None:
    bank.answered[e.command] = ev.Answered(command=e.command, outcome=e.outcome, reason=e.reason)
    if len(bank.answered) > MAX_ANSWERED:
        bank.answered.pop(next(iter(bank.answered)))
    if e.ordinal is not None:
        bank.standing = max(bank.standing, e.ordinal)


def _journal_gap(bank: BankState, e: ev.JournalGap, m: Moment) -> None:
    # The same on the bank, which lost no state, and on a server that lacks the lines: both go on from what it says.
    # Who was bound to which pseudonym may have been in the lines that are gone, so everybody is bound anew.
    now, seq = e.state, bank.seq + 1
    bank.label, bank.area, bank.site, bank.columns, bank.reader = now.label, now.area, now.site, now.columns, now.reader
    bank.senses_lock, bank.senses_occupancy, bank.replaced = now.senses_lock, now.senses_occupancy, now.replaced
    bank.directory_version, bank.clock_in_doubt, bank.standing = now.directory, now.clock_in_doubt, now.standing
    bank.contact_lost_ms, bank.last_contact_ms = now.contact_lost_ms, now.last_contact_ms
    bank.lockers = {s.number: replace(s) for s in now.lockers}
    bank.removed = {s.number: replace(s) for s in now.removed}
    bank.answered = {a.command: a for a in now.answered}
    bank.bound = {}
    bank.gaps = (*now.gaps, GapMark(first=e.first, last=e.last, hash=e.hash_after, seq=seq))[-MAX_GAPS:]
    bank.blind_until = 0


def now_of(bank: BankState, answered_most: int) -> BankNow:
    """The state as `journal.gap` tells it, with the newest ``answered_most`` outcomes."""
    return BankNow(
        label=bank.label, area=bank.area, site=bank.site, columns=bank.columns, reader=bank.reader,
        senses_lock=bank.senses_lock, senses_occupancy=bank.senses_occupancy, replaced=bank.replaced,
        directory=bank.directory_version, clock_in_doubt=bank.clock_in_doubt, contact_lost_ms=bank.contact_lost_ms,
        last_contact_ms=bank.last_contact_ms, standing=bank.standing,
        lockers=tuple(replace(s) for s in bank.lockers.values()),
        removed=tuple(replace(s) for s in bank.removed.values()),
        answered=tuple(bank.answered.values())[max(0, len(bank.answered) - answered_most) :], gaps=bank.gaps,
    )  # fmt: skip


FOLD: dict[type[ev.Event], Callable[[BankState, Any, Moment], None]] = {
    ev.EpochStarted: _epoch_started,
    ev.BootStarted: _boot_started,
    ev.BankConfigured: _bank_configured,
    ev.DirectoryApplied: _directory_applied,
    ev.ContactLost: _contact_lost,
    ev.ContactRestored: _contact_restored,
    ev.ClockDoubted: _clock_doubted,
    ev.ClockTrusted: _clock_trusted,
    ev.PersonBound: _person_bound,
    ev.AccessGranted: _access_granted,
    ev.UnlockSettled: _unlock_settled,
    ev.TapDenied: _nothing,
    ev.AssignmentStarted: _assignment_started,
    ev.AssignmentTimed: _assignment_timed,
    ev.AssignmentRenewed: _assignment_renewed,
    ev.AssignmentShared: _assignment_shared,
    ev.ShareEnded: _share_ended,
    ev.AssignmentEnded: _assignment_ended,
    ev.ReleaseArmed: _release_armed,
    ev.ReleaseDisarmed: _release_disarmed,
    ev.CheckNeeded: _check_needed,
    ev.Checked: _checked,
    ev.OutOfService: _out_of_service,
    ev.InService: _in_service,
    ev.DoorOpened: _door_opened,
    ev.DoorClosed: _door_closed,
    ev.DoorForced: _door_forced,
    ev.DoorHeldOpen: _door_held_open,
    ev.DoorSeen: _door_seen,
    ev.LockChanged: _lock_changed,
    ev.OccupancyChanged: _occupancy_changed,
    ev.LinkLost: _link_lost,
    ev.LinkRestored: _link_restored,
    ev.CommandDone: _command_done,
    ev.LimitExceeded: _nothing,
    ev.JournalLost: _nothing,
    ev.JournalGap: _journal_gap,
}
