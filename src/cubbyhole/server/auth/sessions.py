"""Sessions live on the server, so that they can be listed and ended there. The browser's cookie has the secret."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from cubbyhole.server.auth.accounts import Account
from cubbyhole.server.auth.roles import Caller, Role
from cubbyhole.server.auth.secret import new_secret, secret_hash
from cubbyhole.server.persistence.tables import accounts, sessions
from cubbyhole.server.persistence.unit import UnitOfWork

IDLE_MS = 3 * 24 * 3_600_000
ABSOLUTE_MS = 14 * 24 * 3_600_000
TOUCH_EVERY_MS = 60_000
SESSIONS_MOST = 50  # per account; one more ends the one that was used longest ago
_PURPOSE = "session"
_ID_CHARACTERS = 16  # of the hash: enough to name a session, worth nothing as a secret


@dataclass(frozen=True, slots=True)
class SessionView:
    """One session as the list shows it."""

    session: str
    account: str
    made_ms: int
    seen_ms: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Found:
    """Who a cookie stands for; ``touch``: it is time to write down that the session is in use."""

    caller: Caller
    touch: bool


def begin(work: UnitOfWork, account: Account) -> str:
    """Sign in: the secret for the cookie."""
    connection = work.connection
    connection.execute(delete(sessions).where(_is_over(work.now_ms)))
    kept = select(sessions.c.token_hash).where(sessions.c.account == account.account)
    oldest_first = list(connection.execute(kept.order_by(sessions.c.seen_ms)).scalars())
    if len(oldest_first) >= SESSIONS_MOST:
        surplus = oldest_first[: len(oldest_first) - SESSIONS_MOST + 1]
        connection.execute(delete(sessions).where(sessions.c.token_hash.in_(surplus)))
    token = new_secret()
    connection.execute(
        insert(sessions).values(
            token_hash=secret_hash(_PURPOSE, token), account=account.account, made_ms=work.now_ms, seen_ms=work.now_ms,
            expires_ms=work.now_ms + ABSOLUTE_MS,
        )
    )  # fmt: skip
    work.audit(f"op:{account.account}", "session.begun", account.account)
    return token


def find(connection: Connection, token: str, now_ms: int) -> Found | None:
    """Who the cookie stands for, if its session goes on."""
    hashed = secret_hash(_PURPOSE, token)
    query = (
        select(accounts.c.account, accounts.c.name, accounts.c.role, sessions.c.seen_ms)
        .join(sessions, sessions.c.account == accounts.c.account)
        .where(sessions.c.token_hash == hashed, ~_is_over(now_ms))
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    account, name, role, seen_ms = row
    caller = Caller(f"op:{account}", name, role=Role(role), account=account, session=hashed[:_ID_CHARACTERS])
    return Found(caller, touch=now_ms - seen_ms >= TOUCH_EVERY_MS)


def touch(work: UnitOfWork, token: str) -> None:
    """The session is in use: its idle time begins anew."""
    hashed = secret_hash(_PURPOSE, token)
    work.connection.execute(update(sessions).where(sessions.c.token_hash == hashed).values(seen_ms=work.now_ms))


def end(work: UnitOfWork, token: str) -> None:
    """Sign out."""
    hashed = secret_hash(_PURPOSE, token)
    ended = delete(sessions).where(sessions.c.token_hash == hashed).returning(sessions.c.account)
    account = work.connection.execute(ended).scalar_one_or_none()
    if account is not None:
        work.audit(f"op:{account}", "session.ended", account)


def list_sessions(connection: Connection, account: str, now_ms: int) -> list[SessionView]:
    """Sessions that go on, the one used last first."""
    query = select(sessions).where(sessions.c.account == account, ~_is_over(now_ms)).order_by(sessions.c.seen_ms.desc())
    return [
        SessionView(r["token_hash"][:_ID_CHARACTERS], r["account"], r["made_ms"], r["seen_ms"], r["expires_ms"])
        for r in connection.execute(query).mappings()
    ]


def revoke(work: UnitOfWork, account: str, session: str, actor: str) -> bool:
    """End a session by its id; False where the account has none of that id."""
    if len(session) != _ID_CHARACTERS or not session.isalnum():
        return False
    gone = work.connection.execute(
        delete(sessions).where(sessions.c.account == account, sessions.c.token_hash.startswith(session))
    ).rowcount
    if gone:
        work.audit(actor, "session.revoked", account, session=session)
    return gone > 0


def revoke_all(work: UnitOfWork, account: str, actor: str) -> int:
    """End every session of an account; how many there were."""
    gone = work.connection.execute(delete(sessions).where(sessions.c.account == account)).rowcount
    work.audit(actor, "session.all_revoked", account, sessions=gone)
    return gone


def _is_over(now_ms: int) -> ColumnElement[bool]:
    return (sessions.c.expires_ms <= now_ms) | (sessions.c.seen_ms <= now_ms - IDLE_MS)
