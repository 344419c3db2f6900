"""What needs somebody: the list on the overview, the worst first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from cubbyhole.server.banks.views import BankView, LockerView
from cubbyhole.server.banks.wording import words_for_check

_ALARMS = {
    "forced": ("Door forced", "It opened although nothing released it. Look, then say that you have looked."),
    "held_open": ("Door left open", "Somebody should push it shut."),
    "jammed": ("Lock jammed", "It did not open. Free the lock, then say that you have looked."),
}


class Need(TypedDict):
    state: str
    icon: str
    title: str
    detail: str
    href: str


def needs_of(banks: Iterable[BankView]) -> list[Need]:
    """Everything that is wrong or waits for a look."""
    hot: list[Need] = []
    rest: list[Need] = []
    for bank in banks:
        href = f"/banks/{bank['id']}"
        if bank["quarantine"] is not None:
            detail = f"The journal is not believed ({bank['quarantine']}). The picture is frozen."
            hot.append(Need(state="alarm", icon="alarm", title=f"Bank {bank['id']}", detail=detail, href=href))
        if not bank["online"]:
            detail = "No contact. Badges still work there; what you ask for waits."
            rest.append(Need(state="offline", icon="offline", title=f"Bank {bank['id']}", detail=detail, href=href))
        if bank["clock_doubt"]:
            detail = "The clock is in doubt: nothing ends early, rights with a time of their own wait."
            rest.append(Need(state="expiring", icon="clock", title=f"Bank {bank['id']}", detail=detail, href=href))
        if bank["stale"]:
            detail = "Not all of its record can be shown: an update of the server is due, or a part has still to come."
            rest.append(Need(state="expiring", icon="clock", title=f"Bank {bank['id']}", detail=detail, href=href))
        for locker in bank["lockers"]:
            _look_at(locker, f"{href}?locker={locker['number']}", hot, rest)
    return hot + rest


def _look_at(locker: LockerView, href: str, hot: list[Need], rest: list[Need]) -> None:
    if locker["alarm"] is not None:
        title, detail = _ALARMS.get(locker["alarm"], (locker["alarm"], ""))
        hot.append(Need(state="alarm", icon="alarm", title=f"{locker['id']}: {title}", detail=detail, href=href))
    elif locker["out_of_service"] is None and locker["holder"] is None and locker["check"] is not None:
        detail = f"Not offered: {words_for_check(locker['check'])}."
        rest.append(Need(state="oos", icon="oos", title=f"{locker['id']}: look inside", detail=detail, href=href))
