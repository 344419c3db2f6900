"""An event in words for people: who, what, how, and whether it is good news. The texts are in the locale files.

The API says the same in English, besides the stable words that programs go by.
"""

from __future__ import annotations

from dataclasses import dataclass

from cubbyhole.domain import events as ev
from cubbyhole.domain.vocabulary import Outcome
from cubbyhole.ui.words import ENGLISH, Words

PLAIN, DENIED, ALARM, GOOD = "plain", "denied", "alarm", "good"

# Events that say the same whatever is in them: the text's key and its tone.
_ALWAYS_THE_SAME: dict[str, tuple[str, str]] = {
    "assignment.renewed": ("event.renewed", GOOD),
    "assignment.shared": ("event.shared", PLAIN),
    "share.ended": ("event.share_ended", PLAIN),
    "assignment.timed": ("event.timed", PLAIN),
    "release.armed": ("event.armed", PLAIN),
    "release.disarmed": ("event.disarmed", PLAIN),
    "locker.checked": ("event.checked", GOOD),
    "door.opened": ("event.door_opened", PLAIN),
    "bank.configured": ("event.configured", PLAIN),
    "contact.lost": ("event.contact_lost", ALARM),
    "contact.restored": ("event.contact_restored", GOOD),
    "person.bound": ("event.bound", PLAIN),
}


@dataclass(frozen=True, slots=True)
class Said:
    """``how`` is the small print behind ``what``."""

    what: str
    how: str | None = None
    tone: str = PLAIN


def words_for_reason(reason: str | None, speak: Words = ENGLISH) -> str:
    """A reason's fixed word as a person reads it."""
    if not reason:
        return speak.t("denied.none")
    return speak.known(f"denied.{reason}") or speak.t("denied.other", word=reason.replace("_", " "))


def hint_for_reason(reason: str | None, speak: Words = ENGLISH) -> str:
    """What to do about it."""
    return speak.known(f"denied.{reason}.hint") or speak.t("denied.other.hint")


def words_for_check(why: str, speak: Words = ENGLISH) -> str:
    """Why somebody must look inside."""
    return speak.known(f"check.{why}") or speak.t("check.other", why=why.replace("_", " "))


def words_for_command(kind: str, speak: Words = ENGLISH) -> str:
    """A command's kind as a person reads it."""
    return speak.known(f"command.{kind}") or speak.t("command.other", kind=kind.replace("_", " "))


def words_for_act(reason: str, speak: Words = ENGLISH) -> str:
    """Why somebody did something. Programs may give a word of their own: it is shown as it is."""
    return speak.known(f"reason.{reason}") or reason.replace("_", " ").capitalize()


def words(event: ev.Event | ev.UnknownEvent, speak: Words = ENGLISH) -> Said:
    """What an event says in a language. Never raises: one of a newer release is said to be that."""
    if isinstance(event, ev.UnknownEvent):
        return Said(speak.t("event.newer"), speak.t("event.newer.how", type=event.type))
    if event.TYPE in _ALWAYS_THE_SAME:
        key, tone = _ALWAYS_THE_SAME[event.TYPE]
        return Said(speak.t(key), None, tone)
    return _of_the_locker(event, speak) or _at_the_door(event, speak) or _at_the_bank(event, speak)


def _of_the_locker(event: ev.Event, speak: Words) -> Said | None:
    t = speak.t
    match event:
        case ev.AccessGranted():
            return _granted(event, speak)
        case ev.UnlockSettled():
            return _settled(event, speak)
        case ev.TapDenied(reason=reason, offline=offline):
            what = t("event.denied", reason=words_for_reason(reason.value, speak))
            hint = hint_for_reason(reason.value, speak)
            return Said(what, f"{hint} ({t('event.offline')})" if offline else hint, DENIED)
        case ev.AssignmentStarted(mode=mode):
            return Said(t("event.assigned", mode=t(f"mode.{mode.value}")), None, GOOD)
        case ev.AssignmentEnded(cause=cause, check=check):
            what = speak.known(f"event.ended.{cause.value}") or t("event.ended.other")
            return Said(what, t("event.look_inside", why=words_for_check(check, speak)) if check else None)
        case ev.CheckNeeded(why=why):
            return Said(t("event.check_needed", why=words_for_check(why, speak)), None, ALARM)
        case ev.OutOfService(reason=reason):
            return Said(t("event.out_of_service"), words_for_act(reason, speak))
        case ev.InService(reason=reason):
            return Said(t("event.in_service"), words_for_act(reason, speak), GOOD)
        case ev.CommandDone(kind=kind, outcome=outcome, reason=why):
            became = speak.known(f"outcome.{outcome}") or t("outcome.other", outcome=outcome)
            what = t("event.command", kind=words_for_command(kind, speak), outcome=became)
            tone = PLAIN if outcome == "done" else DENIED
            return Said(what, words_for_reason(why.value, speak) if why else None, tone)
        case _:
            return None


