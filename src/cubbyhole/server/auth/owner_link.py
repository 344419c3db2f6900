"""The one-time link with which an owner signs in: kept as a hash, good once and for a day, printed at the first start.

Whoever can run commands on the server is its owner anyway, so `cubbyhole owner-link` is also the way back in.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, update

from cubbyhole.server.auth import accounts
from cubbyhole.server.auth.accounts import OWNER, Account
from cubbyhole.server.auth.roles import Role
from cubbyhole.server.auth.secret import new_secret, secret_hash
from cubbyhole.server.persistence.tables import owner_links
from cubbyhole.server.persistence.unit import UnitOfWork

VALID_MS = 24 * 3_600_000
_PURPOSE = "owner-link"


class LinkSpent(Exception):
    """The link was used, has expired or never existed; the message is for the person who opened it."""

    def __init__(self) -> None:
        super().__init__(
            "This link was used already or has expired. Run `cubbyhole owner-link` on the server for a new one."
        )


def first_link(work: UnitOfWork) -> str | None:
    """A new token for ``/owner/<token>`` where nobody is owner yet; None where somebody is."""
    return None if accounts.has_owner(work.connection) else make(work)


def make(work: UnitOfWork, actor: str = "server") -> str:
    """A fresh token for ``/owner/<token>``; earlier ones end."""
    work.connection.execute(delete(owner_links))
    token = new_secret()
    work.connection.execute(
        insert(owner_links).values(token_hash=secret_hash(_PURPOSE, token), expires_ms=work.now_ms + VALID_MS)
    )
    work.audit(actor, "owner.link", OWNER)
    return token


def is_good(connection: Connection, token: str, now_ms: int) -> bool:
    """Whether the link would still work; looking does not use it up."""
    query = select(owner_links.c.expires_ms).where(
        owner_links.c.token_hash == secret_hash(_PURPOSE, token), owner_links.c.used_ms.is_(None)
    )
    expires_ms = connection.execute(query).scalar()
    return expires_ms is not None and expires_ms > now_ms


def spend(work: UnitOfWork, token: str) -> Account:
    """Use the link up and return the owner's account, made now where there is none. Raises LinkSpent."""
    spent = work.connection.execute(
        update(owner_links)
        .where(
            owner_links.c.token_hash == secret_hash(_PURPOSE, token), owner_links.c.used_ms.is_(None),
            owner_links.c.expires_ms > work.now_ms,
        )
        .values(used_ms=work.now_ms)
    ).rowcount  # fmt: skip
    if spent != 1:
        raise LinkSpent
    owner = accounts.first_owner(work.connection)
    if owner is None:
        owner = accounts.make(work, OWNER, "Owner", Role.OWNER, f"op:{OWNER}")
    work.audit(f"op:{owner.account}", "owner.link_used", owner.account)
    return owner
