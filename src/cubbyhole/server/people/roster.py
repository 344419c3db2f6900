"""People as the list shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from sqlalchemy import Connection, func, or_, select

from cubbyhole.server.banks.queries import held_by
from cubbyhole.server.directory.rows import groups_of
from cubbyhole.server.persistence.tables import credentials, people
from cubbyhole.server.web.initials import initials_of

SHOWN_MOST = 200


class PersonView(TypedDict):
    """``badges`` is how many; numbers are shown nowhere."""

    person: str
    name: str
    initials: str
    email: str | None
    groups: list[str]
    badges: int
    lockers: list[str]
    active: bool


def roster(
    connection: Connection, query: str, banks: Sequence[str] | None = None
) -> tuple[list[PersonView], int]:
    """The first `SHOWN_MOST` people whose name or e-mail has ``query`` in it, by name, and how many there are. Their
    lockers only at ``banks``, where these are given."""
    wanted = select(people)
    text = query.strip()
    if text:
        wanted = wanted.where(
            or_(people.c.name.icontains(text, autoescape=True), people.c.email.icontains(text, autoescape=True))
        )
    total = connection.execute(select(func.count()).select_from(wanted.subquery())).scalar_one()
    rows = connection.execute(wanted.order_by(people.c.name, people.c.person).limit(SHOWN_MOST)).mappings().all()
    names = [row["person"] for row in rows]
    groups, lockers = groups_of(connection, names), held_by(connection, names)
    counted = select(credentials.c.person, func.count()).where(
        credentials.c.person.in_(names), credentials.c.removed_ms.is_(None)
    )
    badges: dict[str, int] = dict(connection.execute(counted.group_by(credentials.c.person)).all())
    return [
        PersonView(
            person=row["person"], name=row["name"], initials=initials_of(row["name"]), email=row["email"],
            groups=sorted(groups.get(row["person"], ())), badges=badges.get(row["person"], 0),
            lockers=[
                locker for locker in lockers.get(row["person"], [])
                if banks is None or locker.rpartition("-")[0] in banks
            ], active=row["active"],
        )
        for row in rows
    ], total  # fmt: skip
