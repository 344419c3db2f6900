"""One's own account: GET /account, and POST to /account/{profile, sessions/..., passkeys/..., password}."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from cubbyhole.server.auth import accounts, own, sessions
from cubbyhole.server.auth.access import Auth, SignInRefused
from cubbyhole.server.auth.callers import Myself
from cubbyhole.server.auth.dependencies import NotSignedIn, device, drop_cookie, welcome
from cubbyhole.server.auth.other_ways import read_json
from cubbyhole.server.auth.pages import read_form
from cubbyhole.server.auth.passkeys import PasskeyRefused, Passkeys, list_passkeys, remove_passkey
from cubbyhole.server.auth.passwords import LEAST_CHARACTERS, MOST_CHARACTERS, WeakPassword
from cubbyhole.server.auth.roles import Caller
from cubbyhole.server.auth.waits import MustWait
from cubbyhole.server.persistence.unit import Store
from cubbyhole.server.web.rendering import Pages
from cubbyhole.ui.words import LANGUAGES, Text

DONE = ("profile", "session", "sessions", "passkey", "passkey_gone", "password", "password_gone")


def make_router(store: Store, auth: Auth, passkeys: Passkeys, pages: Pages) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    def page(
        request: Request, caller: Caller, status: int = 200, problem: Text | None = None, done: str | None = None
    ) -> Response:
        if caller.account is None:  # a program
            raise NotSignedIn
        with store.read() as connection:
            speak = pages.speak(request, connection)
            now_ms = store.now_ms()
            shown: dict[str, Any] = {
                "name": caller.name, "fixed_name": caller.person is not None, "chosen": caller.language or "",
                "languages": LANGUAGES, "here": caller.session, "fresh": sessions.is_fresh(caller, now_ms),
                "sessions": sessions.list_sessions(connection, caller.account, now_ms),
                "passkeys": list_passkeys(connection, caller.account), "passkeys_here": passkeys.available,
                "has_password": bool(accounts.password_hash(connection, caller.account)),
                "role": caller.role.value if caller.role is not None else "", "places": sorted(caller.places or ()),
                "problem": speak.say(problem) if problem is not None else None, "done": done,
            }  # fmt: skip
            return pages.page(
                "account.html", request, connection, caller, nav="account", http_status=status, **shown
            )

    @router.get("/account")
    def account(request: Request, caller: Myself, done: str = "") -> Response:
        return page(request, caller, done=done if done in DONE else None)

    @router.post("/account/profile")
    async def profile(request: Request, caller: Myself) -> Response:
        form = await read_form(request)

        def change() -> None:
            with store.write() as work:
                if "name" in form and form["name"] != caller.name:
                    own.rename(work, caller, form["name"])
                own.speak(work, caller, form["language"] if form.get("language") in LANGUAGES else None)

        await auth.pool.run(change)
        return _back("profile")

    @router.post("/account/sessions/{session}/end")
    def end(caller: Myself, session: str) -> Response:
        with store.write() as work:
            sessions.revoke(work, caller.account or "", session, caller.actor)
        if session != caller.session:
            return _back("session")
        response = RedirectResponse("/sign-in", status_code=303)
        drop_cookie(response)
        return response

    @router.post("/account/other-sessions/end")
    def end_others(caller: Myself) -> Response:
        with store.write() as work:
            sessions.revoke_all(work, caller.account or "", caller.actor, but=caller.session)
        return _back("sessions")

    @router.post("/account/passkeys/options")
    async def passkey_options(caller: Myself) -> Response:
        try:
            return JSONResponse(await passkeys.options_to_make(caller))
        except PasskeyRefused as refused:
            return JSONResponse({"wrong": refused.word}, 409)

    @router.post("/account/passkeys")
    async def make_passkey(request: Request, caller: Myself) -> Response:
        body = await read_json(request)
        name = body.get("name") if isinstance(body, dict) else None
        response = body.get("credential") if isinstance(body, dict) else None
        try:
            await passkeys.make(caller, response, name if isinstance(name, str) else "")
        except PasskeyRefused as refused:
            return JSONResponse({"wrong": refused.word}, 409)
        return JSONResponse({"next": "/account?done=passkey"})

    @router.post("/account/passkeys/{passkey}/remove")
    def drop_passkey(caller: Myself, passkey: str) -> Response:
        with store.write() as work:
            remove_passkey(work, caller.account or "", passkey, caller.actor)
        return _back("passkey_gone")

    @router.post("/account/password")
    async def password(request: Request, caller: Myself) -> Response:
        if caller.account is None:
            raise NotSignedIn
        form = await read_form(request)
        if form.get("do") == "remove":
            await own.drop_password(auth, caller)
            return _back("password_gone")
        try:
            signed_in = await own.change_password(
                auth, caller, form.get("old", ""), form.get("new", ""), device(request)
            )
        except WeakPassword:
            problem = Text("sign_in.weak", {"least": LEAST_CHARACTERS, "most": MOST_CHARACTERS})
            return await auth.pool.run(page, request, caller, 422, problem)
        except SignInRefused:
            return await auth.pool.run(page, request, caller, 422, Text("account.password.wrong"))
        except MustWait as wait:
            return await auth.pool.run(page, request, caller, 429, Text("sign_in.wait", {"n": wait.wait_s}))
        return await welcome(request, signed_in, "/account?done=password")

    return router


def _back(done: str) -> Response:
    return RedirectResponse(f"/account?done={done}", status_code=303)


