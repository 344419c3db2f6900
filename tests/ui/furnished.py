"""A believable house for looking at pages: banks in every state, people, events. No server, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from cubbyhole.domain import events as ev
from cubbyhole.domain.layout import parse_columns
from cubbyhole.domain.vocabulary import Cause, Mode, Outcome, Reason, Way
from cubbyhole.server.auth.appointments import Appointment, place_text
from cubbyhole.server.auth.passkeys import PasskeyView
from cubbyhole.server.auth.roles import PLACED, Act, Place, Role
from cubbyhole.server.auth.sessions import SessionView
from cubbyhole.server.banks.needs import needs_of
from cubbyhole.server.banks.views import BankView, EventView, HolderView, LockerLook, LockerView
from cubbyhole.server.banks.wording import words, words_for_check
from cubbyhole.server.web.initials import initials_of
from cubbyhole.ui.words import ENGLISH, LANGUAGES, Words

NOW_MS = 1_794_994_920_000  # Wednesday 18 November 2026, 10:42 in Berlin
MINUTE_MS = 60_000
ZONE = "Europe/Berlin"
PEOPLE = (
    "Ada Okafor", "Mei Tanaka", "Samir Boukhari", "Priya Raman", "Jonas Eder", "Nora Visser", "Tomasz Kowal",
    "Elif Yıldız", "Hugo Blanc", "Ines Novak", "Grace Owusu", "Rui Lopes", "Yuki Sato", "Clara Lindqvist-Abernathy",
)  # fmt: skip
FURNITURE = {
    "A": ("Lobby", "Ground floor", ["M M M M M M", "S S S S M M M_ M", "L L+ L_ L", "XL L+ L", "XL L L"]),
    "B": ("Studio", "Floor 2", ["L+ L+ M+ M+ M+", "TL M+ M+ M+ M+", "XL+ L+ L+"]),
    "C": ("Library", "Floor 3", ["M M M+ M+ M_ M", "L L+ L_ L", "TL S S L_ L", "S S S S M M M_ M", "XL L+ L"]),
    "D": ("Workshop", "Floor 3", ["S S S S S S S S S S S S", "M M M M M M", "S S S S M M M M", "XL XL"]),
}
# number: state, then what else is so
UNUSUAL: dict[str, dict[str, dict[str, Any]]] = {
    "A": {
        "04": {"state": "expiring"},
        "09": {"state": "inuse", "door": "open", "lock": "released"},
        "12": {"state": "oos", "out_of_service": "door_damaged"},
        "16": {"state": "oos", "check": "not_empty"},
        "21": {"state": "inuse", "lock": "released"},
    },
    "B": {"02": {"state": "alarm", "alarm": "jammed", "lock": "jammed"}, "05": {"state": "open", "door": "open"}},
    "C": {
        "09": {"state": "alarm", "alarm": "held_open", "door": "open", "lock": "released"},
        "21": {"state": "alarm", "alarm": "forced", "door": "open"},
        "11": {"state": "expiring"},
        "14": {"state": "oos", "out_of_service": "lock_fault"},
        "18": {"state": "offline", "door": "unknown", "lock": "unknown"},
    },
    "D": {},
}
HELD = ("inuse", "expiring", "alarm")


def bank(name: str, *, online: bool = True, speak: Words = ENGLISH) -> BankView:
    """One bank of `FURNITURE`; every third locker that is nothing else is free."""
    label, area, columns = FURNITURE[name]
    views = []
    for index, spec in enumerate(parse_columns(tuple(columns))):
        said = {"state": "free" if index % 3 == 0 else "inuse", **UNUSUAL[name].get(spec.number, {})}
        if not online:
            said = {"state": "offline", "door": "unknown", "lock": "unknown"}
        views.append(locker(name, spec.number, spec.size, spec.features, index, said, speak))
    return BankView(
        id=name, label=label, area=area, site="Kestrel House", columns=columns, online=online,
        offline_since=None if online else NOW_MS - 12 * MINUTE_MS, clock_doubt=name == "B", lagging=name == "C",
        stale=False, quarantine=None, reader="bank" if name == "B" else "door", lockers=views, removed=[],
        free=sum(view["state"] == "free" for view in views),
        in_use=sum(view["holder"] is not None for view in views), total=len(views), seq=4821,
    )  # fmt: skip


def locker(
    name: str, number: str, size: str, features: Sequence[str], index: int, said: dict[str, Any], speak: Words = ENGLISH
) -> LockerView:
    state = cast(LockerLook, said["state"])
    person = PEOPLE[index % len(PEOPLE)] if state in HELD or (state == "offline" and index % 2) else None
    return LockerView(
        id=f"{name}-{number}", number=number, size=size, features=list(features), state=state,
        door=said.get("door", "closed"), lock=said.get("lock", "secured"), occupancy="unknown",
        holder=HolderView(person=f"p_{index:016x}", name=person, initials=initials_of(person)) if person else None,
        assignment=f"a_{index:016x}" if person else None, mode="day" if person else None,
        since=NOW_MS - (index + 7) * 11 * MINUTE_MS if person else None,
        until=NOW_MS + (20 if state == "expiring" else 798) * MINUTE_MS if person else None,
        check=said.get("check"), out_of_service=said.get("out_of_service"), alarm=said.get("alarm"),
        note=speak.t("note.not_offered", why=words_for_check(said["check"], speak)) if "check" in said else None,
    )  # fmt: skip


def banks(speak: Words = ENGLISH) -> list[BankView]:
    return [bank(name, online=name != "D", speak=speak) for name in "ABCD"]


# Bank, event, who: each is said in the viewer's language, as the server does.
_HAPPENED: tuple[tuple[str, ev.Event, str | None], ...] = (
    ("A", ev.DoorOpened(locker="09", grant="g1"), "Jonas Eder"),
    ("A", ev.AccessGranted(grant="g1", locker="09", way=Way.TAP), "Jonas Eder"),
    ("B", ev.TapDenied(reason=Reason.UNKNOWN_CREDENTIAL), None),
    ("C", ev.DoorHeldOpen(locker="09", open_ms=15 * MINUTE_MS), "Elif Yıldız"),
    ("C", ev.DoorForced(locker="21"), None),
    ("A", ev.DoorClosed(locker="17", open_ms=41_000), "Mei Tanaka"),
    ("A", ev.UnlockSettled(grant="g0", locker="17", outcome=Outcome.OPENED, tap_to_open_ms=712), "Mei Tanaka"),
    ("D", ev.ContactLost(last_ms=0), None),
    ("A", ev.TapDenied(reason=Reason.LIMIT_REACHED, locker="02", offline=True), "Nora Visser"),
    (
        "A",
        ev.AssignmentStarted(assignment="a1", locker="17", person="p_1", mode=Mode.DAY, ends_ms=None, rule="r"),
        "Mei Tanaka",
    ),
    ("A", ev.OutOfService(locker="12", reason="door_damaged"), "Lena Fischer"),
    (
        "C",
        ev.AssignmentEnded(
            assignment="a2", locker="05", person="p_2", cause=Cause.RELEASED, ended_ms=0, former_may_open=True,
            check="contents_unknown",
        ),
        "Ines Novak",
    ),
    ("B", ev.CommandDone(command="c1", kind="end", outcome="refused", reason=Reason.ASSIGNMENT_CHANGED), None),
    ("A", ev.LinkLost(link="bus 1", lockers=("01", "02")), None),
)  # fmt: skip


def events(
    count: int = 14, *, only: str | None = None, number: str | None = None, speak: Words = ENGLISH
) -> list[EventView]:
    """Newest first; the oldest ones of a long list are of yesterday."""
    found: list[EventView] = []
    for index in range(count):
        name, event, who = _HAPPENED[index % len(_HAPPENED)]
        name, at_locker = only or name, number or getattr(event, "locker", None)
        said = words(event, speak)
        found.append(
            EventView(
                id=9_000 - index, bank=name, seq=4821 - index, at=NOW_MS - index * index * 41_000, type=event.TYPE,
                locker=f"{name}-{at_locker}" if at_locker else None, who=who,
                what=said.what, how=said.how, tone=said.tone, why=None,
            )
        )  # fmt: skip
    return found


def figures(shown: Sequence[BankView]) -> dict[str, int]:
    total, in_use = sum(b["total"] for b in shown), sum(b["in_use"] for b in shown)
    return {
        "in_use": in_use, "total": total, "in_use_share": round(100 * in_use / total) if total else 0,
        "free": sum(b["free"] for b in shown), "denied": 2,
        "open": sum(view["door"] == "open" for b in shown for view in b["lockers"]),
    }  # fmt: skip


def people() -> list[dict[str, Any]]:
    return [
        {
            "name": name, "initials": initials_of(name), "email": f"{name.split()[0].lower()}@kestrel.example",
            "groups": ["Design", "Floor 3"][: 1 + index % 2], "badges": 1 + index % 2,
            "lockers": [f"A-{index + 2:02}"] if index % 3 else [], "active": index != 9,
        }
        for index, name in enumerate(PEOPLE)
    ]  # fmt: skip


def badges() -> list[dict[str, str | None]]:
    return [
        {"name": name, "badge": f"04A2{index:04X}", "locker": f"A-{index + 2:02}" if index % 3 else None}
        for index, name in enumerate(PEOPLE)
    ]


def physical(name: str) -> dict[str, Any]:
    """What the rig says on being asked for a bank's state."""
    return {
        "power": "on", "cables": [{"state": "whole"}],
        "lockers": {
            view["number"]: {
                "door": view["door"], "lock": view["lock"] if view["lock"] == "released" else "secured",
                "occupied": view["holder"] is not None, "light": view["state"] == "free",
                "jammed": view["lock"] == "jammed",
            }
            for view in bank(name)["lockers"]
        },
    }  # fmt: skip


