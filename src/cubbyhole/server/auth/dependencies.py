"""FastAPI's side of `auth`: ``caller: Annotated[Caller, Depends(needs(Act.SEE))]`` on any route, page or API.

Every route names its act so, or says that it is `open_to_all`; a test walks the application and finds one that forgot.
A caller whose rights end at some places is refused where the address names a bank elsewhere: as ``bank``, ``banks`` or
``locker`` in the path or behind the question mark. What no address names, the route narrows by `Auth.banks_of`.

A cookie is believed for unsafe methods only from the server's own pages (see `origin`); where a bearer token is given
the cookie does not count. Without a caller, pages are sent to /sign-in, htmx gets HX-Redirect, programs a 401 problem.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, FastAPI, Request, Security
from fastapi.dependencies.models import Dependant
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from cubbyhole.server.auth.access import Auth, SignedIn
from cubbyhole.server.auth.device import Device, device_of
from cubbyhole.server.auth.origin import is_ours
from cubbyhole.server.auth.roles import RIGHTS, Act, Caller, Role, may
from cubbyhole.server.auth.sessions import ABSOLUTE_MS

COOKIE = "cubbyhole_session"
_COOKIE_S = ABSOLUTE_MS // 1000
HOME_OF_PEOPLE = "/account"  # where somebody lands who may not see the desk's overview
# Only so that the API's description says it; `caller_of` reads the header itself.
_BEARER = HTTPBearer(auto_error=False, description="A token from `cubbyhole token create`.")


class NotSignedIn(Exception):
    """Nobody that we know asks."""


class NotAllowed(Exception):
    """The caller may not do this."""

    def __init__(self, caller: Caller, act: Act) -> None:
        super().__init__(f"{caller.name} has no right to {act.value} here.")
        self.caller, self.act = caller, act


class WrongOrigin(Exception):
    """The request was caused by a page of somebody else."""

    def __init__(self) -> None:
        super().__init__("This request did not come from this server's own pages. Reload the page and try again.")


def auth_of(request: Request) -> Auth:
    auth = request.app.state.auth
    assert isinstance(auth, Auth)
    return auth


def check_origin(request: Request) -> None:
    """Raises WrongOrigin. Also for forms that make a session: nobody should sign somebody else in unseen."""
    if not is_ours(request.method, request.headers):
        raise WrongOrigin


async def caller_of(request: Request) -> Caller | None:
    """Who asks, by bearer token or by cookie; None for nobody we know. Raises WrongOrigin."""
    auth = auth_of(request)
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        return await auth.by_bearer(token.strip()) if scheme.lower() == "bearer" else None
    cookie = request.cookies.get(COOKIE)
    if cookie is None:
        return None
    check_origin(request)
    return await auth.by_session(cookie)


def needs(act: Act) -> Callable[..., Awaitable[Caller]]:
    """A dependency that gives the caller, who may do ``act``. Raises NotSignedIn, NotAllowed, WrongOrigin."""

    async def caller(
        request: Request, _shown: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
    ) -> Caller:
        found = await caller_of(request)
        if found is None:
            raise NotSignedIn
        if not may(found, act) or not await _is_within(request, found, act):
            raise NotAllowed(found, act)
        request.state.caller = found  # whose language the page is in
        return found

    caller.act = act  # type: ignore[attr-defined]
    return caller


async def _open_to_all() -> None:
    """Says of a route that it is for everybody, signed in or not."""


open_to_all = Depends(_open_to_all)


def act_of(route: APIRoute) -> Act | None:
    """What the route needs; None where it is open to all. Raises LookupError where it says neither."""
    acts: list[Act] = []
    is_open = _gather(route.dependant, acts)
    if is_open != (not acts) or len(set(acts)) > 1:
        raise LookupError(f"{route.path} names one act with `needs`, or is `open_to_all`; it has {acts}")
    return acts[0] if acts else None


def _gather(dependant: Dependant, acts: list[Act]) -> bool:
    """Collect the acts; whether somewhere it says that it is open."""
    act = getattr(dependant.call, "act", None)
    if isinstance(act, Act):
        acts.append(act)
    inner = [_gather(one, acts) for one in dependant.dependencies]
    return dependant.call is _open_to_all or any(inner)


async def _is_within(request: Request, caller: Caller, act: Act) -> bool:
    if caller.places is None or act in RIGHTS[Role.PERSON]:
        return True
    named = [*request.path_params.items(), *request.query_params.multi_items()]
    asked = {value for name, value in named if name == "bank"}
    asked |= {value.rpartition("-")[0] for name, value in named if name == "locker" and "-" in value}
    asked |= {part for name, value in named if name == "banks" for part in value.split(",")}
    asked.discard("")
    return not asked or await auth_of(request).are_within(caller, asked)


def device(request: Request) -> Device:
    return device_of(request.headers, address_of(request))


def address_of(request: Request) -> str | None:
    return request.client.host if request.client is not None else None


def home_of(caller: Caller) -> str:
    """Where somebody lands who asked for no page in particular."""
    return "/" if may(caller, Act.SEE) else HOME_OF_PEOPLE


def set_cookie(request: Request, response: Response, token: str) -> None:
    """Give the browser its session. It ends with the server's record of it, whatever the browser keeps."""
    secure = auth_of(request).always_secure or request.url.scheme == "https"
    response.set_cookie(COOKIE, token, max_age=_COOKIE_S, httponly=True, samesite="lax", secure=secure, path="/")


