"""What needs somebody: the list on the overview, the worst first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from cubbyhole.server.banks.views import BankView, LockerView
from cubbyhole.server.banks.wording import words_for_check
from cubbyhole.ui.words import Words


class Need(TypedDict):
    state: str
    icon: str
    title: str
    detail: str
    href: str


def needs_of(banks: Iterable[BankView], speak: Words) -> list[Need]:
    """Everything that is wrong or waits for a look, in the viewer's language."""
    hot: list[Need] = []
    rest: list[Need] = []
    for bank in banks:
        _look_at_bank(bank, speak, hot, rest)
        for number in bank["removed"]:
            what = speak.t("needs.locker", locker=f"{bank['id']}-{number}", what=speak.t("needs.look_inside"))
            detail = speak.t("needs.removed")
            rest.append(Need(state="oos", icon="check", title=what, detail=detail, href=f"/banks/{bank['id']}"))
        for locker in bank["lockers"]:
            _look_at(locker, f"/banks/{bank['id']}?locker={locker['number']}", speak, hot, rest)
    return hot + rest


def _look_at_bank(bank: BankView, speak: Words, hot: list[Need], rest: list[Need]) -> None:
    title, href = speak.t("needs.bank", bank=bank["id"]), f"/banks/{bank['id']}"

    def need(state: str, icon: str, key: str) -> Need:
        return Need(state=state, icon=icon, title=title, detail=speak.t(key), href=href)

    if bank["quarantine"] is not None:
        hot.append(need("alarm", "alarm", "needs.quarantine"))
    if not bank["online"]:
        rest.append(need("offline", "offline", "needs.offline" if bank["offline_since"] else "needs.never"))
    if bank["lagging"]:
        rest.append(need("expiring", "clock", "needs.lagging"))
    if bank["clock_doubt"]:
        rest.append(need("expiring", "clock", "needs.clock"))
    if bank["stale"]:
        rest.append(need("expiring", "clock", "needs.stale"))


def _look_at(locker: LockerView, href: str, speak: Words, hot: list[Need], rest: list[Need]) -> None:
    alarm = locker["alarm"]
    if alarm is not None:
        what = speak.known(f"needs.{alarm}") or speak.t("needs.alarm")
        detail = speak.known(f"needs.{alarm}.detail") or speak.t("needs.alarm.detail")
        title = speak.t("needs.locker", locker=locker["id"], what=what)
        hot.append(Need(state="alarm", icon="alarm", title=title, detail=detail, href=href))
    elif locker["out_of_service"] is None and locker["holder"] is None and locker["check"] is not None:
        detail = speak.t("note.not_offered", why=words_for_check(locker["check"], speak))
        title = speak.t("needs.locker", locker=locker["id"], what=speak.t("needs.look_inside"))
        rest.append(Need(state="oos", icon="check", title=title, detail=detail, href=href))
