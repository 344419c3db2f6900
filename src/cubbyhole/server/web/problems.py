"""Errors as ``application/problem+json`` (RFC 9457): what happened, what is safe, what to do."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


# Makes a page for a person in their language: request, status.
ErrorPage = Callable[[Request, int], Response]


class Problem(HTTPException):
    """An error that the API answers as it is. ``word`` is stable, ``detail`` is for people."""

    def __init__(self, status: int, word: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, detail, headers)
        self.word = word


def problem(status: int, word: str, detail: str, headers: Any = None, **more: Any) -> Response:
    title = word.replace("_", " ").capitalize()
    body = {"type": f"urn:cubbyhole:{word}", "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(body, status, headers=headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer errors so."""

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> Response:
        word = error.word if isinstance(error, Problem) else _word(error.status_code)
        return problem(error.status_code, word, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> Response:
        wrong = [{"where": ".".join(map(str, e["loc"])), "why": e["msg"]} for e in error.errors()[:20]]
        return problem(422, "invalid", "Some of what was sent cannot be used.", errors=wrong)

    @app.exception_handler(Exception)
    async def _unforeseen(_request: Request, _error: Exception) -> Response:
        return problem(500, "error", "The server could not answer this; its log says why.")


def show_people_pages(app: FastAPI, page: ErrorPage) -> None:
    """Whoever asked for a page gets one instead of a problem. Call it once all handlers are installed."""
    for kind, answer in list(app.exception_handlers.items()):
        app.add_exception_handler(kind, _with_page(answer, page))


def _with_page(answer: Any, page: ErrorPage) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handler(request: Request, error: Exception) -> Response:
        found = answer(request, error)
        response: Response = await found if inspect.isawaitable(found) else found
        wants_page = "text/html" in request.headers.get("accept", "") and "hx-request" not in request.headers
        if response.media_type != MEDIA_TYPE or not wants_page:
            return response
        shown = await run_in_threadpool(page, request, response.status_code)
        for name in ("retry-after", "www-authenticate"):
            if name in response.headers:
                shown.headers[name] = response.headers[name]
        return shown

    return handler


def _word(status: int) -> str:
    return {404: "not_found", 405: "method_not_allowed", 401: "not_signed_in", 403: "forbidden"}.get(status, "error")
