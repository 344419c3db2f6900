"""What each notice says, in somebody's language. One function for each kind; they change nothing and ask nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cubbyhole.domain.vocabulary import Alarm, Cause
from cubbyhole.server.notices import notice as n
from cubbyhole.server.notices.links import Links, Purpose
from cubbyhole.server.notices.place import Place
from cubbyhole.ui.mail import Button, Letter, plain, strong
from cubbyhole.ui.words import Words, catalogue

ALARMS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Desk:
    """What letters are written with. ``acts`` are the purposes on which somebody acts here: no other gets a link."""

    words: Words
    place: Place
    links: Links
    acts: Collection[Purpose]
    base_url: str

    def until(self, at_ms: int) -> str:
        """A moment in full: a mail may be read on another day. Midnight belongs to the day that it ends."""
        local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(self.words.timezone)
        if (local.hour, local.minute) != (0, 0):
            return self.words.day(at_ms)
        day = self.words.day(at_ms - 60_000).rpartition(", ")[0]
        return self.words.t("mail.midnight", day=day)


def compose(desk: Desk, notice: n.Notice) -> Letter:
    """The letter for a notice."""
    match notice:
        case n.SignInCode():
            return _sign_in_code(desk, notice)
        case n.EndsSoon():
            return _ends_soon(desk, notice)
        case n.Ended():
            return _ended(desk, notice)
        case n.Assigned():
            return _assigned(desk, notice)
        case n.WaitListOffer():
            return _offer(desk, notice)
        case n.LockerShared():
            return _shared(desk, notice)
        case n.Alarms():
            return _alarms(desk, notice)


def letter_of_test(words: Words) -> Letter:
    """What `cubbyhole mail test` sends."""
    return _letter(words, "test", lead=(words.t("mail.test.lead"),))


def _letter(words: Words, kind: str, /, lead: tuple[str, ...], **values: object) -> Letter:
    """A letter whose subject, preview and title are the kind's, with ``values`` filled in."""
    subject, preview, title = (words.t(f"mail.{kind}.{part}", **values) for part in ("subject", "preview", "title"))
    return Letter(subject=subject, preview=preview, title=title, lead=lead)


def _about_locker(
    desk: Desk, kind: str, bank: str, locker: str, state: str, lead: tuple[str, ...], **values: object
) -> Letter:
    number = f"{bank}-{locker}"
    letter = _letter(desk.words, kind, lead, locker=number, place=plain(desk.place.where), **values)
    return replace(
        letter, state=state, hero=number, mark=desk.words.t(f"mail.{kind}.mark"),
        small=(desk.words.t("mail.reason.locker", site=plain(desk.place.site)),),
    )  # fmt: skip


def _sign_in_code(desk: Desk, notice: n.SignInCode) -> Letter:
    t, until = desk.words.t, desk.words.clock(notice.expires_ms)
    letter = _letter(desk.words, "sign_in_code", (t("mail.sign_in_code.lead", until=strong(until)),), until=until)
    digits = plain(notice.code, 40)
    code = f"{digits[:3]} {digits[3:]}" if len(digits) == 6 and digits.isdigit() else digits
    return replace(letter, code=code, small=(t("mail.sign_in_code.small"),))


def _ends_soon(desk: Desk, notice: n.EndsSoon) -> Letter:
    t, until = desk.words.t, desk.until(notice.ends_ms)
    subject = f"{notice.assignment}@{notice.ends_ms}"
    buttons = _button(desk, Purpose.RENEW, subject, notice.ends_ms, t("mail.ends_soon.button"))
    said = t("mail.ends_soon.renewable" if buttons else "mail.ends_soon.lead", until=strong(until))
    letter = _about_locker(
        desk, "ends_soon", notice.bank, notice.locker, "expiring", (said, plain(desk.place.where)), until=until
    )
    return _with_buttons(desk, letter, buttons)


def _ended(desk: Desk, notice: n.Ended) -> Letter:
    t, when = desk.words.t, desk.until(notice.ended_ms)
    known = {Cause.EXPIRED, Cause.OPERATOR, Cause.MOVED, Cause.LAPSED, Cause.REMOVED}
    how = notice.cause if notice.cause in known else "other"
    lead = [t(f"mail.ended.{how}", when=strong(when))]
    if notice.cause not in (Cause.MOVED, Cause.LAPSED, Cause.REMOVED):
        lead.append(t("mail.ended.may_open" if notice.may_open else "mail.ended.may_not_open"))
    return _about_locker(desk, "ended", notice.bank, notice.locker, "inuse", tuple(lead), when=when)


