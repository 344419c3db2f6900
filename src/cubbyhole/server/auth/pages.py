"""Signing in and out: GET+POST /owner/{token}, GET+POST /sign-in, POST /sign-out.

Looking at the owner's link uses nothing up: mail programs and chats open links to draw a preview of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from cubbyhole.server.auth import owner_link
from cubbyhole.server.auth.access import Auth, SignInRefused
from cubbyhole.server.auth.dependencies import (
    COOKIE,
    address_of,
    caller_of,
    check_origin,
    device,
    drop_cookie,
    open_to_all,
    safe_path,
    welcome,
)
from cubbyhole.server.auth.passwords import LEAST_CHARACTERS, MOST_CHARACTERS, WeakPassword
from cubbyhole.server.auth.waits import MustWait
from cubbyhole.ui.words import Text

# Makes a whole page: the template's name, the request, the status, and what the template shows.
Render = Callable[[str, Request, int, dict[str, Any]], Response]

FORM_BYTES_MOST = 16 * 1024
# The address bar holds a secret: nothing may keep the page, and no other site may hear of it. (`no-referrer` would
# also take the origin from our own form.)
GUARDED = {"Cache-Control": "no-store", "Referrer-Policy": "same-origin", "X-Robots-Tag": "noindex"}


def make_router(auth: Auth, render: Render) -> APIRouter:
    """The routes; ``render`` draws `owner.html` (token, problem), `sign_in.html` (see `draw_sign_in`)
    and `error.html` (title, detail, status). What a person reads is given as `Text`."""
    router = APIRouter(include_in_schema=False, dependencies=[open_to_all])

    def page(request: Request, code: int, template: str, /, **shown: Any) -> Response:
        response = render(template, request, code, shown)
        response.headers.update(GUARDED)
        return response

    async def sign_in_page(
        request: Request, status: int, *, to: str, account: str = "", problem: Text | None = None
    ) -> Response:
        return await draw_sign_in(auth, render, request, status, to=to, account=account, problem=problem)

    def spent_page(request: Request) -> Response:
        return page(request, 410, "error.html", title=Text("error.410"), detail=Text("error.410.detail"), status=410)

    @router.get("/owner/{token}")
    async def look_at_link(request: Request, token: str) -> Response:
        if not await auth.link_is_good(token):
            return spent_page(request)
        return page(request, 200, "owner.html", token=token, problem=None)

    @router.post("/owner/{token}")
    async def use_link(request: Request, token: str) -> Response:
        check_origin(request)
        form = await read_form(request)
        try:
            signed_in = await auth.spend_link(token, form.get("password"), device(request))
        except WeakPassword:
            weak = Text("sign_in.weak", {"least": LEAST_CHARACTERS, "most": MOST_CHARACTERS})
            return page(request, 422, "owner.html", token=token, problem=weak)
        except owner_link.LinkSpent:
            return spent_page(request)
        return await welcome(request, signed_in, "/")

    @router.get("/sign-in")
    async def ask(request: Request) -> Response:
        to = safe_path(request.query_params.get("next"))
        if await caller_of(request) is not None and "again" not in request.query_params:
            return RedirectResponse(to, status_code=303)
        return await sign_in_page(request, 200, to=to)

    @router.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        check_origin(request)
        form = await read_form(request)
        to, account = safe_path(form.get("next")), form.get("account", "")[:200]
        try:
            signed_in = await auth.sign_in(account, form.get("password", ""), address_of(request), device(request))
        except SignInRefused:
            return await sign_in_page(request, 401, to=to, account=account, problem=Text("sign_in.refused"))
        except MustWait as wait:
            said = Text("sign_in.wait", {"n": wait.wait_s})
            response = await sign_in_page(request, 429, to=to, account=account, problem=said)
            response.headers["Retry-After"] = str(wait.wait_s)
            return response
        return await welcome(request, signed_in, to)

    @router.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        check_origin(request)
        await auth.sign_out(request.cookies.get(COOKIE, ""))
        response = RedirectResponse("/sign-in", status_code=303)
        drop_cookie(response)
        return response

    return router


async def draw_sign_in(
    auth: Auth, render: Render, request: Request, status: int, *, to: str, account: str = "", address: str = "",
    problem: Text | None = None,
) -> Response:  # fmt: skip
    """The page with every way to sign in that there is."""
    shown = {
        "next": to, "account": account, "address": address, "problem": problem, "codes": auth.ways.codes,
        "passkeys": auth.ways.passkeys, "any_password": await auth.any_password(),
    }  # fmt: skip
    response = render("sign_in.html", request, status, shown)
    response.headers.update(GUARDED)
    return response


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a small form; what is too large or no form has none."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > FORM_BYTES_MOST:
            return {}
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50))
    except ValueError:
        return {}
