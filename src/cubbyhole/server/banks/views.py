"""What the screens and the API show of banks, lockers and events: plain shapes, ready for JSON."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import RowMapping
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from cubbyhole.server.banks.presence import Seen
from cubbyhole.server.banks.wording import words_for_check
from cubbyhole.server.web.initials import initials_of
from cubbyhole.ui.words import ENGLISH, Words

EXPIRING_MS = 30 * 60_000

LockerLook = Literal["free", "inuse", "expiring", "open", "oos", "alarm", "offline", "waiting"]


class HolderView(TypedDict):
    person: str
    name: str
    initials: str


class LockerView(TypedDict):
    """One locker as it is drawn. ``state`` is the strongest of what competes; door and lock are drawn over it.

    ``check``, ``out_of_service`` and ``alarm`` are stable words; ``note`` is for people.
    """

    id: str
    number: str
    size: str
    features: list[str]
    state: LockerLook
    door: str
    lock: str
    occupancy: str
    holder: HolderView | None
    assignment: str | None
    mode: str | None
    since: int | None
    until: int | None
    check: str | None
    out_of_service: str | None
    alarm: str | None
    note: str | None


class BankView(TypedDict):
    id: str
    label: str
    area: str
    site: str
    columns: list[str]
    online: bool
    offline_since: int | None
    lagging: bool
    clock_doubt: bool
    stale: bool
    quarantine: str | None
    reader: str
    lockers: list[LockerView]
    removed: list[str]  # lockers that the bank was rebuilt without and that may not be empty
    free: int
    in_use: int
    total: int
    seq: int


class BankHeader(TypedDict):
    """The part of a `BankView` that moves without any locker moving. ``lagging``: online, but does not take over its
    directory or commands. ``stale``: not all of its journal is in the picture."""

    id: str
    online: bool
    offline_since: int | None
    lagging: bool
    clock_doubt: bool
    stale: bool
    quarantine: str | None
    free: int
    in_use: int
    total: int
    seq: int


class EventView(TypedDict):
    """``id`` is the event's place in the feed of all banks; ``why`` the stable word of a denial or an unlock that
    failed. ``what``, ``how`` and ``who`` are for people."""

    id: int
    bank: str
    seq: int
    at: int
    type: str
    locker: str | None
    who: str | None
    what: str
    how: str | None
    tone: str
    why: str | None


def locker_view(
    row: RowMapping, seen: Seen, names: dict[str, str], now_ms: int, speak: Words = ENGLISH
) -> LockerView:
    """The view of a row of `lockers`. Of a bank that is away only what holds without it is shown."""
    away = not seen.online
    person = row["person"]
    name = names.get(person, speak.t("who.unknown")) if person is not None else ""
    holder = HolderView(person=person, name=name, initials=initials_of(name)) if person is not None else None
    check = row["check_why"] or ("unverified" if row["unverified"] else None)
    if check is None and person is None and row["occupancy"] == "occupied":
        check = "not_empty"
    return LockerView(
        id=f"{row['bank']}-{row['number']}",
        number=row["number"],
        size=row["size"],
        features=row["features"].split(),
        state=_look(row, away, check, now_ms),
        door="unknown" if away else row["door"],
        lock="unknown" if away else row["lock"],
        occupancy=row["occupancy"],
        holder=holder,
        assignment=row["assignment"],
        mode=row["mode"],
        since=row["since_ms"],
        until=row["ends_ms"],
        check=check,
        out_of_service=row["out_of_service"],
        alarm=row["alarm"],
        note=_note(row, check, names, speak),
    )


def _look(row: RowMapping, away: bool, check: str | None, now_ms: int) -> LockerLook:
    if row["alarm"] is not None:
        return "alarm"
    if row["out_of_service"] is not None:
        return "oos"
    if away or row["link_lost"] or row["door"] == "unknown":
        return "offline"
    if row["person"] is not None:
        ends_ms = row["ends_ms"]
        return "expiring" if ends_ms is not None and ends_ms - now_ms < EXPIRING_MS else "inuse"
    if row["door"] == "open":
        return "open"
    if check is not None:
        return "oos"
    return "free" if row["offered"] else "oos"


def _note(row: RowMapping, check: str | None, names: dict[str, str], speak: Words) -> str | None:
    notes = []
    if check is not None:
        notes.append(speak.t("note.not_offered", why=words_for_check(check, speak)))
    if row["former"] is not None:
        notes.append(speak.t("note.former", name=names.get(row["former"], speak.t("who.former"))))
    if row["armed"]:
        notes.append(speak.t("note.armed"))
    return " ".join(notes) or None


def bank_view(row: RowMapping, seen: Seen, lockers: list[LockerView], removed: list[str]) -> BankView:
    return BankView(
        **bank_header(row, seen, lockers),
        label=row["label"],
        area=row["area"],
        site=row["site"],
        columns=row["columns"].split("\n") if row["columns"] else [],
        reader=row["reader"],
        lockers=lockers,
        removed=removed,
    )


def bank_header(row: RowMapping, seen: Seen, lockers: list[LockerView]) -> BankHeader:
    return BankHeader(
        id=row["bank"],
        online=seen.online,
        offline_since=seen.offline_since_ms,
        lagging=seen.lagging,
        clock_doubt=row["clock_doubt"],
        stale=row["stale"],
        quarantine=_quarantine(row),
        free=sum(view["state"] == "free" for view in lockers),
        in_use=sum(view["holder"] is not None for view in lockers),
        total=len(lockers),
        seq=row["last_seq"],
    )


def _quarantine(row: RowMapping) -> str | None:
    # The column begins with the controller's id; people need the reason.
    return row["quarantine"].partition(" ")[2] if row["quarantine"] is not None else None
