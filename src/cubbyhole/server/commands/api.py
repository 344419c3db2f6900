"""Acting on lockers by program. Every act needs a reason, which goes into the record."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Response
from pydantic import BaseModel, Field

from cubbyhole.server.auth.callers import Assigner, Operator
from cubbyhole.server.auth.roles import Caller
from cubbyhole.server.banks.wording import words_for_reason
from cubbyhole.server.commands.actions import Actions
from cubbyhole.server.commands.live import Result
from cubbyhole.server.commands.once import KEY_MOST, Once, once
from cubbyhole.server.web.problems import Problem

LockerId = Annotated[str, Path(description="Like A-07.", max_length=32)]


Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", max_length=KEY_MOST, description="Sent again with it, the request is done once."),
]


class Because(BaseModel):
    """Why it is done: a word for the record (``maintenance``, ``forgot_badge`` ...) and a note in your own words."""

    reason: str = Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")
    note: str | None = Field(default=None, max_length=300)


class Ending(Because):
    """``assignment`` makes sure that it is the one that was meant."""

    assignment: str | None = None


class Assigning(Because):
    person: str = Field(max_length=24)
    mode: Literal["hours", "day", "term", "permanent"] | None = None
    until: int | None = Field(default=None, description="Ms since the Unix epoch; null: as the rule says.")


class CommandView(BaseModel):
    """``outcome``: done; requested (the bank has not answered yet); unknown (it may have been done)."""

    command: str
    outcome: str
    why: str | None


def make_router(actions: Actions) -> APIRouter:
    """The addresses under /api/v1/lockers that act."""
    router = APIRouter(prefix="/api/v1/lockers", tags=["commands"])

    @router.post("/{locker}/open")
    async def open_locker(
        caller: Operator, locker: LockerId, body: Because, response: Response, key: Key = None
    ) -> CommandView:
        """Open the door now or never."""
        return _answer(
            await actions.open(
                *_split(locker), caller.actor, body.reason, body.note, wanted=_once(caller, key, locker, "open", body)
            ),
            response,
        )

    @router.post("/{locker}/release")
    async def release(
        caller: Operator, locker: LockerId, body: Ending, response: Response, key: Key = None
    ) -> CommandView:
        """End the assignment."""
        return _answer(
            await actions.end(
                *_split(locker),
                caller.actor,
                body.reason,
                body.note,
                body.assignment,
                _once(caller, key, locker, "release", body),
            ),
            response,
        )

    @router.post("/{locker}/assign")
    async def assign(
        caller: Assigner, locker: LockerId, body: Assigning, response: Response, key: Key = None
    ) -> CommandView:
        """Give a free locker to somebody."""
        result = await actions.assign(
            *_split(locker),
            caller.actor,
            body.reason,
            body.note,
            body.person,
            body.mode,
            body.until,
            _once(caller, key, locker, "assign", body),
        )
        return _answer(result, response)

    @router.post("/{locker}/out-of-service")
    async def out_of_service(
        caller: Operator, locker: LockerId, body: Because, response: Response, key: Key = None
    ) -> CommandView:
        """Take the locker out of service."""
        return _answer(
            await actions.change(
                "out_of_service",
                *_split(locker),
                caller.actor,
                body.reason,
                body.note,
                wanted=_once(caller, key, locker, "out_of_service", body),
            ),
            response,
        )

    @router.post("/{locker}/in-service")
    async def in_service(
        caller: Operator, locker: LockerId, body: Because, response: Response, key: Key = None
    ) -> CommandView:
        """Put the locker into service again."""
        return _answer(
            await actions.change(
                "in_service",
                *_split(locker),
                caller.actor,
                body.reason,
                body.note,
                wanted=_once(caller, key, locker, "in_service", body),
            ),
            response,
        )

    @router.post("/{locker}/checked")
    async def checked(
        caller: Operator, locker: LockerId, body: Because, response: Response, key: Key = None
    ) -> CommandView:
        """Somebody has looked inside; the locker can be offered again."""
        return _answer(
            await actions.change(
                "checked",
                *_split(locker),
                caller.actor,
                body.reason,
                body.note,
                wanted=_once(caller, key, locker, "checked", body),
            ),
            response,
        )

    return router


def _once(caller: Caller, key: str | None, locker: str, act: str, body: BaseModel) -> Once | None:
    return once(caller.actor, key, locker, act, body.model_dump_json()) if key else None


def _split(locker: str) -> tuple[str, str]:
    bank, dash, number = locker.rpartition("-")
    if not dash:
        raise Problem(404, "unknown_locker", f"There is no locker {locker[:40]}; write bank and number, like A-07.")
    return bank, number


def _answer(result: Result, response: Response) -> CommandView:
    match result.outcome:
        case "refused":
            raise Problem(409, result.why or "refused", f"The bank refused: {words_for_reason(result.why)}.")
        case "unreachable":
            raise Problem(
                503, "bank_unreachable", "The bank cannot be reached. Nothing was opened and nothing will be later."
            )
        case "requested" | "unknown":
            response.status_code = 202
        case _:
            pass
    return CommandView(command=result.command, outcome=result.outcome, why=result.why)
