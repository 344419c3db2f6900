"""Accounts: who signs in. Most are people of the directory, made when they first come; a password is the fallback.

An account of a person is named by their pseudonym, which journals may know; others by an e-mail address or a name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, or_, select, update

from cubbyhole.server.auth.roles import Role
from cubbyhole.server.persistence.tables import accounts, people
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
    person: str | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """Whom a code that is sent to an address signs in: an account, or a person who has none yet."""

    account: Account | None
    person: str | None
    name: str


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
    row = connection.execute(_select().where(accounts.c.account == account)).mappings().one_or_none()
    return _account(row) if row is not None else None


def find_who_may_come(connection: Connection, account: str) -> Account | None:
    """As `find`; nobody who has left."""
    query = _select().where(accounts.c.account == account, or_(accounts.c.person.is_(None), people.c.active))
    row = connection.execute(query).mappings().one_or_none()
    return _account(row) if row is not None else None


def named(connection: Connection, text: str) -> str:
    """The account that somebody means who types its name, or the e-mail address of its person."""
    query = select(accounts.c.account).join(people, people.c.person == accounts.c.person).where(people.c.email == text)
    return connection.execute(query).scalar() or text


def of_person(connection: Connection, person: str) -> Account | None:
    row = connection.execute(_select().where(accounts.c.person == person)).mappings().one_or_none()
    return _account(row) if row is not None else None


def reached_at(connection: Connection, address: str) -> Reached | None:
    """Who has this e-mail address and may come; None for nobody.

    A person's role was given to whoever had the mail at one address. Where the directory has another one by now, a code
    does not lead to that role: else whoever edits the directory could send themselves an owner's code. An owner gives
    the role again (`appointments.appoint`).
    """
    person = connection.execute(select(people).where(people.c.email == address)).mappings().one_or_none()
    if person is not None:
        if not person["active"]:
            return None
        query = _select().where(accounts.c.person == person["person"])
        row = connection.execute(query).mappings().one_or_none()
        if row is not None:
            rests = row["role"] != Role.PERSON and row["role_address"] != address
            return None if rests else Reached(_account(row), person["person"], person["name"])
    named = _select().where(accounts.c.account == address, accounts.c.person.is_(None))
    row = connection.execute(named).mappings().one_or_none()
    if row is not None:
        return Reached(_account(row), *((person["person"], person["name"]) if person else (None, row["known_as"])))
    return Reached(None, person["person"], person["name"]) if person is not None else None


def come_in(work: UnitOfWork, reached: Reached, address: str) -> Account:
    """The account of whoever was reached at ``address``, made or put together with the person where that is new."""
    found = reached.account
    if found is None:
        assert reached.person is not None
        return make(work, reached.person, reached.name, Role.PERSON, f"op:{reached.person}", person=reached.person)
    if found.person is None and reached.person is not None:
        values = {"person": reached.person, "role_address": address}
        work.connection.execute(update(accounts).where(accounts.c.account == found.account).values(**values))
        work.audit(f"op:{found.account}", "account.linked", found.account, person=reached.person)
        return Account(found.account, reached.name, found.role, reached.person)
    return found


def _select() -> Any:
    known_as = func.coalesce(people.c.name, accounts.c.name).label("known_as")
    return select(accounts, known_as).outerjoin(people, people.c.person == accounts.c.person)


def _account(row: RowMapping) -> Account:
    return Account(row["account"], row["known_as"], Role(row["role"]), row["person"])


def first_owner(connection: Connection) -> Account | None:
    """The oldest owner's account."""
    query = select(accounts.c.account).where(accounts.c.role == Role.OWNER.value).order_by(accounts.c.made_ms).limit(1)
    name = connection.execute(query).scalar()
    return find(connection, name) if name is not None else None


def make(
    work: UnitOfWork, account: str, name: str, role: Role, actor: str, *, person: str | None = None
) -> Account:
    """Make an account without a password. Raises AccountError."""
    account, name = check_account_id(account), " ".join(name.split())[:200]
    if find(work.connection, account) is not None:
        raise AccountError(f"There is an account {account} already.")
    work.connection.execute(
        insert(accounts).values(
            account=account, name=name or account, role=role.value, password_hash=NO_PASSWORD, made_ms=work.now_ms,
            person=person,
        )
    )  # fmt: skip
    work.audit(actor, "account.made", account, role=role.value)
    return Account(account, name or account, role, person)


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
