"""Errors as ``application/problem+json`` (RFC 9457): what happened, what is safe, what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


# Makes a page for a person: request, status, title, detail.
ErrorPage = Callable[[Request, int, str, str], Response]


class Problem(HTTPException):
    """An error that the API answers as it is. ``word`` is stable, ``detail`` is for people."""

    def __init__(self, status: int, word: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, detail, headers)
        self.word = word


def problem(status: int, word: str, detail: str, headers: Any = None, **more: Any) -> Response:
    title = word.replace("_", " ").capitalize()
    body = {"type": f"urn:cubbyhole:{word}", "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(body, status, headers=headers, media_type=MEDIA_TYPE)


def install(app: FastAPI, page: ErrorPage | None) -> None:
    """Answer every error so; people who asked for a page get one."""

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        if page is not None and "text/html" in request.headers.get("accept", ""):
            title = _word(error.status_code).replace("_", " ").capitalize()
            return await run_in_threadpool(page, request, error.status_code, title, str(error.detail))
        word = error.word if isinstance(error, Problem) else _word(error.status_code)
        return problem(error.status_code, word, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> Response:
        wrong = [{"where": ".".join(map(str, e["loc"])), "why": e["msg"]} for e in error.errors()[:20]]
        return problem(422, "invalid", "Some of what was sent cannot be used.", errors=wrong)


def _word(status: int) -> str:
    return {404: "not_found", 405: "method_not_allowed", 401: "not_signed_in", 403: "forbidden"}.get(status, "error")
