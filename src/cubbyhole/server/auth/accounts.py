"""Accounts: who signs in. Most have no password: they come by a link; a password is the fallback."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from cubbyhole.server.auth.roles import Role
from cubbyhole.server.persistence.tables import accounts
from cubbyhole.server.persistence.unit import UnitOfWork

OWNER = "owner"  # the account that the first link makes
NO_PASSWORD = ""
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,79}")


class AccountError(ValueError):
    """The account cannot be as asked; the message is for the person."""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who can sign in."""

    account: str
    name: str
    role: Role


def check_account_id(text: str) -> str:
    """The id as it is kept. Raises AccountError."""
    account = text.strip().lower()
    if not _ACCOUNT.fullmatch(account):
        raise AccountError("An account's name has 2 to 80 letters, digits or . _ @ + -, like an e-mail address.")
    return account


def has_owner(connection: Connection) -> bool:
    query = select(func.count()).select_from(accounts).where(accounts.c.role == Role.OWNER.value)
    return connection.execute(query).scalar_one() > 0


def find(connection: Connection, account: str) -> Account | None:
    columns = (accounts.c.account, accounts.c.name, accounts.c.role)
    row = connection.execute(select(*columns).where(accounts.c.account == account)).one_or_none()
    return Account(row[0], row[1], Role(row[2])) if row is not None else None


def first_owner(connection: Connection) -> Account | None:
    """The oldest owner's account."""
    query = select(accounts.c.account).where(accounts.c.role == Role.OWNER.value).order_by(accounts.c.made_ms).limit(1)
    name = connection.execute(query).scalar()
    return find(connection, name) if name is not None else None


def make(work: UnitOfWork, account: str, name: str, role: Role, actor: str) -> Account:
    """Make an account without a password. Raises AccountError."""
    account, name = check_account_id(account), " ".join(name.split())[:200]
    if find(work.connection, account) is not None:
        raise AccountError(f"There is an account {account} already.")
    work.connection.execute(
        insert(accounts).values(
            account=account, name=name or account, role=role.value, password_hash=NO_PASSWORD, made_ms=work.now_ms
        )
    )
    work.audit(actor, "account.made", account, role=role.value)
    return Account(account, name or account, role)


def set_password_hash(work: UnitOfWork, account: str, password_hash: str, actor: str) -> None:
    """Keep what `passwords.Passwords.hash` made of a new password."""
    work.connection.execute(update(accounts).where(accounts.c.account == account).values(password_hash=password_hash))
    work.audit(actor, "account.password", account)


def password_hash(connection: Connection, account: str) -> str:
    """The hash to check a password against; `NO_PASSWORD` where there is no such account or it has none."""
    query = select(accounts.c.password_hash).where(accounts.c.account == account)
    return str(connection.execute(query).scalar() or NO_PASSWORD)


def any_password(connection: Connection) -> bool:
    """Whether anybody could sign in with a password, so that the form is worth showing."""
    query = select(func.count()).select_from(accounts).where(accounts.c.password_hash != NO_PASSWORD)
    return connection.execute(query).scalar_one() > 0
