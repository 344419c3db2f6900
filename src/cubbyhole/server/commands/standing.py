"""Standing commands: persisted with an ordinal per bank, pulled by the bank in order, settled by its journal."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, insert, select, update

from cubbyhole.protocol import messages as m
from cubbyhole.server.persistence.tables import banks, commands
from cubbyhole.server.persistence.unit import DIRECTORY, UnitOfWork, counter_value

VALID_MS = 24 * 3_600_000
KINDS = ("assign", "end", "out_of_service", "in_service", "checked")
MAX_REASON = 300


class NotPossible(ValueError):
    """The command makes no sense as asked; the message is for the person who asked. ``word`` names the reason."""

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(detail)
        self.word = word


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody wants changed at one locker. ``assignment`` names the assignment that it is about."""

    bank: str
    locker: str
    kind: str
    actor: str
    reason: str
    assignment: str | None = None
    person: str | None = None
    mode: str | None = None
    ends_ms: int | None = None
    valid_ms: int = VALID_MS


def new_command_id() -> str:
    return "c_" + secrets.token_hex(8)


def check_reason(reason: str) -> str:
    """The reason as it is kept. Raises NotPossible where there is none."""
    text = " ".join(reason.split())
    if not text:
        raise NotPossible(
            "reason_missing", "Say why: the reason is kept with the record and shown to the person concerned."
        )
    if len(text) > MAX_REASON:
        raise NotPossible("reason_long", f"The reason has {len(text)} characters; {MAX_REASON} is the most.")
    return text


def issue(work: UnitOfWork, order: Order) -> str:
    """Write the command down for its bank and return its id. Raises NotPossible."""
    if order.kind not in KINDS:
        raise NotPossible("unknown_kind", f"{order.kind!r} is none of {', '.join(KINDS)}")
    reason = check_reason(order.reason)
    connection = work.connection
    ordinal = connection.execute(
        update(banks)
        .where(banks.c.bank == order.bank)
        .values(standing_last=banks.c.standing_last + 1)
        .returning(banks.c.standing_last)
    ).scalar_one_or_none()
    if ordinal is None:
        raise NotPossible("unknown_bank", f"There is no bank {order.bank}.")
    name = new_command_id()
    not_after_ms = work.now_ms + order.valid_ms
    message = m.StandingCommand(
        ordinal=ordinal, command=name, kind=order.kind, locker=order.locker, actor=order.actor, reason=reason,
        not_after_ms=not_after_ms, needs_directory=_needed(connection, order), assignment=order.assignment,
        person=order.person, mode=order.mode, ends_ms=order.ends_ms,
    )  # fmt: skip
    connection.execute(
        insert(commands).values(
            command=name, bank=order.bank, ordinal=ordinal, kind=order.kind, locker=order.locker,
            payload=msgspec.json.encode(message), state="waiting", actor=order.actor, reason=reason,
            made_ms=work.now_ms, not_after_ms=not_after_ms,
        )
    )  # fmt: skip
    work.audit(order.actor, f"command.{order.kind}", f"{order.bank}-{order.locker}", command=name, reason=reason)
    return name


def _needed(connection: Connection, order: Order) -> int:
    # Only an assignment looks at a person; the rest must not wait for a directory that may take long to arrive.
    return counter_value(connection, DIRECTORY) if order.kind == "assign" else 0


def pull(connection: Connection, bank: str, after: int) -> m.StandingReply:
    """The bank's commands behind ordinal ``after``, oldest first."""
    query = (
        select(commands.c.payload)
        .where(commands.c.bank == bank, commands.c.ordinal > after)
        .order_by(commands.c.ordinal)
        .limit(m.MAX_STANDING)
    )
    found = [msgspec.json.decode(raw, type=m.StandingCommand) for raw in connection.execute(query).scalars()]
    return m.StandingReply(commands=found)
