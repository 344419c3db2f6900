"""Bearer tokens for programs: ``cbh_<name>_<secret>``, shown once, kept as a hash, with scopes."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from cubbyhole.server.auth.roles import Caller, Scope
from cubbyhole.server.auth.secret import new_secret, secret_hash
from cubbyhole.server.persistence.tables import api_tokens
from cubbyhole.server.persistence.unit import UnitOfWork

TITLE_MOST = 80
_PURPOSE = "api-token"
_TOKEN = re.compile(r"(cbh_[0-9a-f]{8})_([A-Za-z0-9_-]{20,80})")


class TokenError(ValueError):
    """The token cannot be made as asked; the message says why."""


@dataclass(frozen=True, slots=True)
class TokenView:
    """One token as the list shows it; the secret is nowhere."""

    prefix: str
    title: str
    scopes: tuple[str, ...]
    made_ms: int
    revoked_ms: int | None


def parse_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """Scopes by name. Raises TokenError."""
    known = {scope.value: scope for scope in Scope}
    wanted = {name.strip().lower() for name in names if name.strip()}
    if not wanted or wanted - known.keys():
        wrong = ", ".join(sorted(wanted - known.keys())) or "none"
        raise TokenError(f"scopes are {', '.join(known)}; given: {wrong}")
    return frozenset(known[name] for name in wanted)


def create(work: UnitOfWork, title: str, scopes: Iterable[Scope], actor: str) -> str:
    """Make a token and return it; it cannot be read again. Raises TokenError.

    What is done with it is written down under its title, so no two tokens ever have the same.
    """
    title, wanted = " ".join(title.split()), sorted({scope.value for scope in scopes})
    if not 1 <= len(title) <= TITLE_MOST:
        raise TokenError(f"a token's title has 1 to {TITLE_MOST} characters: say which program it is for")
    if not wanted:
        raise TokenError(f"a token needs at least one scope of {', '.join(scope.value for scope in Scope)}")
    connection = work.connection
    if connection.execute(select(api_tokens.c.prefix).where(api_tokens.c.title == title)).scalar() is not None:
        raise TokenError(
            f"there is, or was, a token {title!r}; what it did is recorded under that title, choose another"
        )
    prefix, secret = "cbh_" + secrets.token_hex(4), new_secret()
    connection.execute(
        insert(api_tokens).values(
            prefix=prefix, secret_hash=secret_hash(_PURPOSE, secret), title=title, scopes=" ".join(wanted),
            made_ms=work.now_ms,
        )
    )  # fmt: skip
    work.audit(actor, "token.made", prefix, title=title, scopes=wanted)
    return f"{prefix}_{secret}"


def find(connection: Connection, token: str) -> Caller | None:
    """Whose token this is, if it is one and still good."""
    parts = _TOKEN.fullmatch(token)
    if parts is None:
        return None
    row = connection.execute(select(api_tokens).where(api_tokens.c.prefix == parts[1])).mappings().one_or_none()
    kept = row["secret_hash"] if row is not None else ""
    good = hmac.compare_digest(kept, secret_hash(_PURPOSE, parts[2]))
    if row is None or not good or row["revoked_ms"] is not None:
        return None
    scopes = frozenset(Scope(name) for name in row["scopes"].split())
    return Caller(f"op:token:{row['title']}", row["title"], scopes=scopes)


def revoke(work: UnitOfWork, prefix: str, actor: str) -> bool:
    """End a token at once; False where there is none, or it ended before."""
    ended = work.connection.execute(
        update(api_tokens)
        .where(api_tokens.c.prefix == prefix, api_tokens.c.revoked_ms.is_(None))
        .values(revoked_ms=work.now_ms)
    ).rowcount
    if ended:
        work.audit(actor, "token.revoked", prefix)
    return ended > 0


def list_tokens(connection: Connection) -> list[TokenView]:
    """All tokens, also the ended ones, in the order in which they were made."""
    query = select(api_tokens).order_by(api_tokens.c.made_ms, api_tokens.c.prefix)
    return [
        TokenView(r["prefix"], r["title"], tuple(r["scopes"].split()), r["made_ms"], r["revoked_ms"])
        for r in connection.execute(query).mappings()
    ]
