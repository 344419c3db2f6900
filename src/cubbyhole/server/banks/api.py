"""Banks, lockers, assignments and events by program. Lists come in pages: pass ``next`` back as ``after``."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from fastapi import APIRouter, Query
from pydantic import BaseModel

from cubbyhole.server.auth.callers import Reader
from cubbyhole.server.auth.places import banks_within
from cubbyhole.server.banks.queries import AssignmentView, BankQueries
from cubbyhole.server.banks.views import BankView, EventView, LockerView
from cubbyhole.server.persistence.unit import Store
from cubbyhole.server.web.problems import Problem

T = TypeVar("T")
Limit = Annotated[int, Query(ge=1, le=500, description="How many at most.")]
BankFilter = Annotated[str | None, Query(description="Only this bank.", max_length=24)]


class Page(BaseModel, Generic[T]):
    """``next`` is what to pass as ``after`` for the next page; null: this was the last one."""

    items: list[T]
    next: str | None


def make_router(store: Store, queries: BankQueries) -> APIRouter:
    """The addresses under /api/v1 that read."""
    router = APIRouter(prefix="/api/v1", tags=["banks"])

    @router.get("/banks")
    def list_banks(
        caller: Reader, after: Annotated[str, Query(max_length=24)] = "", limit: Limit = 100
    ) -> Page[BankView]:
        """Every bank with all its lockers, by id."""
        with store.read() as connection:
            within = banks_within(connection, caller)
            headers = [header["id"] for header in queries.headers(connection, within) if header["id"] > after]
            items = queries.banks(connection, headers[:limit])
        return Page(items=items, next=items[-1]["id"] if len(headers) > limit else None)

    @router.get("/banks/{bank}")
    def get_bank(_caller: Reader, bank: str) -> BankView:
        """One bank with all its lockers."""
        with store.read() as connection:
            found = queries.bank(connection, bank)
        if found is None:
            raise Problem(404, "unknown_bank", f"There is no bank {bank[:40]}.")
        return found

    @router.get("/lockers")
    def list_lockers(
        caller: Reader, bank: BankFilter = None,
        state: Annotated[str | None, Query(max_length=12)] = None,
        after: Annotated[str, Query(max_length=32)] = "", limit: Limit = 100,
    ) -> Page[LockerView]:  # fmt: skip
        """Lockers by id, of one bank or all."""
        with store.read() as connection:
            found = queries.lockers(connection, banks_within(connection, caller) if bank is None else [bank])
        items = [view for views in found.values() for view in views if view["id"] > after]
        if state is not None:
            items = [view for view in items if view["state"] == state]
        items.sort(key=lambda view: view["id"])
        return Page(items=items[:limit], next=items[limit - 1]["id"] if len(items) > limit else None)

    @router.get("/lockers/{locker}")
    def get_locker(_caller: Reader, locker: str) -> LockerView:
        """One locker by its id, like A-07."""
        bank, _, number = locker.rpartition("-")
        with store.read() as connection:
            found = queries.locker(connection, bank, number)
        if found is None:
            raise Problem(404, "unknown_locker", f"There is no locker {locker[:40]}.")
        return found

    @router.get("/assignments")
    def list_assignments(
        caller: Reader, bank: BankFilter = None,
        person: Annotated[str | None, Query(max_length=24)] = None,
        ended: Annotated[bool, Query(description="Also those that are over.")] = False,
        after: Annotated[str, Query(max_length=24)] = "", limit: Limit = 100,
    ) -> Page[AssignmentView]:  # fmt: skip
        """Who has what and since when."""
        with store.read() as connection:
            only = banks_within(connection, caller) if bank is None else [bank]
            items = queries.assignments(
                connection, after=after, limit=limit, only=only, person=person, ended=ended
            )
        return Page(items=items, next=items[-1]["id"] if len(items) == limit else None)

    @router.get("/events")
    def list_events(
        caller: Reader, bank: BankFilter = None,
        after: Annotated[int, Query(ge=0, description="Feed ordinal; 0 begins at the first event.")] = 0,
        limit: Limit = 100,
    ) -> Page[EventView]:  # fmt: skip
        """The feed of all banks' events in the order in which the server committed them. ``next`` is always given: ask
        again with it for what came since."""
        with store.read() as connection:
            only = banks_within(connection, caller) if bank is None else [bank]
            items = queries.events(connection, after=after, limit=limit, only=only)
        return Page(items=items, next=str(items[-1]["id"] if items else after))

    return router
