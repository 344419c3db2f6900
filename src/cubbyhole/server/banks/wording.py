"""An event in words for people: who, what, how, and whether it is good news."""

from __future__ import annotations

from dataclasses import dataclass

from cubbyhole.domain import events as ev
from cubbyhole.domain.vocabulary import Cause, Lock, Occupancy, Outcome, Reason, Way

PLAIN, DENIED, ALARM, GOOD = "plain", "denied", "alarm", "good"

_DENIED = {
    Reason.UNKNOWN_CREDENTIAL: "Unknown badge",
    Reason.CREDENTIAL_BLOCKED: "The badge is blocked",
    Reason.PERSON_INACTIVE: "No access any more, or not yet",
    Reason.NOT_ENTITLED: "Not for this person's groups",
    Reason.TAKEN: "Somebody else's locker",
    Reason.LIMIT_REACHED: "Has as many lockers as allowed",
    Reason.NOTHING_FREE: "Nothing free",
    Reason.SEVERAL_LOCKERS: "Has several lockers here; tap on one of them",
    Reason.OUT_OF_SERVICE: "The locker is out of service",
    Reason.CHECK_FIRST: "Somebody must look inside first",
    Reason.NOT_EMPTY: "The locker is not empty",
    Reason.DOOR_OPEN: "The door stands open",
    Reason.DOOR_UNKNOWN: "The door's state is unknown",
    Reason.UNVERIFIED: "Not looked at since the controller was replaced",
    Reason.ALARM: "The locker has an alarm",
    Reason.OFFLINE_TOO_LONG: "The bank was without the server too long",
    Reason.CLOCK_IN_DOUBT: "The bank's clock is in doubt",
    Reason.NO_DIRECTORY: "The bank has no directory yet",
    Reason.DISK_FULL: "The controller's disk is full",
    Reason.BUSY: "Its door is being opened",
    Reason.LATE: "It came too late",
    Reason.UNKNOWN_LOCKER: "There is no such locker",
    Reason.ASSIGNMENT_CHANGED: "The assignment has changed meanwhile",
    Reason.DIRECTORY_TOO_OLD: "The bank's directory is too old",
    Reason.NOT_ALLOWED_REMOTELY: "The rules forbid opening from afar",
    Reason.UNKNOWN_KIND: "This controller does not know such a command",
}

_WHY_CHECK = {
    "contents_unknown": "nobody knows whether it is empty",
    "not_empty": "it is not empty",
    "forced": "it was forced",
}


@dataclass(frozen=True, slots=True)
class Words:
    """``how`` is the small print behind ``what``."""

    what: str
    how: str | None = None
    tone: str = PLAIN


def words_for_reason(reason: str | None) -> str:
    """A reason's fixed word as a person reads it."""
    try:
        return _DENIED[Reason(reason or "")]
    except ValueError:
        return (reason or "no reason given").replace("_", " ")


def words_for_check(why: str) -> str:
    return _WHY_CHECK.get(why, why.replace("_", " "))


def words_for_command(kind: str) -> str:
    """A command's kind as a person reads it."""
    return {"end": "End use", "out_of_service": "Take out of service", "in_service": "Back in service"}.get(
        kind, kind.replace("_", " ").capitalize()
    )


def words_for_act(reason: str) -> str:
    """Why somebody did something, from its fixed word."""
    return reason.replace("_", " ")


def words(event: ev.Event | ev.UnknownEvent) -> Words:
    """What an event says. Never raises: an event that has no words of its own shows its type."""
    match event:
        case ev.AccessGranted():
            return _granted(event)
        case ev.UnlockSettled():
            return _settled(event)
        case ev.TapDenied(reason=reason, offline=offline):
            return Words("Denied: " + words_for_reason(reason.value), "without the server" if offline else None, DENIED)
        case ev.AssignmentStarted(mode=mode):
            return Words(f"Got the locker ({mode.value})", None, GOOD)
        case ev.AssignmentEnded(cause=cause, check=check):
            ended = {
                Cause.RELEASED: "Released by its holder", Cause.EXPIRED: "The day is over",
                Cause.OPERATOR: "Ended by the desk", Cause.MOVED: "Moved to another locker",
                Cause.REMOVED: "The locker is no part of the bank any more",
            }[cause]  # fmt: skip
            return Words(ended, "look inside: " + words_for_check(check) if check else None)
        case ev.AssignmentTimed():
            return Words("The assignment got its end")
        case ev.ReleaseArmed():
            return Words("Release asked for: it ends when the door closes")
        case ev.ReleaseDisarmed():
            return Words("Release taken back")
        case ev.CheckNeeded(why=why):
            return Words("Look inside: " + words_for_check(why), None, ALARM)
        case ev.Checked():
            return Words("Looked at", None, GOOD)
        case ev.OutOfService(reason=reason):
            return Words("Out of service", words_for_act(reason))
        case ev.InService(reason=reason):
            return Words("In service again", words_for_act(reason), GOOD)
        case ev.CommandDone(kind=kind, outcome=outcome, reason=why):
            done = f"Command “{kind.replace('_', ' ')}” {outcome}"
            return Words(done, words_for_reason(why.value) if why else None, PLAIN if outcome == "done" else DENIED)
        case _:
            return _at_the_door(event) or _at_the_bank(event)


