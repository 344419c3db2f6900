"""Whose badges lie on the bench: people of the demo with a number that a simulated reader can send.

Badge numbers are opened for this page only, for an owner who is signed in, and only where a rig is configured.
"""

from __future__ import annotations

from typing import TypedDict

from sqlalchemy import Connection, select

from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence.tables import credentials, lockers, people

BADGES_MOST = 200


class Holder(TypedDict):
    """One badge on the bench: ``badge`` as the reader's line, ``locker`` the one that its owner has, or None."""

    name: str
    badge: str
    locker: str | None


def badges_on_the_bench(connection: Connection, sealing: SealingKey) -> list[Holder]:
    """People with a badge, by name, the first `BADGES_MOST`; each with one badge, the oldest."""
    query = (
        select(people.c.person, people.c.name, credentials.c.credential, credentials.c.sealed)
        .join(credentials, credentials.c.person == people.c.person)
        .where(people.c.active, credentials.c.form == "uid", credentials.c.removed_ms.is_(None), ~credentials.c.blocked)
        .order_by(people.c.name, people.c.person, credentials.c.made_ms, credentials.c.credential)
        .limit(BADGES_MOST * 2)
    )
    have = select(lockers.c.person, lockers.c.bank, lockers.c.number).where(lockers.c.person.is_not(None))
    held: dict[str, str] = {}
    for person, bank, number in connection.execute(have.order_by(lockers.c.bank, lockers.c.number)):
        held.setdefault(person, f"{bank}-{number}")
    found: dict[str, Holder] = {}
    for person, name, credential, sealed in connection.execute(query):
        if person not in found and len(found) < BADGES_MOST:
            canonical = sealing.open(credential, sealed).decode()
            badge = canonical.removeprefix("uid:").upper()
            found[person] = Holder(name=name, badge=badge, locker=held.get(person))
    return list(found.values())