def _assigned(desk: Desk, notice: n.Assigned) -> Letter:
    t = desk.words.t
    lead = [t("mail.assigned.lead", place=strong(plain(desk.place.where)))]
    if notice.ends_ms is not None:
        lead.append(t("mail.assigned.until", until=strong(desk.until(notice.ends_ms))))
    return _about_locker(desk, "assigned", notice.bank, notice.locker, "yours", tuple(lead))


def _offer(desk: Desk, notice: n.WaitListOffer) -> Letter:
    t, until = desk.words.t, desk.until(notice.lapses_ms)
    lead = t("mail.wait_list_offer.lead", place=plain(desk.place.where), until=strong(until))
    letter = _about_locker(
        desk, "wait_list_offer", notice.bank, notice.locker, "waiting", (lead,), until=until
    )  # fmt: skip
    label = t("mail.wait_list_offer.button")
    return _with_buttons(desk, letter, _button(desk, Purpose.TAKE_OFFER, notice.offer, notice.lapses_ms, label))


def _shared(desk: Desk, notice: n.LockerShared) -> Letter:
    t, by = desk.words.t, plain(notice.by, 80)
    lead = [t("mail.locker_shared.lead", place=strong(plain(desk.place.where)), by=by)]
    if notice.until_ms is not None:
        lead.append(t("mail.locker_shared.until", until=strong(desk.until(notice.until_ms))))
    return _about_locker(desk, "locker_shared", notice.bank, notice.locker, "yours", tuple(lead), by=by)


def _alarms(desk: Desk, notice: n.Alarms) -> Letter:
    t, shown = desk.words.t, notice.lines[:ALARMS_SHOWN]
    lines = [_alarm_line(desk, line) for line in shown]
    if notice.many > len(shown):
        lines.append(t("mail.alarm.more", n=notice.many - len(shown)))
    first = shown[0] if shown else n.AlarmLine(kind="", at_ms=0)
    what = f"{_where(desk, first)}, {_what(desk.words, first.kind)}"
    letter = _letter(
        desk.words, "alarm", (t("mail.alarm.lead"),), n=notice.many, what=what, site=plain(desk.place.site)
    )  # fmt: skip
    return replace(
        letter, state="alarm", mark=t("mail.alarm.mark"), lines=tuple(lines),
        hero=f"{first.bank}-{first.locker}" if notice.many == 1 and first.bank and first.locker else str(notice.many),
        buttons=(Button(t("mail.alarm.button"), f"{desk.base_url}/banks"),),
        small=(t("mail.reason.account", site=plain(desk.place.site)),),
    )  # fmt: skip


def _alarm_line(desk: Desk, line: n.AlarmLine) -> str:
    t = desk.words.t
    said = t(
        "mail.alarm.line", when=desk.words.day(line.at_ms), where=strong(_where(desk, line)),
        what=_what(desk.words, line.kind),
    )  # fmt: skip
    return t("mail.alarm.detail", line=said, detail=plain(line.detail)) if line.detail else said


def _where(desk: Desk, line: n.AlarmLine) -> str:
    if line.bank is None:
        return desk.words.t("mail.alarm.server")
    return f"{line.bank}-{line.locker}" if line.locker else line.bank


def _what(words: Words, kind: str) -> str:
    """An alarm's kind in words; one of a newer release shows its name."""
    key = f"alarm.{kind}" if kind in set(Alarm) else f"mail.alarm.kind.{kind}"
    return words.t(key) if key in catalogue(words.language) else plain(kind.replace("_", " "), 40)


def _button(desk: Desk, purpose: Purpose, subject: str, not_after_ms: int, label: str) -> tuple[Button, ...]:
    return (Button(label, desk.links.url(purpose, subject, not_after_ms)),) if purpose in desk.acts else ()


def _with_buttons(desk: Desk, letter: Letter, buttons: tuple[Button, ...]) -> Letter:
    if not buttons:
        return letter
    return replace(letter, buttons=buttons, small=(desk.words.t("mail.tap"), *letter.small))