def _granted(event: ev.AccessGranted, speak: Words) -> Said:
    how = speak.t(f"event.granted.{event.way.value}")
    if event.reason:
        how = speak.t("event.granted.because", how=how, reason=words_for_act(event.reason, speak))
    return Said(speak.t("event.granted"), f"{how}, {speak.t('event.offline')}" if event.offline else how, GOOD)


def _settled(event: ev.UnlockSettled, speak: Words) -> Said:
    t = speak.t
    match event.outcome:
        case Outcome.OPENED:
            ms = event.tap_to_open_ms
            return Said(t("event.opened"), t("event.opened.after", ms=ms) if ms is not None else None, GOOD)
        case Outcome.ALREADY_OPEN:
            return Said(t("event.already_open"))
        case Outcome.NOT_OPENED:
            return Said(t("event.not_opened"))
        case Outcome.JAMMED:
            return Said(t("event.jammed"), None, ALARM)
        case Outcome.UNKNOWN:
            return Said(t("event.outcome_unknown"), t("event.outcome_unknown.how"), ALARM)
        case Outcome.NOT_SENT:
            return Said(t("event.not_sent"), t("event.not_sent.how"), DENIED)
        case Outcome.LATE:
            return Said(t("event.late"), t("event.late.how"), DENIED)


def _at_the_door(event: ev.Event, speak: Words) -> Said | None:
    t = speak.t
    match event:
        case ev.DoorClosed(open_ms=open_ms):
            how = t("event.door_closed.how", n=round(open_ms / 1000)) if open_ms is not None else None
            return Said(t("event.door_closed"), how)
        case ev.DoorForced():
            return Said(t("event.door_forced"), t("event.door_forced.how"), ALARM)
        case ev.DoorHeldOpen(open_ms=open_ms):
            return Said(t("event.door_held_open"), t("event.door_held_open.how", n=round(open_ms / 60_000)), ALARM)
        case ev.DoorSeen(door=door):
            return Said(t(f"event.door_seen.{door.value}"))
        case ev.LockChanged(lock=lock):
            return Said(t(f"event.lock.{lock.value}"))
        case ev.OccupancyChanged(occupancy=occupancy):
            return Said(t(f"event.inside.{occupancy.value}"))
        case _:
            return None


def _at_the_bank(event: ev.Event, speak: Words) -> Said:
    t = speak.t
    match event:
        case ev.EpochStarted(previous_epoch=previous):
            return Said(t("event.new_controller"), None, ALARM) if previous else Said(t("event.journal_begins"))
        case ev.BootStarted(version=version):
            return Said(t("event.boot"), version)
        case ev.DirectoryApplied(version=version):
            return Said(t("event.directory", version=version))
        case ev.ClockDoubted(why=why):
            return Said(t("event.clock_doubted"), speak.known(f"event.clock_doubted.{why}"), ALARM)
        case ev.ClockTrusted(source=source):
            return Said(t("event.clock_trusted"), speak.known(f"event.clock_trusted.{source}"))
        case ev.LinkLost(link=link, lockers=lockers):
            return Said(t("event.link_lost"), t("event.link_lost.how", link=link, n=len(lockers)), ALARM)
        case ev.LinkRestored(link=link):
            return Said(t("event.link_restored"), link, GOOD)
        case ev.LimitExceeded(held=held, limit=limit):
            return Said(t("event.limit"), t("event.limit.how", held=held, limit=limit), ALARM)
        case ev.JournalLost(events=events, denials=denials):
            return Said(t("event.journal_lost"), t("event.journal_lost.how", events=events, denials=denials), ALARM)
        case ev.JournalGap(first=first, last=last):
            return Said(t("event.journal_gap"), t("event.journal_gap.how", first=first, last=last), ALARM)
        case _:
            return Said(t("event.newer"), t("event.newer.how", type=event.TYPE))
