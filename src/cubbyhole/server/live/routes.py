"""`GET /live`: the stream behind every open picture."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from cubbyhole.server.auth.callers import Reader
from cubbyhole.server.auth.dependencies import auth_of
from cubbyhole.server.live.stream import LiveFeed
from cubbyhole.server.web.problems import Problem
from cubbyhole.ui.words import Words, language_for

BANKS_MOST = 200


def make_router(feed: LiveFeed) -> APIRouter:
    """`GET /live`."""
    router = APIRouter(tags=["live"])

    @router.get("/live", response_class=StreamingResponse)
    async def live(
        request: Request,
        caller: Reader,
        banks: Annotated[str, Query(max_length=6000, description="Bank ids with commas between; empty: all.")] = "",
        after: Annotated[int | None, Query(ge=0, description="Feed ordinal of the picture that the page has.")] = None,
        last_event_id: Annotated[str | None, Header()] = None,
        accept_language: Annotated[str, Header()] = "",
    ) -> StreamingResponse:
        """Server-sent events `change` and `reset`; what is for people is in the language that the header asks for."""
        wanted = tuple(filter(None, banks.split(",")))
        if len(wanted) > BANKS_MOST:
            raise Problem(422, "too_many_banks", f"Watch at most {BANKS_MOST} banks by name, or all.")
        if last_event_id is not None and last_event_id.isdigit():
            after = int(last_event_id)
        within = await auth_of(request).banks_of(caller) if not wanted else None
        asked = tuple(within) if within is not None else wanted or None
        stream = feed.stream(asked, after, Words(language_for(caller.language or accept_language)))
        # The first piece is made here, so that a refusal is still an answer and no broken stream.
        first = await anext(stream)

        async def body() -> AsyncIterator[bytes]:
            yield first
            async for piece in stream:
                yield piece

        return StreamingResponse(body(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    return router
