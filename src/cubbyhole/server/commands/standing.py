"""Standing commands: persisted with an ordinal per bank, pulled by the bank in order, settled by its journal."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select, update

from cubbyhole.protocol import messages as m
from cubbyhole.protocol.digest import commitment
from cubbyhole.server.commands.once import Once
from cubbyhole.server.persistence.tables import banks, commands
from cubbyhole.server.persistence.unit import DIRECTORY, UnitOfWork, counter_value

VALID_MS = 24 * 3_600_000
NOTE_MOST = 300
_WORD = re.compile(r"[a-z][a-z0-9_]{1,39}")
CHANGES = ("end", "renew", "share", "unshare", "hand_over", "move", "retime")  # of the assignment that they name
KINDS = ("assign", *CHANGES, "out_of_service", "in_service", "checked")
_LOOK_AT_PEOPLE = ("assign", "share", "hand_over")


class NotPossible(ValueError):
    """The command makes no sense as asked; the message is for the person who asked. ``word`` names the reason."""

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(detail)
        self.word = word


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody wants changed at one locker. ``assignment`` names the assignment that it is about; for the rest see
    `domain.standing.Standing`."""

    bank: str
    locker: str
    kind: str
    actor: str
    reason: str
    note: str | None = None
    assignment: str | None = None
    person: str | None = None
    mode: str | None = None
    ends_ms: int | None = None
    valid_ms: int = VALID_MS
    candidates: tuple[str, ...] = ()
    self_service: bool = False
    hold: bool = False
    group: str | None = None
    share: str | None = None
    once: bool = False


def new_command_id() -> str:
    return "c_" + secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Why:
    """Why something is done: a fixed word, and a note in people's words, which stays on the server. The journal has
    the note's salted commitment, so that it can be proved and can be erased."""

    reason: str
    note: str | None
    salt: bytes | None
    commitment: str | None

    def columns(self) -> dict[str, Any]:
        """For a row of `commands`."""
        return {
            "reason": self.reason, "note": self.note, "note_salt": self.salt, "note_commitment": self.commitment
        }  # fmt: skip


def because(reason: str, note: str | None = None) -> Why:
    """Check what somebody gave as the reason. Raises NotPossible where there is none."""
    word, text = reason.strip(), " ".join((note or "").split())
    if not _WORD.fullmatch(word):
        raise NotPossible(
            "reason_missing",
            "Say why, in one word like maintenance or forgot_badge; the reason is shown to the person concerned.",
        )
    if len(text) > NOTE_MOST:
        raise NotPossible("note_long", f"The note has {len(text)} characters; {NOTE_MOST} is the most.")
    if not text:
        return Why(word, None, None, None)
    salt = secrets.token_bytes(16)
    return Why(word, text, salt, commitment(salt, text))


def issue(work: UnitOfWork, order: Order, wanted: Once | None = None) -> str:
    """Write the command down for its bank and return its id. Raises NotPossible."""
    if order.kind not in KINDS:
        raise NotPossible("unknown_kind", f"{order.kind!r} is none of {', '.join(KINDS)}")
    if order.kind in CHANGES and order.assignment is None:
        raise NotPossible("not_assigned", f"Say which assignment of {order.bank}-{order.locker} is meant.")
    if len(order.candidates) > m.MAX_CANDIDATES:
        raise NotPossible("too_many", f"At most {m.MAX_CANDIDATES} lockers can be named to choose from.")
    why = because(order.reason, order.note)
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
        ordinal=ordinal, command=name, kind=order.kind, locker=order.locker, actor=order.actor, reason=why.reason,
        note=why.commitment,
        not_after_ms=not_after_ms, needs_directory=_needed(connection, order), assignment=order.assignment,
        person=order.person, mode=order.mode, ends_ms=order.ends_ms, candidates=list(order.candidates),
        self_service=order.self_service, hold=order.hold, group=order.group, share=order.share, once=order.once,
    )  # fmt: skip
    connection.execute(
        insert(commands).values(
            command=name, bank=order.bank, ordinal=ordinal, kind=order.kind, locker=order.locker,
            payload=msgspec.json.encode(message), state="waiting", actor=order.actor, **why.columns(),
            **(wanted.columns() if wanted is not None else {}), made_ms=work.now_ms, not_after_ms=not_after_ms,
        )
    )  # fmt: skip
    work.audit(order.actor, f"command.{order.kind}", f"{order.bank}-{order.locker}", command=name, reason=why.reason)
    return name


def _needed(connection: Connection, order: Order) -> int:
    # What does not look at a person must not wait for a directory that may take long to arrive.
    return counter_value(connection, DIRECTORY) if order.kind in _LOOK_AT_PEOPLE else 0


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