def _granted(event: ev.AccessGranted) -> Words:
    how = {Way.TAP: "by badge", Way.COMMAND: "from the desk", Way.RETRIEVE: "to fetch what was left"}[event.way]
    if event.reason:
        how += ": " + words_for_act(event.reason)
    return Words("May open", how + (", without the server" if event.offline else ""), GOOD)


def _settled(event: ev.UnlockSettled) -> Words:
    match event.outcome:
        case Outcome.OPENED:
            ms = event.tap_to_open_ms
            return Words("Opened", f"{ms} ms after it was asked for" if ms is not None else None, GOOD)
        case Outcome.ALREADY_OPEN:
            return Words("Was open already")
        case Outcome.NOT_OPENED:
            return Words("Unlocked, but nobody opened it")
        case Outcome.JAMMED:
            return Words("Did not open: the lock is jammed", None, ALARM)
        case Outcome.UNKNOWN:
            return Words("Nobody knows whether it opened", "the controller or its board stopped in between", ALARM)
        case outcome:
            return Words("Not unlocked", outcome.value.replace("_", " "), DENIED)


def _at_the_door(event: ev.Event | ev.UnknownEvent) -> Words | None:
    match event:
        case ev.DoorOpened():
            return Words("Door opened")
        case ev.DoorClosed(open_ms=open_ms):
            return Words("Door closed", f"open for {round(open_ms / 1000)} s" if open_ms is not None else None)
        case ev.DoorForced():
            return Words("Door forced", "it opened although nothing released it", ALARM)
        case ev.DoorHeldOpen(open_ms=open_ms):
            return Words("Door left open", f"for {round(open_ms / 60_000)} min", ALARM)
        case ev.DoorSeen(door=door):
            return Words(f"Door found {door.value}")
        case ev.LockChanged(lock=lock):
            return Words({Lock.SECURED: "Lock secured", Lock.RELEASED: "Lock released"}.get(lock, f"Lock {lock.value}"))
        case ev.OccupancyChanged(occupancy=occupancy):
            return Words("Something inside" if occupancy is Occupancy.OCCUPIED else f"Inside: {occupancy.value}")
        case _:
            return None


def _at_the_bank(event: ev.Event | ev.UnknownEvent) -> Words:
    match event:
        case ev.EpochStarted(previous_epoch=previous):
            return Words(
                "A new controller took over" if previous else "The journal begins", None, ALARM if previous else PLAIN
            )
        case ev.BootStarted(version=version):
            return Words("Controller started", version)
        case ev.BankConfigured():
            return Words("Configured")
        case ev.DirectoryApplied(version=version):
            return Words(f"Directory {version} taken over")
        case ev.ContactLost():
            return Words("Lost the server", None, ALARM)
        case ev.ContactRestored():
            return Words("Has the server again", None, GOOD)
        case ev.ClockDoubted(why=why):
            return Words("Clock in doubt", why.replace("_", " "), ALARM)
        case ev.ClockTrusted(source=source):
            return Words("Clock trusted", source)
        case ev.PersonBound():
            return Words("Known by name from here on")
        case ev.LinkLost(link=link, lockers=lockers):
            return Words("Board silent", f"{link}: {len(lockers)} lockers unknown", ALARM)
        case ev.LinkRestored(link=link):
            return Words("Board answers again", link, GOOD)
        case ev.LimitExceeded(held=held, limit=limit):
            return Words("More lockers than allowed", f"{held} of {limit}", ALARM)
        case ev.JournalLost(events=events, denials=denials):
            return Words("The disk was full", f"{events} events and {denials} denials were not written", ALARM)
        case ev.JournalGap(first=first, last=last):
            return Words("Part of its record is gone", f"the controller lost lines {first} to {last}", ALARM)
        case ev.UnknownEvent(type=name):
            return Words(name, "an event of a newer release")
        case _:
            return Words(type(event).__name__)
