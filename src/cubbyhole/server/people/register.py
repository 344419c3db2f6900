"""Writing people and badges: every change goes through the directory, so that every bank learns of it."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from cubbyhole.server.directory.changes import DirectoryChanges
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence.tables import counters, credentials, groups, memberships, people
from cubbyhole.server.persistence.unit import DIRECTORY, UnitOfWork


@dataclass(frozen=True, slots=True)
class PersonDraft:
    """A person as somebody wants them to be. At least one of e-mail and number names them."""

    person: str
    name: str
    email: str | None
    number: str | None
    groups: tuple[str, ...]
    active: bool = True


def new_person_id() -> str:
    return "p_" + secrets.token_hex(8)


def new_credential_id() -> str:
    return "k_" + secrets.token_hex(8)


def hold_directory(connection: Connection) -> None:
    """From here to the end of the transaction nobody else changes people or credentials."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
        connection.execute(select(counters.c.value).where(counters.c.name == DIRECTORY).with_for_update())


def put_people(work: UnitOfWork, changes: DirectoryChanges, drafts: Sequence[PersonDraft]) -> int:
    """Make or change these people and their groups; how many are different now."""
    if not drafts:
        return 0
    connection = work.connection
    changes.before_people([draft.person for draft in drafts])
    _know_groups(connection, {group for draft in drafts for group in draft.groups})
    there = set(_existing(connection, [draft.person for draft in drafts]))
    for draft in drafts:
        values = {"name": draft.name, "email": draft.email, "number": draft.number, "active": draft.active}
        if draft.person in there:
            connection.execute(update(people).where(people.c.person == draft.person).values(**values))
        else:
            connection.execute(
                insert(people).values(
                    person=draft.person, salt=secrets.token_bytes(16), made_ms=work.now_ms, version=0, **values
                )
            )
        _set_groups(connection, draft.person, draft.groups)
    return changes.after_people()


def add_badges(
    work: UnitOfWork, changes: DirectoryChanges, sealing: SealingKey, badges: Iterable[tuple[str, str]]
) -> int:
    """Give badges, as (person, canonical number), to people; those of a person who has them stay as they are."""
    rows = []
    for person, canonical in badges:
        name = new_credential_id()
        rows.append(
            {
                "credential": name, "person": person, "kind": "badge", "form": canonical.partition(":")[0],
                "sealed": sealing.seal(name, canonical.encode()), "lookup": sealing.lookup(canonical), "blocked": False,
                "removed_ms": None, "made_ms": work.now_ms, "version": 0,
            }
        )  # fmt: skip
    if not rows:
        return 0
    changes.before_credentials([str(row["credential"]) for row in rows])
    work.connection.execute(insert(credentials), rows)
    return changes.after_credentials()


def set_blocked(work: UnitOfWork, changes: DirectoryChanges, credential: str, blocked: bool, actor: str) -> bool:
    """Block or unblock a credential everywhere; False where there is nothing to change."""
    changes.before_credentials([credential])
    work.connection.execute(update(credentials).where(credentials.c.credential == credential).values(blocked=blocked))
    work.audit(actor, "credential.blocked" if blocked else "credential.unblocked", credential)
    return changes.after_credentials() > 0


def set_active(work: UnitOfWork, changes: DirectoryChanges, person: str, active: bool, actor: str) -> bool:
    """Let a person in or shut them out everywhere; False where there is nothing to change."""
    changes.before_people([person])
    work.connection.execute(update(people).where(people.c.person == person).values(active=active))
    work.audit(actor, "person.activated" if active else "person.deactivated", person)
    return changes.after_people() > 0


def holders_of(connection: Connection, lookups: Sequence[str]) -> dict[str, RowMapping]:
    """Who has these badges now, by look-up value."""
    found: dict[str, RowMapping] = {}
    for at in range(0, len(lookups), 500):
        query = select(credentials).where(
            credentials.c.lookup.in_(lookups[at : at + 500]), credentials.c.removed_ms.is_(None)
        )
        found.update((row["lookup"], row) for row in connection.execute(query).mappings())
    return found


def _existing(connection: Connection, names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for at in range(0, len(names), 500):
        found += connection.execute(select(people.c.person).where(people.c.person.in_(names[at : at + 500]))).scalars()
    return found


def _know_groups(connection: Connection, names: set[str]) -> None:
    new = names - set(connection.execute(select(groups.c.name)).scalars())
    if new:
        connection.execute(insert(groups), [{"name": name} for name in sorted(new)])


def _set_groups(connection: Connection, person: str, wanted: tuple[str, ...]) -> None:
    query = select(memberships.c.group).where(memberships.c.person == person)
    have = set(connection.execute(query).scalars())
    gone, new = have - set(wanted), set(wanted) - have
    if gone:
        connection.execute(delete(memberships).where(memberships.c.person == person, memberships.c.group.in_(gone)))
    if new:
        connection.execute(insert(memberships), [{"person": person, "group": group} for group in sorted(new)])
