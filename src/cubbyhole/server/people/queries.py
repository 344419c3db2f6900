"""People for screens and lists. Badge numbers stay sealed: a list says how many somebody has."""

from __future__ import annotations

from typing import TypedDict

from sqlalchemy import ColumnElement, Connection, RowMapping, func, or_, select

from cubbyhole.server.banks.views import initials_of
from cubbyhole.server.directory.rows import groups_of
from cubbyhole.server.persistence.tables import credentials, lockers, people

PEOPLE_PER_PAGE_MOST = 500


class PersonView(TypedDict):
    """One person in a list. ``lockers`` are ids like A-07; ``badges`` counts those that open something."""

    id: str
    name: str
    initials: str
    email: str | None
    number: str | None
    groups: list[str]
    badges: int
    lockers: list[str]
    active: bool


class CredentialView(TypedDict):
    """One credential, by the server's id of it; its number is not shown."""

    id: str
    kind: str
    form: str
    blocked: bool
    made: int


class People(TypedDict):
    """A page of a list. ``total`` counts all that fit the query; ``next`` is where the next page begins, or None."""

    people: list[PersonView]
    total: int
    next: int | None


def list_people(connection: Connection, query: str = "", *, offset: int = 0, limit: int = 200) -> People:
    """People whose name, e-mail or number contains ``query``, by name."""
    limit, offset = max(1, min(limit, PEOPLE_PER_PAGE_MOST)), max(0, offset)
    wanted = _fits(query)
    total = connection.execute(select(func.count()).select_from(people).where(wanted)).scalar_one()
    page = select(people).where(wanted).order_by(people.c.name, people.c.person).offset(offset).limit(limit)
    rows = list(connection.execute(page).mappings())
    more = offset + len(rows)
    return People(people=_views(connection, rows), total=total, next=more if more < total else None)


def person_view(connection: Connection, person: str) -> PersonView | None:
    rows = list(connection.execute(select(people).where(people.c.person == person)).mappings())
    return _views(connection, rows)[0] if rows else None


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


def _fits(query: str) -> ColumnElement[bool]:
    text = " ".join(query.split())[:100]
    # Databases fold case beyond ASCII each in their own way; `icontains` is the same on both for what is typed most.
    return or_(*(column.icontains(text, autoescape=True) for column in (people.c.name, people.c.email, people.c.number)))


def _views(connection: Connection, rows: list[RowMapping]) -> list[PersonView]:
    names = [row["person"] for row in rows]
    groups = groups_of(connection, names)
    badges: dict[str, int] = {}
    held: dict[str, list[str]] = {}
    counted = select(credentials.c.person, func.count()).where(
        credentials.c.person.in_(names), credentials.c.removed_ms.is_(None), ~credentials.c.blocked
    )
    badges.update(connection.execute(counted.group_by(credentials.c.person)).tuples().all())
    has = select(lockers.c.person, lockers.c.bank, lockers.c.number).where(lockers.c.person.in_(names))
    for person, bank, number in connection.execute(has.order_by(lockers.c.bank, lockers.c.number)):
        held.setdefault(person, []).append(f"{bank}-{number}")
    return [
        PersonView(
            id=row["person"],
            name=row["name"],
            initials=initials_of(row["name"]),
            email=row["email"],
            number=row["number"],
            groups=sorted(groups.get(row["person"], ())),
            badges=badges.get(row["person"], 0),
            lockers=held.get(row["person"], []),
            active=row["active"],
        )
        for row in rows
    ]
