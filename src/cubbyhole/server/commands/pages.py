"""The buttons of the drawer. Each answers with the drawer again, with what became of it."""

from __future__ import annotations

from collections.abc import Awaitable

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from cubbyhole.server.auth.callers import Operator
from cubbyhole.server.auth.roles import Caller
from cubbyhole.server.banks.pages import BankPages
from cubbyhole.server.banks.wording import words_for_reason
from cubbyhole.server.commands.actions import Actions
from cubbyhole.server.commands.live import Result
from cubbyhole.server.commands.standing import NotPossible
from cubbyhole.server.persistence.pool import Overloaded, WorkPool
from cubbyhole.server.persistence.unit import Store

_KINDS = {"out-of-service": "out_of_service", "in-service": "in_service", "checked": "checked"}
_DONE = {
    "open": "{locker} may open now. Its door is released.",
    "end": "The use of {locker} has ended.",
    "out-of-service": "{locker} is out of service.",
    "in-service": "{locker} is in service again.",
    "checked": "Noted: somebody has looked into {locker}.",
}


def make_router(store: Store, pool: WorkPool, actions: Actions, pages: BankPages) -> APIRouter:
    """`POST /banks/{bank}/lockers/{number}/{open|end|out-of-service|in-service|checked}`."""
    router = APIRouter(include_in_schema=False)

    async def answer(
        request: Request, caller: Caller, act: str, bank: str, number: str, asked: Awaitable[Result]
    ) -> Response:
        problem = done = None
        status = 200
        try:
            result = await asked
        except NotPossible as error:
            problem, status = str(error), 422
        except Overloaded:
            problem, status = "The server has too much to do at this moment. Nothing was changed; try again.", 503
        else:
            problem, done, status = _said(result, act, f"{bank}-{number}")
        if "hx-request" not in request.headers and request.headers.get("sec-fetch-dest") == "document":
            return RedirectResponse(f"/banks/{bank}?locker={number}", status_code=303)

        def draw() -> Response:
            with store.read() as connection:
                return pages.locker(
                    request, connection, caller, bank, number, problem=problem, done=done, status=status
                )

        return await pool.run(draw)

    @router.post("/banks/{bank}/lockers/{number}/open")
    async def open_(
        request: Request, caller: Operator, bank: str, number: str, reason: str = Form(""), note: str = Form("")
    ) -> Response:
        asked = actions.open(bank, number, caller.actor, reason, note)
        return await answer(request, caller, "open", bank, number, asked)

    @router.post("/banks/{bank}/lockers/{number}/end")
    async def end(
        request: Request, caller: Operator, bank: str, number: str, reason: str = Form(""), note: str = Form("")
    ) -> Response:
        return await answer(request, caller, "end", bank, number, actions.end(bank, number, caller.actor, reason, note))

    @router.post("/banks/{bank}/lockers/{number}/{act}")
    async def change(
        request: Request, caller: Operator, bank: str, number: str, act: str, reason: str = Form(""),
        note: str = Form(""),
    ) -> Response:  # fmt: skip
        kind = _KINDS.get(act)
        if kind is None:
            raise NotPossible("unknown_act", f"{act[:20]!r} is nothing that can be done with a locker.")
        asked = actions.change(kind, bank, number, caller.actor, reason, note)
        return await answer(request, caller, act, bank, number, asked)

    return router


def _said(result: Result, act: str, locker: str) -> tuple[str | None, str | None, int]:
    """Problem, success and status for the drawer."""
    match result.outcome:
        case "done":
            return None, _DONE[act].format(locker=locker), 200
        case "requested":
            return None, "Requested. The bank has not answered yet; it will be done when it does.", 202
        case "unreachable":
            return "The bank cannot be reached. Nothing was opened, and nothing will be later.", None, 503
        case "unknown":
            return "The bank took it on but did not answer. Look at the door before you try again.", None, 504
        case _:
            return f"The bank refused: {words_for_reason(result.why)}.", None, 409
