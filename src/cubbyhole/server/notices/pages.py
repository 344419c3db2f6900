"""GET and POST /l/{token}: one tap in a mail. Looking changes nothing, because mail programs and scanners look too."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from cubbyhole.server.auth.dependencies import open_to_all
from cubbyhole.server.notices.links import PATH, Link, Links, LinkSpent
from cubbyhole.server.notices.taps import Answer, Ask, Do, Question, Taps
from cubbyhole.server.persistence.unit import Store
from cubbyhole.server.web.rendering import Pages
from cubbyhole.ui.words import Words

# The address holds the right to act: nothing may keep the page, and no other site may hear of it.
_GUARDED = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}


def make_router(store: Store, pages: Pages, links: Links, taps: Taps) -> APIRouter:
    """The routes. No sign-in and no cookie: the link itself is the right, so a forged request has none."""
    router = APIRouter(include_in_schema=False, dependencies=[open_to_all])

    def words_for(request: Request) -> Words:
        with store.read() as connection:
            return pages.words(request, pages.installation(connection)[1])

    def known(token: str) -> tuple[Link, Ask, Do]:
        link = links.read(token, store.now_ms())
        handlers = taps.of(link.purpose)
        if handlers is None:
            raise LinkSpent("nobody acts on such a link here")
        return link, *handlers

    def show(request: Request, status: int, question: Question | None, answer: Answer | None) -> Response:
        with store.read() as connection:
            response = pages.page(
                "one_tap.html", request, connection, None, http_status=status, question=question, answer=answer
            )
        response.headers.update(_GUARDED)
        return response

    def gone(request: Request) -> Response:
        words = words_for(request)
        return show(request, 410, None, Answer(words.t("one_tap.gone"), words.t("one_tap.gone.why")))

    @router.get(PATH + "/{token}")
    def look(request: Request, token: str) -> Response:
        try:
            link, ask, _ = known(token)
            question = ask(link.subject, words_for(request))
        except LinkSpent:
            return gone(request)
        return show(request, 200, question, None)

    @router.post(PATH + "/{token}")
    async def act(request: Request, token: str) -> Response:
        try:
            link, _, do = known(token)
            words = await run_in_threadpool(words_for, request)
            answer = await do(link.subject, words)
        except LinkSpent:
            return await run_in_threadpool(gone, request)
        return await run_in_threadpool(show, request, 200, None, answer)

    return router
