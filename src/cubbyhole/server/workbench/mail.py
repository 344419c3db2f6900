"""GET /workbench/mails and /workbench/mails/{id}: what the demo's mail server has taken, and one of them as it looks.

A mail is shown in a sandboxed frame that runs nothing; its links open in a tab of their own.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, JSONResponse, Response

from cubbyhole.server.auth.dependencies import needs
from cubbyhole.server.auth.roles import Act, Caller
from cubbyhole.server.web.security import HEADERS
from cubbyhole.server.workbench.rig import Rig, RigTrouble

Player = Annotated[Caller, Depends(needs(Act.WORKBENCH))]

# For the page around it: only this server's own addresses may be framed there.
FRAMING = {"Content-Security-Policy": HEADERS["Content-Security-Policy"] + "; frame-src 'self'"}
_MAY = "allow-popups allow-popups-to-escape-sandbox"
# For the mail itself: its styles and nothing else.
_FRAMED = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox {_MAY}",
    "X-Frame-Options": "SAMEORIGIN",
}
_HEAD = re.compile(r"<head>", re.IGNORECASE)


def make_router(socket: Path) -> APIRouter:
    """``socket`` is where the mail server (`cubbyhole sim mail`) answers questions."""
    router = APIRouter(include_in_schema=False)
    sink = Rig(socket)

    @router.get("/workbench/mails")
    async def mails(_player: Player) -> Response:
        try:
            return JSONResponse({"ok": True, **await sink.ask({"do": "mails"})})
        except RigTrouble as trouble:
            return JSONResponse({"ok": False, "error": str(trouble), "word": trouble.word}, trouble.status)

    @router.get("/workbench/mails/{number}")
    async def mail(_player: Player, number: int) -> Response:
        try:
            found = await sink.ask({"do": "mail", "id": str(number)})
        except RigTrouble as trouble:
            return HTMLResponse(f"<p>{html.escape(str(trouble))}</p>", trouble.status, _FRAMED)
        body = str(found.get("html") or f"<head></head><pre>{html.escape(str(found.get('text')))}</pre>")
        return HTMLResponse(_HEAD.sub('<head><base target="_blank">', body, count=1), headers=_FRAMED)

    return router
