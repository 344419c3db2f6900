"""Who was told what already: so that nobody is told twice, and nobody too often."""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cubbyhole.server.persistence.tables import told
from cubbyhole.server.persistence.unit import UnitOfWork

KEEP_MS: Final = 400 * 86_400_000  # longer than anything that ends soon after being told so
ABOUT_MOST: Final = 60


def first_time(work: UnitOfWork, what: str, about: str) -> bool:
    """Write down that it is told now; False where it was before, by whichever process."""
    row = {"what": what, "about": about[:ABOUT_MOST], "at_ms": work.now_ms}
    insert = postgresql.insert if work.is_postgresql else sqlite.insert
    made = insert(told).values(**row).on_conflict_do_nothing().returning(told.c.what)
    return work.connection.execute(made).first() is not None


def last_ms(work: UnitOfWork, what: str) -> int:
    """When it was last told; 0: never. Nobody else finds out, or tells it, until this transaction ends."""
    insert = postgresql.insert if work.is_postgresql else sqlite.insert
    row = insert(told).values(what=what, about="", at_ms=0).on_conflict_do_nothing()
    work.connection.execute(row)
    mine = (told.c.what == what, told.c.about == "")
    work.connection.execute(update(told).where(*mine).values(at_ms=told.c.at_ms))  # lock it, then look
    return int(work.connection.execute(select(told.c.at_ms).where(*mine)).scalar_one())


def tell_now(work: UnitOfWork, what: str) -> None:
    """It is told now (after `last_ms`)."""
    work.connection.execute(update(told).where(told.c.what == what, told.c.about == "").values(at_ms=work.now_ms))


def forget_old(work: UnitOfWork) -> None:
    work.connection.execute(delete(told).where(told.c.at_ms < work.now_ms - KEEP_MS, told.c.about != ""))
