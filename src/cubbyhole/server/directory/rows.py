"""What the directory says about one person, credential or rule, built from the server's tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, select

from cubbyhole.domain.directory import CredentialRow, PersonRow
from cubbyhole.domain.rules import Rule
from cubbyhole.protocol.digest import commitment, credential_digest
from cubbyhole.server.keys import SealingKey
from cubbyhole.server.persistence.tables import memberships, people

ACTIVE, BLOCKED = "active", "blocked"
_CHUNK = 500  # below the number of parameters that any SQLite takes


def identity_of(row: RowMapping) -> str:
    """The text that a pseudonym is bound to."""
    return json.dumps([row["email"] or "", row["number"] or "", row["name"]], ensure_ascii=True)


def person_row(row: RowMapping, groups: Iterable[str]) -> PersonRow:
    return PersonRow(
        person=row["person"],
        name=row["name"],
        groups=tuple(sorted(groups)),
        active=row["active"],
        commitment=commitment(row["salt"], identity_of(row)),
    )


def person_rows(connection: Connection, rows: Sequence[RowMapping]) -> list[PersonRow]:
    """The directory rows of these people, with their groups."""
    found = groups_of(connection, [row["person"] for row in rows])
    return [person_row(row, found.get(row["person"], ())) for row in rows]


def groups_of(connection: Connection, names: Sequence[str]) -> dict[str, list[str]]:
    """Groups by person."""
    found: dict[str, list[str]] = {}
    for at in range(0, len(names), _CHUNK):
        part = names[at : at + _CHUNK]
        query = select(memberships.c.person, memberships.c.group).where(memberships.c.person.in_(part))
        for person, group in connection.execute(query):
            found.setdefault(person, []).append(group)
    return found


def people_by_name(connection: Connection, names: Sequence[str]) -> dict[str, RowMapping]:
    """People's rows by pseudonym."""
    found: dict[str, RowMapping] = {}
    for at in range(0, len(names), _CHUNK):
        query = select(people).where(people.c.person.in_(names[at : at + _CHUNK]))
        found.update((row["person"], row) for row in connection.execute(query).mappings())
    return found


def credential_state(row: RowMapping | None) -> str | None:
    """The word for a credential in `directory_changes`; None where banks have no row for it."""
    if row is None or row["removed_ms"] is not None:
        return None
    return BLOCKED if row["blocked"] else ACTIVE


def digest_for(bank_key: bytes, sealing: SealingKey, row: RowMapping) -> str:
    """How one bank knows this credential."""
    return credential_digest(bank_key, sealing.open(row["credential"], row["sealed"]).decode())


def credential_row(digest: str, row: RowMapping, blocked: bool | None = None) -> CredentialRow:
    return CredentialRow(
        digest=digest,
        credential=row["credential"],
        person=row["person"],
        kind=row["kind"],
        blocked=row["blocked"] if blocked is None else blocked,
    )


def rule_from(body: str) -> Rule:
    return msgspec.json.decode(body.encode(), type=Rule)


def rule_body(rule: Rule) -> str:
    return msgspec.json.encode(rule).decode()


def weight_text(weight: int) -> str:
    return f"{weight:064x}"


def weight_from(text: Any) -> int:
    return 0 if text is None else int(text, 16)
