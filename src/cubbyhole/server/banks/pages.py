"""The overview, the banks, one bank with its drawer, the event stream."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import Connection

from cubbyhole.server.auth.callers import Reader
from cubbyhole.server.auth.places import banks_within
from cubbyhole.server.auth.roles import Caller
from cubbyhole.server.banks.needs import needs_of
from cubbyhole.server.banks.queries import TYPES_BY_TONE, BankQueries
from cubbyhole.server.banks.views import BankView, LockerView
from cubbyhole.server.banks.wording import words_for_act, words_for_command
from cubbyhole.server.persistence.unit import Store
from cubbyhole.server.web.rendering import Pages
from cubbyhole.ui.words import Words

EVENTS_ON_OVERVIEW = 14
EVENTS_ON_BANK = 12
EVENTS_ON_PAGE = 100
HISTORY = 30


class BankPages:
    """Makes the pages; `make_router` gives them addresses, `commands.pages` answers with the drawer."""

    def __init__(self, store: Store, queries: BankQueries, pages: Pages) -> None:
        self._store, self._queries, self._pages = store, queries, pages

    def speak(self, request: Request, connection: Connection) -> Words:
        """The viewer's language and the place's time zone."""
        return self._pages.speak(request, connection)

    def overview(self, request: Request, connection: Connection, caller: Caller) -> Response:
        speak, within = self.speak(request, connection), banks_within(connection, caller)
        banks = self._queries.banks(connection, within, speak=speak)
        needs = needs_of(banks, speak)
        events = self._queries.events(connection, limit=EVENTS_ON_OVERVIEW, only=within, quiet=False, speak=speak)
        total, in_use = sum(bank["total"] for bank in banks), sum(bank["in_use"] for bank in banks)
        figures = {
            "in_use": in_use,
            "total": total,
            "in_use_share": round(100 * in_use / total) if total else 0,
            "free": sum(bank["free"] for bank in banks),
            "open": sum(locker["door"] == "open" for bank in banks for locker in bank["lockers"]),
            "denied": self._queries.denied_since(connection, self._store.now_ms() - 24 * 3_600_000, within),
        }
        return self._pages.page(
            "overview.html", request, connection, caller, nav="overview", banks=banks, events=events[::-1],
            needs=needs, figures=figures,
        )  # fmt: skip

    def list(self, request: Request, connection: Connection, caller: Caller) -> Response:
        within = banks_within(connection, caller)
        banks = self._queries.banks(connection, within, speak=self.speak(request, connection))
        return self._pages.page("banks.html", request, connection, caller, nav="banks", banks=banks)

    def bank(self, request: Request, connection: Connection, caller: Caller, bank: str, locker: str | None) -> Response:
        speak = self.speak(request, connection)
        found = self._queries.bank(connection, bank, speak)
        if found is None:
            return self._pages.error(request, 404, "error.no_bank", bank=bank[:40])
        events = self._queries.events(connection, limit=EVENTS_ON_BANK, only=[bank], quiet=False, speak=speak)
        chosen = _locker(found, locker)
        return self._pages.page(
            "bank.html", request, connection, caller, nav="banks", bank=found, events=events[::-1], problem=None,
            done=None, **self._drawer(connection, found, chosen, speak),
        )  # fmt: skip

    def locker(
        self, request: Request, connection: Connection, caller: Caller, bank: str, number: str, *,
        problem: str | None = None, done: str | None = None, status: int = 200,
    ) -> Response:  # fmt: skip
        """The drawer alone."""
        speak = self.speak(request, connection)
        found = self._queries.bank(connection, bank, speak)
        chosen = _locker(found, number) if found is not None else None
        if found is None or chosen is None:
            return self._pages.error(request, 404, "error.no_locker", locker=f"{bank[:40]}-{number[:8]}")
        return self._pages.page(
            "locker.html", request, connection, caller, bank=found, problem=problem, done=done,
            http_status=status,
            **self._drawer(connection, found, chosen, speak),
        )  # fmt: skip

    def events(
        self, request: Request, connection: Connection, caller: Caller, bank: str, tone: str, before: int | None
    ) -> Response:
        speak, within = self.speak(request, connection), banks_within(connection, caller)
        kinds = TYPES_BY_TONE.get(tone)
        events = self._queries.events(
            connection, limit=EVENTS_ON_PAGE, before=before, only=[bank] if bank else within, quiet=False, types=kinds,
            speak=speak,
        )  # fmt: skip
        older = None
        if len(events) == EVENTS_ON_PAGE:
            asked = {"bank": bank, "tone": tone, "before": events[0]["id"]}
            older = "/events?" + urlencode({key: value for key, value in asked.items() if value})
        return self._pages.page(
            "events.html", request, connection, caller, nav="events", banks=self._queries.banks(connection, within),
            events=events[::-1], chosen={"bank": bank, "tone": tone}, older=older,
        )  # fmt: skip

    def _drawer(
        self, connection: Connection, bank: BankView, locker: LockerView | None, speak: Words
    ) -> dict[str, Any]:
        if locker is None:
            return {"locker": None, "history": [], "requested": [], "out": None}
        number = locker["number"]
        history = self._queries.events(
            connection, limit=HISTORY, only=[bank["id"]], locker=number, quiet=False, speak=speak
        )
        waiting = self._queries.requested(connection, bank["id"], number)
        requested = [speak.t("requested", command=words_for_command(row["kind"], speak)) for row in waiting]
        out = words_for_act(locker["out_of_service"], speak) if locker["out_of_service"] else None
        return {"locker": locker, "history": history[::-1], "requested": requested, "out": out}


def _locker(bank: BankView, number: str | None) -> LockerView | None:
    return next((locker for locker in bank["lockers"] if locker["number"] == number), None)


def make_router(store: Store, pages: BankPages) -> APIRouter:
    """The addresses of these pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def overview(request: Request, caller: Reader) -> Response:
        with store.read() as connection:
            return pages.overview(request, connection, caller)

    @router.get("/banks")
    def banks(request: Request, caller: Reader) -> Response:
        with store.read() as connection:
            return pages.list(request, connection, caller)

    @router.get("/banks/{bank}")
    def bank(
        request: Request, caller: Reader, bank: str, locker: Annotated[str | None, Query(max_length=8)] = None
    ) -> Response:
        with store.read() as connection:
            return pages.bank(request, connection, caller, bank, locker)

    @router.get("/banks/{bank}/lockers/{number}")
    def locker(request: Request, caller: Reader, bank: str, number: str) -> Response:
        if request.headers.get("sec-fetch-dest") == "document":
            # Somebody opened the drawer's own address: show it in its page.
            return RedirectResponse(f"/banks/{bank}?{urlencode({'locker': number})}", status_code=303)
        with store.read() as connection:
            return pages.locker(request, connection, caller, bank, number)

    @router.get("/events")
    def events(
        request: Request, caller: Reader, bank: Annotated[str, Query(max_length=24)] = "",
        tone: Annotated[str, Query(max_length=12)] = "", before: Annotated[int | None, Query(ge=0)] = None,
    ) -> Response:  # fmt: skip
        with store.read() as connection:
            return pages.events(request, connection, caller, bank, tone, before)

    return router
