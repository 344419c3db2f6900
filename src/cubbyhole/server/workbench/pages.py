"""GET /workbench and POST /workbench/{tap|door|cable|power}. Added only where a rig's socket is configured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import Connection

from cubbyhole.server.auth.dependencies import needs
from cubbyhole.server.auth.pages import Render
from cubbyhole.server.auth.roles import Act, Caller
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence.pool import WorkPool
from cubbyhole.server.persistence.unit import Store
from cubbyhole.server.workbench.people import badges_on_the_bench
from cubbyhole.server.workbench.rig import Rig, RigTrouble, request_for

BODY_BYTES_MOST = 4096

Player = Annotated[Caller, Depends(needs(Act.WORKBENCH))]
# What the page shows besides the badges: the pictures of the banks and the latest events.
Picture = Callable[[Connection], dict[str, Any]]


def make_router(
    socket: Path, store: Store, pool: WorkPool, sealing: SealingKey, render: Render, picture: Picture
) -> APIRouter:
    """The routes; ``render`` draws `workbench.html` with ``people`` and what ``picture`` gives (banks, events)."""
    router = APIRouter(include_in_schema=False)
    rig = Rig(socket)

    def look() -> dict[str, Any]:
        with store.read() as connection:
            return {"people": badges_on_the_bench(connection, sealing), **picture(connection)}

    @router.get("/workbench")
    async def bench(request: Request, _player: Player) -> Response:
        response = render("workbench.html", request, 200, await pool.run(look))
        response.headers["Cache-Control"] = "no-store"
        return response

    @router.post("/workbench/{verb}")
    async def do(request: Request, verb: str, _player: Player) -> Response:
        try:
            answer = await rig.ask(request_for(verb, await _body(request)))
        except RigTrouble as trouble:
            return JSONResponse({"ok": False, "error": str(trouble)}, trouble.status)
        return JSONResponse({"ok": True, **answer})

    return router


async def _body(request: Request) -> object:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MOST:
            raise RigTrouble(413, f"a request to the bench has at most {BODY_BYTES_MOST} bytes")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise RigTrouble(422, "send a JSON object") from None
