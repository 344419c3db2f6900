"""Sessions live on the server, so that they can be listed and ended there. The browser's cookie has the secret."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select, update

from cubbyhole.server.auth.accounts import Account
from cubbyhole.server.auth.device import UNKNOWN, Device
from cubbyhole.server.auth.places import places_of
from cubbyhole.server.auth.roles import PLACED, Caller, Role
from cubbyhole.server.auth.secret import new_secret, secret_hash
from cubbyhole.server.persistence.tables import accounts, people, sessions
from cubbyhole.server.persistence.unit import UnitOfWork

FRESH_MS = 10 * 60_000  # so long after showing who one is, one may change how one signs in
IDLE_MS = 3 * 24 * 3_600_000
ABSOLUTE_MS = 14 * 24 * 3_600_000
TOUCH_EVERY_MS = 60_000
SESSIONS_MOST = 50  # per account; one more ends the one that was used longest ago
_PURPOSE = "session"
_ID_CHARACTERS = 16  # of the hash: enough to name a session, worth nothing as a secret


class Way(StrEnum):
    """How somebody showed who they are."""

    LINK = "link"
    CODE = "code"
    PASSKEY = "passkey"
    PASSWORD = "password"


@dataclass(frozen=True, slots=True)
class SessionView:
    """One session as the list shows it."""

    session: str
    account: str
    made_ms: int
    seen_ms: int
    expires_ms: int
    way: str
    device: str
    network: str


@dataclass(frozen=True, slots=True)
class Found:
    """Who a cookie stands for; ``touch``: it is time to write down that the session is in use."""

    caller: Caller
    touch: bool


def begin(work: UnitOfWork, account: Account, way: Way, device: Device = UNKNOWN) -> str:
    """Sign in: the secret for the cookie. A session that the browser had before ends (`end`)."""
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
            expires_ms=work.now_ms + ABSOLUTE_MS, way=way.value, proved_ms=work.now_ms, device=device.name,
            network=device.network,
        )
    )  # fmt: skip
    work.audit(f"op:{account.account}", "session.begun", account.account, way=way.value)
    return token


def find(connection: Connection, token: str, now_ms: int) -> Found | None:
    """Who the cookie stands for, if its session goes on and they have not left."""
    hashed = secret_hash(_PURPOSE, token)
    query = (
        select(
            accounts.c.account, accounts.c.name, accounts.c.role, accounts.c.person, accounts.c.language,
            people.c.name.label("known_as"), people.c.language.label("speaks"), sessions.c.seen_ms,
            sessions.c.proved_ms,
        )
        .join(sessions, sessions.c.account == accounts.c.account)
        .outerjoin(people, people.c.person == accounts.c.person)
        .where(sessions.c.token_hash == hashed, ~_is_over(now_ms))
        .where(or_(accounts.c.person.is_(None), people.c.active))
    )  # fmt: skip
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    role = Role(row.role)
    caller = Caller(
        f"op:{row.account}", row.known_as or row.name, role=role, account=row.account,
        session=hashed[:_ID_CHARACTERS], person=row.person,
        language=row.language if row.person is None else row.speaks,
        places=places_of(connection, row.account) if role in PLACED else None, proved_ms=row.proved_ms,
    )  # fmt: skip
    return Found(caller, touch=now_ms - row.seen_ms >= TOUCH_EVERY_MS)


def is_fresh(caller: Caller, now_ms: int) -> bool:
    """Whether they showed who they are just now."""
    return 0 <= now_ms - caller.proved_ms < FRESH_MS


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
        SessionView(
            r["token_hash"][:_ID_CHARACTERS], r["account"], r["made_ms"], r["seen_ms"], r["expires_ms"], r["way"],
            r["device"], r["network"],
        )
        for r in connection.execute(query).mappings()
    ]  # fmt: skip


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


def revoke_all(work: UnitOfWork, account: str, actor: str, but: str | None = None) -> int:
    """End every session of an account, ``but`` the one of this id; how many there were."""
    ending = delete(sessions).where(sessions.c.account == account)
    if but is not None:
        ending = ending.where(~sessions.c.token_hash.startswith(but, autoescape=True))
    gone = work.connection.execute(ending).rowcount
    work.audit(actor, "session.all_revoked", account, sessions=gone)
    return gone


def _is_over(now_ms: int) -> ColumnElement[bool]:
    return (sessions.c.expires_ms <= now_ms) | (sessions.c.seen_ms <= now_ms - IDLE_MS)
