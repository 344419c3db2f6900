"""Accounts and sessions. Sessions live on the server, so that they can be ended there."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, delete, func, insert, select, update

from cubbyhole.server.persistence.tables import accounts, owner_links, sign_in_waits, sessions
from cubbyhole.server.persistence.unit import UnitOfWork

SESSION_MS = 14 * 24 * 3_600_000
LINK_MS = 24 * 3_600_000
MIN_PASSWORD = 10
MAX_PASSWORD = 200
FREE_TRIES = 3
LONGEST_WAIT_MS = 15 * 60_000
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,79}")

# OWASP's second choice of parameters: 19 MiB, two passes.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_DECOY = _hasher.hash(secrets.token_hex(16))


class SignInRefused(Exception):
    """No session was made; the message is for the person. ``wait_s`` > 0: there were too many tries."""

    def __init__(self, detail: str, wait_s: int = 0) -> None:
        super().__init__(detail)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who is signed in."""

    account: str
    name: str
    role: str


def has_owner(connection: Connection) -> bool:
    return connection.execute(select(func.count()).where(accounts.c.role == "owner")).scalar_one() > 0


def new_owner_link(work: UnitOfWork) -> str:
    """A fresh one-time token with which an owner's account is made; earlier links are void."""
    work.connection.execute(delete(owner_links))
    token = secrets.token_urlsafe(24)
    work.connection.execute(insert(owner_links).values(token_hash=_hash(token), expires_ms=work.now_ms + LINK_MS))
    work.audit("server", "owner.link", "owner")
    return token


def link_is_good(connection: Connection, token: str, now_ms: int) -> bool:
    query = select(owner_links.c.expires_ms).where(owner_links.c.token_hash == _hash(token), owner_links.c.used_ms.is_(None))
    expires_ms = connection.execute(query).scalar()
    return expires_ms is not None and expires_ms > now_ms


def make_owner(work: UnitOfWork, token: str, account: str, name: str, password: str) -> Account:
    """Spend the link: make the owner's account, or give an owner who is locked out a new password.

    Raises SignInRefused.
    """
    account, name = account.strip().lower(), " ".join(name.split())
    if not _ACCOUNT.fullmatch(account):
        raise SignInRefused("Choose a name of at least 2 letters or digits, or an e-mail address, to sign in with.")
    if len(password) < MIN_PASSWORD or len(password) > MAX_PASSWORD:
        raise SignInRefused(f"The password needs {MIN_PASSWORD} to {MAX_PASSWORD} characters. Several words do well.")
    spent = work.connection.execute(
        update(owner_links)
        .where(
            owner_links.c.token_hash == _hash(token), owner_links.c.used_ms.is_(None), owner_links.c.expires_ms > work.now_ms
        )
        .values(used_ms=work.now_ms)
    ).rowcount  # fmt: skip
    if spent != 1:
        raise SignInRefused("This link was used already or has expired. Run `cubbyhole owner-link` on the server for a new one.")
    hashed = _hasher.hash(password)
    old = work.connection.execute(select(accounts).where(accounts.c.account == account)).mappings().one_or_none()
    if old is None:
        work.connection.execute(
            insert(accounts).values(
                account=account, name=name or account, role="owner", password_hash=hashed, made_ms=work.now_ms
            )
        )
    else:
        work.connection.execute(update(accounts).where(accounts.c.account == account).values(password_hash=hashed, role="owner"))
        work.connection.execute(delete(sessions).where(sessions.c.account == account))
    work.audit(f"op:{account}", "owner.made", account)
    return Account(account, name or account, "owner")


def check_password(connection: Connection, account: str, password: str, now_ms: int) -> Account | None:
    """The account if the password is right. Takes as long for one that does not exist. Raises SignInRefused while it
    must wait; call `note_failure` for None, outside this transaction."""
    account = account.strip().lower()[:80]
    wait_ms = _wait_ms(connection, account, now_ms)
    if wait_ms > 0:
        seconds = -(-wait_ms // 1000)
        raise SignInRefused(f"Too many tries. Wait {seconds} seconds, then try again.", seconds)
    row = connection.execute(select(accounts).where(accounts.c.account == account)).mappings().one_or_none()
    try:
        _hasher.verify(row["password_hash"] if row is not None else _DECOY, password[:MAX_PASSWORD])
    except (VerificationError, InvalidHashError):
        return None
    return Account(row["account"], row["name"], row["role"]) if row is not None else None


def note_failure(work: UnitOfWork, account: str) -> None:
    """Count a wrong password: after `FREE_TRIES` each one doubles the wait."""
    account = account.strip().lower()[:80]
    changed = work.connection.execute(
        update(sign_in_waits)
        .where(sign_in_waits.c.key == account)
        .values(failures=sign_in_waits.c.failures + 1, last_ms=work.now_ms)
    ).rowcount
    if changed == 0:
        work.connection.execute(insert(sign_in_waits).values(key=account, failures=1, last_ms=work.now_ms))
    # Names that nobody has are counted like others; old counts go, so that the table stays small.
    work.connection.execute(delete(sign_in_waits).where(sign_in_waits.c.last_ms < work.now_ms - 24 * 3_600_000))
    work.audit(f"op:{account}", "sign_in.failed", account)


def begin_session(work: UnitOfWork, account: Account) -> str:
    """Sign in: the secret for the cookie. The table has only its hash."""
    work.connection.execute(delete(sign_in_waits).where(sign_in_waits.c.key == account.account))
    work.connection.execute(delete(sessions).where(sessions.c.expires_ms < work.now_ms))
    token = secrets.token_urlsafe(32)
    work.connection.execute(
        insert(sessions).values(
            token_hash=_hash(token), account=account.account, made_ms=work.now_ms, seen_ms=work.now_ms,
            expires_ms=work.now_ms + SESSION_MS,
        )
    )  # fmt: skip
    work.audit(f"op:{account.account}", "sign_in", account.account)
    return token


def session_account(connection: Connection, token: str, now_ms: int) -> Account | None:
    """Who a cookie stands for, if its session goes on."""
    query = (
        select(accounts.c.account, accounts.c.name, accounts.c.role)
        .join(sessions, sessions.c.account == accounts.c.account)
        .where(sessions.c.token_hash == _hash(token), sessions.c.expires_ms > now_ms)
    )
    row = connection.execute(query).one_or_none()
    return Account(*row) if row is not None else None


def end_session(work: UnitOfWork, token: str) -> None:
    work.connection.execute(delete(sessions).where(sessions.c.token_hash == _hash(token)))


def _wait_ms(connection: Connection, key: str, now_ms: int) -> int:
    row = connection.execute(select(sign_in_waits).where(sign_in_waits.c.key == key)).mappings().one_or_none()
    if row is None or row["failures"] < FREE_TRIES:
        return 0
    wait_ms = min(LONGEST_WAIT_MS, 1000 << min(20, row["failures"] - FREE_TRIES))
    return max(0, int(row["last_ms"]) + wait_ms - now_ms)


def _hash(token: str) -> str:
    # The tokens are random and long: a plain hash cannot be turned back.
    return hashlib.sha256(token.encode()).hexdigest()
