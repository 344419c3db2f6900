"""The list of people: who has what, and with how many badges."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from cubbyhole.server.auth.callers import PeopleReader
from cubbyhole.server.auth.places import banks_within
from cubbyhole.server.people.roster import roster
from cubbyhole.server.persistence.unit import Store
from cubbyhole.server.web.rendering import Pages


def make_router(store: Store, pages: Pages) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/people")
    def people(request: Request, caller: PeopleReader, query: Annotated[str, Query(max_length=100)] = "") -> Response:
        with store.read() as connection:
            found, total = roster(connection, query, banks_within(connection, caller))
            return pages.page(
                "people.html", request, connection, caller, nav="people", people=found, query=query, total=total
            )

    return router
