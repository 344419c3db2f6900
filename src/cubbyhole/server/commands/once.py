"""``Idempotency-Key``: a request that a program sends again, because it heard no answer, is carried out once.

The key is written down in the transaction that writes the command, so either both are there or neither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import RowMapping, select
from sqlalchemy.exc import IntegrityError

from cubbyhole.server.persistence.tables import commands
from cubbyhole.server.persistence.unit import UnitOfWork

R = TypeVar("R")
KEY_MOST = 200


class KeyReused(ValueError):
    """The key came with another request before; nothing was done."""

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used for another request. Take a new one.")


@dataclass(frozen=True, slots=True)
class Once:
    """The key as this caller's, and what the request said."""

    key: str
    body: str

    def columns(self) -> dict[str, Any]:
        """For a row of `commands`."""
        return {"once_key": self.key, "once_body": self.body}


def once(actor: str, key: str, *said: object) -> Once:
    """``key`` belongs to whoever sends it; ``said`` is everything that the request asks for."""
    return Once(_hash(actor, key), _hash(*said))


def before(work: UnitOfWork, wanted: Once | None) -> RowMapping | None:
    """The command that this very request made earlier. Raises KeyReused."""
    if wanted is None:
        return None
    row = work.connection.execute(select(commands).where(commands.c.once_key == wanted.key)).mappings().one_or_none()
    if row is not None and row["once_body"] != wanted.body:
        raise KeyReused
    return row


def first_wins(write: Callable[[], R]) -> R:
    """Run ``write``; where the same request was written at the same moment, run it again, which finds that one."""
    try:
        return write()
    except IntegrityError:
        return write()


def _hash(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(repr, parts)).encode()).hexdigest()
