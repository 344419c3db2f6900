"""FastAPI's side of `auth`: ``caller: Annotated[Caller, Depends(needs(Act.SEE))]`` on any route, page or API.

A cookie session is good for unsafe methods only from the server's own pages (see `origin`). Without a caller: pages
are sent to /sign-in, htmx gets HX-Redirect, everything else a 401 problem.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request

from cubbyhole.server.auth.access import Auth
from cubbyhole.server.auth.roles import Act, Caller


def needs(act: Act) -> Callable[[Request], Awaitable[Caller]]:
    """A dependency that gives the caller, who may do ``act``. Raises NotSignedIn, NotAllowed, WrongOrigin."""
    raise NotImplementedError


def install(app: FastAPI, auth: Auth) -> None:
    """Put ``auth`` where `needs` finds it and answer its errors."""
    raise NotImplementedError
