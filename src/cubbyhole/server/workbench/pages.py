"""GET /workbench and POST /workbench/{tap|door|cable|power}. Added only where a rig's socket is configured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from cubbyhole.server.auth.dependencies import needs
from cubbyhole.server.auth.roles import Act, Caller
from cubbyhole.server.services import Services
from cubbyhole.server.web.rendering import Pages
from cubbyhole.server.workbench.mail import FRAMING
from cubbyhole.server.workbench.people import badges_on_the_bench
from cubbyhole.server.workbench.rig import Rig, RigTrouble, request_for

BODY_BYTES_MOST = 4096
EVENTS_ON_BENCH = 16

Player = Annotated[Caller, Depends(needs(Act.WORKBENCH))]


def make_router(services: Services, pages: Pages, socket: Path) -> APIRouter:
    """The addresses of the bench whose rig listens at ``socket``."""
    router = APIRouter(include_in_schema=False)
    rig = Rig(socket)

    @router.get("/workbench")
    def bench(request: Request, player: Player) -> Response:
        with services.store.read() as connection:
            speak = pages.speak(request, connection)
            people = badges_on_the_bench(connection, services.sealing)
            events = services.queries.events(connection, limit=EVENTS_ON_BENCH, quiet=False, speak=speak)
            response = pages.page(
                "workbench.html", request, connection, player, nav="workbench", people=people,
                banks=services.queries.banks(connection, speak=speak), events=events[::-1],
                mail=services.settings.workbench_mail is not None,
            )  # fmt: skip
        response.headers.update(FRAMING)
        return response

    @router.post("/workbench/{verb}")
    async def do(request: Request, verb: str, _player: Player) -> Response:
        try:
            answer = await rig.ask(request_for(verb, await _body(request)))
        except RigTrouble as trouble:
            return JSONResponse({"ok": False, "error": str(trouble), "word": trouble.word}, trouble.status)
        return JSONResponse({"ok": True, **answer})

    return router


async def _body(request: Request) -> object:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MOST:
            raise RigTrouble(413, f"a request to the bench has at most {BODY_BYTES_MOST} bytes", "asked")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise RigTrouble(422, "send a JSON object", "asked") from None
