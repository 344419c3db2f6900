"""Who has which role, for owners: GET /accounts, POST /accounts/role and /accounts/remove."""

from __future__ import annotations

from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from cubbyhole.server.auth.access import Auth
from cubbyhole.server.auth.appointments import (
    RoleRefused,
    appoint,
    appointments,
    parse_place,
    place_text,
    remove,
)
from cubbyhole.server.auth.callers import RoleGiver
from cubbyhole.server.auth.pages import FORM_BYTES_MOST
from cubbyhole.server.auth.places import known_places
from cubbyhole.server.auth.roles import PLACED, Caller, Role
from cubbyhole.server.persistence.unit import Store
from cubbyhole.server.web.rendering import Pages
from cubbyhole.ui.words import Text

PLACES_MOST = 200


def make_router(store: Store, auth: Auth, pages: Pages) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    def page(
        request: Request, caller: Caller, status: int = 200, problem: str | None = None, who: str = "",
        done: bool = False,
    ) -> Response:  # fmt: skip
        with store.read() as connection:
            speak = pages.speak(request, connection)
            return pages.page(
                "accounts.html", request, connection, caller, nav="accounts", http_status=status,
                accounts=appointments(connection, staff_only=True), roles=list(Role), placed=PLACED, who=who,
                places=[place_text(place) for place in known_places(connection)], place_text=place_text, done=done,
                problem=speak.say(Text(f"accounts.wrong.{problem}")) if problem is not None else None,
            )  # fmt: skip

    @router.get("/accounts")
    def accounts(request: Request, caller: RoleGiver, who: str = "", done: str = "") -> Response:
        return page(request, caller, who=who[:254], done=bool(done))

    @router.post("/accounts/role")
    async def give(request: Request, caller: RoleGiver) -> Response:
        form = await _pairs(request)
        who, reason = _one(form, "who")[:254], _one(form, "reason")
        places = [parse_place(value) for name, value in form if name == "place"][:PLACES_MOST]

        def change() -> None:
            try:
                role = Role(_one(form, "role"))
            except ValueError:
                raise RoleRefused("unknown_role", "there is no such role") from None
            with store.write() as work:
                appoint(work, who, role, places if role in PLACED else [], reason, caller.actor)

        try:
            await auth.pool.run(change)
        except RoleRefused as refused:
            return await auth.pool.run(page, request, caller, 422, refused.word, who)
        return RedirectResponse("/accounts?done=1", status_code=303)

    @router.post("/accounts/remove")
    async def drop(request: Request, caller: RoleGiver) -> Response:
        form = await _pairs(request)
        who, reason = _one(form, "who")[:254], _one(form, "reason")

        def change() -> None:
            with store.write() as work:
                remove(work, who, reason, caller.actor)

        try:
            await auth.pool.run(change)
        except RoleRefused as refused:
            return await auth.pool.run(page, request, caller, 422, refused.word, who)
        return RedirectResponse("/accounts?done=1", status_code=303)

    return router


def _one(form: list[tuple[str, str]], wanted: str) -> str:
    return next((value for name, value in form if name == wanted), "")


async def _pairs(request: Request) -> list[tuple[str, str]]:
    """The fields of a form in which names may come twice; what is too large or no form has none."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > FORM_BYTES_MOST:
            return []
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=PLACES_MOST + 10)
    except ValueError:
        return []