def set_other(request: Request, response: Response, name: str, secret: str, valid_ms: int) -> None:
    """A secret that is for the sign-in pages of this browser alone, for a few minutes."""
    secure = auth_of(request).always_secure or request.url.scheme == "https"
    response.set_cookie(
        name, secret, max_age=valid_ms // 1000, httponly=True, samesite="strict", secure=secure, path="/sign-in"
    )


def drop_other(response: Response, name: str) -> None:
    response.delete_cookie(name, path="/sign-in", httponly=True, samesite="strict")


async def welcome(request: Request, signed_in: SignedIn, to: str) -> Response:
    """Send somebody who just signed in where they wanted to go. The session that the browser had before ends."""
    await auth_of(request).sign_out(request.cookies.get(COOKIE, ""))
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
    response = RedirectResponse(to, status_code=303, headers=headers)
    set_cookie(request, response, signed_in.token)
    return response


def drop_cookie(response: Response) -> None:
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")


def install(app: FastAPI, auth: Auth) -> None:
    """Put ``auth`` where `needs` finds it and answer its errors."""
    app.state.auth = auth
    app.add_exception_handler(NotSignedIn, _not_signed_in)
    app.add_exception_handler(NotAllowed, _refused)
    app.add_exception_handler(WrongOrigin, _refused)


def safe_path(path: str | None) -> str:
    """``path`` where it stays on this server, else the front page."""
    if not path or not path.startswith("/") or path.startswith(("//", "/\\")) or not path.isprintable():
        return "/"
    return path[:500]


async def _not_signed_in(request: Request, _error: Exception) -> Response:
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.headers.get("hx-request") == "true":
        return Response(status_code=401, headers={"HX-Redirect": "/sign-in"})
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(
            f"/sign-in?next={quote(here, safe='/')}" if here != "/" else "/sign-in", status_code=303
        )
    detail = "Sign in, or send `Authorization: Bearer` with a token from `cubbyhole token create`."
    return _problem(401, "Not signed in", detail, {"WWW-Authenticate": "Bearer"})


async def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, NotAllowed):
        if request.method == "GET" and request.url.path == "/" and home_of(error.caller) != "/":
            return RedirectResponse(home_of(error.caller), status_code=303)
        actor, why = error.caller.actor, error.act.value
    else:
        actor, why = "op:nobody", "origin"
    await auth_of(request).note_refusal(actor, why, f"{request.method} {request.url.path}")
    return _problem(403, "Not allowed", str(error), {})


def _problem(status: int, title: str, detail: str, headers: dict[str, str]) -> Response:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status, headers, media_type="application/problem+json")