def shell(nav: str = "", **more: Any) -> dict[str, Any]:
    """What every page needs."""
    return {
        "nav": nav, "site": "Kestrel House",
        "me": {"name": "Lena Fischer", "initials": "LF", "acts": {act.value for act in Act}},
        "attention": len(needs_of(banks(), ENGLISH)), "workbench": True, "now": NOW_MS,
        "feed": 9_000, **more,
    }  # fmt: skip


def account(**said: Any) -> dict[str, Any]:
    """Somebody's own account: two passkeys, three sessions, no password."""
    hour = 60 * MINUTE_MS
    found = [
        SessionView(f"{n:016x}", "owner", NOW_MS - 9 * hour, NOW_MS - n * hour, NOW_MS + hour, way, device, "IPv4")
        for n, (way, device) in enumerate([("passkey", "Firefox, Linux"), ("code", "Safari, iPhone"), ("link", "")])
    ]
    keys = [
        PasskeyView("a" * 16, "Office laptop", NOW_MS - 40 * hour, NOW_MS - hour),
        PasskeyView("b" * 16, "Phone", NOW_MS, None),
    ]
    shown = {
        "name": "Lena Fischer", "fixed_name": False, "chosen": "", "languages": LANGUAGES, "here": found[0].session,
        "fresh": True, "sessions": found, "passkeys": keys, "passkeys_here": True, "has_password": False,
        "role": "area_manager", "places": [Place("Kestrel House", "Ground floor")], "problem": None, "done": "passkey",
    }  # fmt: skip
    return shell("account", **{**shown, **said})


def accounts() -> dict[str, Any]:
    """Who has which role."""

    def one(name: str, role: Role, *places: Place, rests: bool = False) -> Appointment:
        address = f"{name.split()[0].lower()}@kestrel.example"
        return Appointment(address, name, role, places, address, rests, False, NOW_MS)

    house = Place("Kestrel House")
    found = [
        one("Lena Fischer", Role.OWNER), one("Tom Achebe", Role.MANAGER, rests=True),
        one("Ruth Sand", Role.RECEPTION, house, Place("Barn", "Loft")), one("Ivo Brandt", Role.AUDITOR),
    ]  # fmt: skip
    return shell(
        "accounts", accounts=found, roles=list(Role), placed=PLACED, who="", done=False, problem=None,
        places=[place_text(place) for place in (house, Place("Kestrel House", "Ground floor"), Place("Barn", "Loft"))],
        place_text=place_text,
    )  # fmt: skip
