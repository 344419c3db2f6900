"""The buttons of the drawer. Each answers with the drawer again, with what became of it."""

from __future__ import annotations

from collections.abc import Awaitable

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from cubbyhole.server.auth.callers import Operator
from cubbyhole.server.auth.roles import Caller
from cubbyhole.server.banks.pages import BankPages
from cubbyhole.server.banks.wording import hint_for_reason, words_for_reason
from cubbyhole.server.commands.actions import Actions
from cubbyhole.server.commands.live import Result
from cubbyhole.server.commands.standing import NotPossible
from cubbyhole.server.persistence.pool import Overloaded, WorkPool
from cubbyhole.server.persistence.unit import Store
from cubbyhole.ui.words import Words

_KINDS = {"out-of-service": "out_of_service", "in-service": "in_service", "checked": "checked"}
# Problem, success and status for the drawer, in the viewer's language.
Answer = tuple[str | None, str | None, int]


def make_router(store: Store, pool: WorkPool, actions: Actions, pages: BankPages) -> APIRouter:
    """`POST /banks/{bank}/lockers/{number}/{open|end|out-of-service|in-service|checked}`."""
    router = APIRouter(include_in_schema=False)

    async def answer(
        request: Request, caller: Caller, act: str, bank: str, number: str, asked: Awaitable[Result]
    ) -> Response:
        locker = f"{bank}-{number}"
        outcome: Result | NotPossible | Overloaded
        try:
            outcome = await asked
        except (NotPossible, Overloaded) as error:
            outcome = error
        if "hx-request" not in request.headers and request.headers.get("sec-fetch-dest") == "document":
            return RedirectResponse(f"/banks/{bank}?locker={number}", status_code=303)

        def draw() -> Response:
            with store.read() as connection:
                problem, done, status = answer_in(pages.speak(request, connection), outcome, act, locker)
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


def answer_in(speak: Words, outcome: Result | NotPossible | Overloaded, act: str, locker: str) -> Answer:
    """What the drawer says became of an act."""
    if isinstance(outcome, Overloaded):
        return speak.t("refused.overloaded"), None, 503
    if isinstance(outcome, NotPossible):
        key = f"refused.{outcome.word}"
        if speak.known(key) is None:
            return speak.t("refused.other", word=outcome.word), None, 422
        return speak.t(key, locker=locker), None, 422
    match outcome.outcome:
        case "done":
            return None, speak.t(f"done.{act}", locker=locker), 200
        case "requested":
            return None, speak.t("done.requested"), 202
        case "unreachable":
            return speak.t("refused.unreachable"), None, 503
        case "unknown":
            return speak.t("refused.unknown"), None, 504
        case _:
            reason, hint = words_for_reason(outcome.why, speak), hint_for_reason(outcome.why, speak)
            return speak.t("refused.by_bank", reason=reason, hint=hint), None, 409
