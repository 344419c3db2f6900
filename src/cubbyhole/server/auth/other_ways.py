"""Signing in without a password: POST+GET /sign-in/code, POST /sign-in/code/check, POST /sign-in/passkey[/options]."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from cubbyhole.server.auth.access import Auth
from cubbyhole.server.auth.codes import ADDRESS_MOST, VALID_MS, CodeRefused, Codes, NoAddress
from cubbyhole.server.auth.dependencies import (
    address_of,
    check_origin,
    device,
    drop_other,
    open_to_all,
    safe_path,
    set_other,
    welcome,
)
from cubbyhole.server.auth.pages import GUARDED, Render, draw_sign_in, read_form
from cubbyhole.server.auth.passkeys import CHALLENGE_VALID_MS, RESPONSE_BYTES_MOST, PasskeyRefused, Passkeys
from cubbyhole.server.auth.waits import MustWait
from cubbyhole.ui.words import Text, language_for

CODE_COOKIE, PASSKEY_COOKIE = "cubbyhole_code", "cubbyhole_passkey"


def make_router(auth: Auth, codes: Codes, passkeys: Passkeys, render: Render) -> APIRouter:
    """The routes; ``render`` draws `sign_in_code.html` (next, address, problem)."""
    router = APIRouter(include_in_schema=False, dependencies=[open_to_all])

    def code_page(request: Request, status: int, to: str, address: str, problem: Text | None = None) -> Response:
        shown = {"next": to, "address": address, "problem": problem}
        response = render("sign_in_code.html", request, status, shown)
        response.headers.update(GUARDED)
        return response

    async def again(request: Request, status: int, to: str, address: str, problem: Text) -> Response:
        return await draw_sign_in(auth, render, request, status, to=to, address=address, problem=problem)

    @router.post("/sign-in/code")
    async def send(request: Request) -> Response:
        check_origin(request)
        form = await read_form(request)
        to, address = safe_path(form.get("next")), form.get("address", "")[: ADDRESS_MOST + 1]
        language = language_for(request.headers.get("accept-language", ""))
        if not codes.ready:
            return await again(request, 503, to, address, Text("sign_in.no_mail"))
        try:
            secret = await codes.ask(address, language, address_of(request), request.cookies.get(CODE_COOKIE, ""))
        except NoAddress:
            return await again(request, 422, to, address, Text("sign_in.no_address"))
        except MustWait as wait:
            response = await again(request, 429, to, address, Text("sign_in.code_wait", {"n": wait.wait_s}))
            response.headers["Retry-After"] = str(wait.wait_s)
            return response
        there = "/sign-in/code" + (f"?{urlencode({'next': to})}" if to != "/" else "")
        response = RedirectResponse(there, status_code=303, headers=GUARDED)
        set_other(request, response, CODE_COOKIE, secret, VALID_MS)
        return response

    @router.get("/sign-in/code")
    async def ask_for_code(request: Request) -> Response:
        to = safe_path(request.query_params.get("next"))
        asked = await codes.asked(request.cookies.get(CODE_COOKIE, ""))
        if asked is None:
            return RedirectResponse("/sign-in", status_code=303, headers=GUARDED)
        return code_page(request, 200, to, asked.address)

    @router.post("/sign-in/code/check")
    async def check(request: Request) -> Response:
        check_origin(request)
        form = await read_form(request)
        to, browser = safe_path(form.get("next")), request.cookies.get(CODE_COOKIE, "")
        asked = await codes.asked(browser)
        try:
            signed_in = await codes.sign_in(browser, form.get("code", "")[:40], address_of(request), device(request))
        except CodeRefused as refused:
            if asked is None or refused.spent:
                return await again(request, 401, to, asked.address if asked else "", Text("sign_in.code_spent"))
            return code_page(request, 401, to, asked.address, Text("sign_in.code_wrong"))
        response = await welcome(request, signed_in, to)
        drop_other(response, CODE_COOKIE)
        return response

    @router.post("/sign-in/passkey/options")
    async def passkey_options(request: Request) -> Response:
        check_origin(request)
        if not passkeys.available:
            return _no(404, "unavailable")
        try:
            options, browser = await passkeys.options_to_sign_in(address_of(request))
        except MustWait as wait:
            return JSONResponse({"wrong": "wait"}, 429, {"Retry-After": str(wait.wait_s)})
        response = JSONResponse(options, headers=GUARDED)
        set_other(request, response, PASSKEY_COOKIE, browser, CHALLENGE_VALID_MS)
        return response

    @router.post("/sign-in/passkey")
    async def by_passkey(request: Request) -> Response:
        check_origin(request)
        to = safe_path(request.query_params.get("next"))
        try:
            signed_in = await passkeys.sign_in(
                request.cookies.get(PASSKEY_COOKIE, ""), await read_json(request), address_of(request), device(request)
            )
        except PasskeyRefused as refused:
            return _no(401, refused.word)
        went = await welcome(request, signed_in, to)
        response = JSONResponse({"next": went.headers["location"]}, headers=GUARDED)
        for cookie in went.headers.getlist("set-cookie"):
            response.headers.append("set-cookie", cookie)
        drop_other(response, PASSKEY_COOKIE)
        return response

    return router


async def read_json(request: Request) -> Any:
    """The body; None where it is too large or no JSON."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > RESPONSE_BYTES_MOST:
            return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _no(status: int, word: str) -> Response:
    return JSONResponse({"wrong": word}, status, GUARDED)
