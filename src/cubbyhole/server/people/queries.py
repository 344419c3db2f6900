"""Somebody's credentials, for whoever blocks or removes one. Numbers stay sealed. The list of people is `roster`."""

from __future__ import annotations

from typing import TypedDict

from sqlalchemy import Connection, select

from cubbyhole.server.persistence.tables import credentials


class CredentialView(TypedDict):
    """One credential by the server's id of it."""

    id: str
    kind: str
    form: str
    blocked: bool
    made: int


def credentials_of(connection: Connection, person: str) -> list[CredentialView]:
    """Somebody's credentials, the oldest first; removed ones are not in it."""
    query = (
        select(credentials)
        .where(credentials.c.person == person, credentials.c.removed_ms.is_(None))
        .order_by(credentials.c.made_ms, credentials.c.credential)
    )
    return [
        CredentialView(id=r["credential"], kind=r["kind"], form=r["form"], blocked=r["blocked"], made=r["made_ms"])
        for r in connection.execute(query).mappings()
    ]
